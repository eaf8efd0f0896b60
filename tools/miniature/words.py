"""Word lists and small helpers that the generators share."""
import hashlib

VERBS = ("calc make find get build apply compute run form take give pick scan check shape turn move mark sort_out "
         "derive adjust convert process handle reduce produce update combine measure evaluate transform").split()
NOUNS = ("value amber score total rate index level word label basket order ticket budget signal width depth garden "
         "engine river stone cloud paper window bridge market copper silver planet forest anchor candle dragon falcon "
         "harbor island jacket kettle ladder mirror needle orange pencil quartz ribbon saddle timber umbra violin "
         "walnut yellow zipper battery cabin desert ember fabric glacier hammer").split()
ADJECTIVES = ("red blue green small large old new quiet loud bright dark cold warm fast slow heavy light round flat "
              "sharp soft plain early late north south east west").split()
THINGS = ("lamp box door key car boat train clock chair table phone book coin ring map flag pipe cup hat drum bell "
          "rope tent gate desk sofa plane truck wheel glove").split()
PEOPLE = ("Anna Ben Clara David Emma Felix Grace Henry Iris Jonas Karin Leo Maria Nils Olga Paul Rosa Simon Tara "
          "Viktor Wanda Yusuf Zoe Lena Oskar Mila").split()
CITIES = ("Oslo Paris Rome Berlin Madrid Vienna Prague Lisbon Dublin Athens Cairo Lima Quito Tokyo Delhi Seoul Hanoi "
          "Accra Dakar Tunis Riga Turin Lyon Porto Ghent Malmo").split()
CODES = ("falcon amber maple onyx cobalt willow raven cedar topaz lotus comet ember sable birch coral hazel ivory "
         "jade lunar mango nectar opal pearl quill rustic sage tulip umber velvet wren zephyr basil clover dune "
         "fern grove heron iris juniper kelp lilac moss nova olive plum reed slate thyme").split()


def held_out(key):
    """One instance in eight belongs to the held-out side, decided by a hash of what the instance is."""
    return hashlib.sha256(repr(key).encode()).digest()[0] % 8 == 0


def function_name(rng):
    style = rng.random()
    if style < 0.7:
        return rng.choice(VERBS) + "_" + rng.choice(NOUNS)
    if style < 0.85:
        return rng.choice(NOUNS) + "_" + rng.choice(NOUNS)
    return rng.choice(ADJECTIVES) + "_" + rng.choice(NOUNS)
