"""Ability (c): facts hidden in padding, with other facts of the same form; the question stands at the end."""
from words import ADJECTIVES, CITIES, CODES, NOUNS, PEOPLE, THINGS, held_out

VERBS = ("walked to", "drove past", "painted", "looked at", "cleaned", "talked about", "waited near", "sat behind",
         "found", "lost", "carried", "sold", "bought", "fixed", "liked", "watched")
TIMES = ("in the morning", "at noon", "on Monday", "last week", "before lunch", "after the rain", "at night",
         "in the winter", "every day", "once again", "on Friday", "in the summer")
LINKS = ("Then", "Later", "After that", "In the end", "Meanwhile", "Still", "Of course", "Sometimes")


def sentence(rng):
    who, verb = rng.choice(PEOPLE), rng.choice(VERBS)
    thing = f"the {rng.choice(ADJECTIVES)} {rng.choice(THINGS)}"
    shape = rng.randrange(5)
    if shape == 0:
        return f"{who} {verb} {thing} {rng.choice(TIMES)}."
    if shape == 1:
        return f"{rng.choice(LINKS)} {who} {verb} {thing} in {rng.choice(CITIES)}."
    if shape == 2:
        return f"In {rng.choice(CITIES)}, {who} and {rng.choice(PEOPLE)} {verb} {thing}."
    if shape == 3:
        return f"The {rng.choice(NOUNS)} was {rng.choice(ADJECTIVES)}, and {who} {verb} the {rng.choice(NOUNS)}."
    return f"{who} {verb} {thing} and {rng.choice(VERBS)} a {rng.choice(NOUNS)}."


def fact(rng):
    """(attribute, object, value): the code of the red lamp is falcon."""
    thing = f"{rng.choice(ADJECTIVES)} {rng.choice(THINGS)}"
    style = rng.random()
    if style < 0.5:
        value = rng.choice(CODES)
    elif style < 0.8:
        value = str(rng.randint(10, 99))
    else:
        value = f"{rng.choice(CODES)}-{rng.randint(10, 99)}"
    return rng.choice(("code", "password", "number", "secret")), thing, value


def fact_text(f):
    return f"The {f[0]} of the {f[1]} is {f[2]}."


def question(f):
    return f"What is the {f[0]} of the {f[1]}?"


def answer(f):
    text = fact_text(f)
    return {"role": "assistant", "reasoning_content": f"The text says: {text[0].lower()}{text[1:]}", "content": text}


def make(rng, sentences, facts, places=None):
    """A padded text with `facts` different facts. `places` gives depths in 0..1 (default: random)."""
    chosen, objects, attempts = [], set(), 0
    while len(chosen) < facts and attempts < 1000:
        attempts += 1
        f = fact(rng)
        if f[1] not in objects:
            objects.add(f[1])
            chosen.append(f)
    lines = [sentence(rng) for _ in range(sentences)]
    for i, f in enumerate(chosen):
        depth = places[i] if places else rng.random()
        lines.insert(round(depth * len(lines)), fact_text(f))
    return chosen, " ".join(lines)


def is_held_out(f):
    return held_out(("fact",) + f)
