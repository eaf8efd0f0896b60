"""Word lists and small helpers that the generators share."""
import hashlib

VERBS = ("calc make find get build apply compute run form take give pick scan check shape turn move mark adjust convert "
         "process handle reduce measure").split()
NOUNS = ("value index level word label basket order ticket budget width depth garden stone cloud paper copper candle "
         "dragon island jacket ladder needle ribbon timber violin battery cabin desert ember glacier").split()
ADJECTIVES = ("red blue green small large old new quiet loud bright dark cold warm fast slow heavy light round flat "
              "sharp soft plain early late").split()
THINGS = ("lamp box door key car boat train clock chair table phone book coin ring map flag pipe cup hat drum bell "
          "rope tent gate desk sofa plane truck wheel glove").split()
PEOPLE = "Ben David Grace Iris Karin Leo Maria Paul Tara Viktor Yusuf Oskar Mila".split()
CITIES = "Oslo Rome Paris Berlin Lima Cairo Madrid Dublin".split()
CODES = "falcon amber maple raven ember sable sage heron iris moss plum reed coral jade olive opal".split()


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
