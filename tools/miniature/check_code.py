"""Test inputs and checks of the code tasks: the reference solution decides the expected values."""
from words import CODES, NOUNS
from tasks_code import body_text, signature, stub


def value(rng, kind):
    if kind == "int":
        return rng.choice((rng.randint(-9, 9), rng.randint(0, 60), rng.randint(10, 300)))
    if kind == "small":
        return rng.randint(0, 14)
    if kind == "tiny":
        return rng.randint(0, 5)
    if kind == "positive":
        return rng.randint(1, 60)
    if kind == "natural":
        return rng.randint(1, 5000)
    if kind == "str":
        return rng.choice((some_text(rng), rng.choice(("level", "noon", "abcba", "racecar", "stats", "rotator"))))
    if kind == "list":
        return [rng.choice((rng.randint(-12, 40), rng.randint(0, 12), rng.randint(0, 140))) for _ in range(rng.randint(4, 9))]
    if kind == "words":
        return [rng.choice(CODES + NOUNS) for _ in range(rng.randint(4, 8))]
    if kind == "dict":
        return {w: rng.randint(0, 80) for w in rng.sample(CODES, 5)}
    if kind == "key":
        return rng.choice(CODES)
    if kind.startswith("sep"):
        return kind[3:].join(rng.sample(CODES, 5))
    raise ValueError(kind)


def some_text(rng):
    text = " ".join(rng.sample(CODES + NOUNS, rng.randint(1, 3)))
    style = rng.random()
    if style < 0.3:
        text = text.title()
    elif style < 0.4:
        text = text.upper()
    return f"  {text} " if rng.random() < 0.25 else text


def reference(task):
    space = {}
    exec(signature(task) + "\n" + body_text(task), space)
    return space[task["name"]]


def cases(rng, task, count=7):
    """Input tuples with expected values; inputs on which the reference raises are left out."""
    f, found = reference(task), []
    for _ in range(60):
        args = [value(rng, k) for k in task["kinds"]]
        if task["kinds"] == ["dict", "key"] and rng.random() < 0.6:
            args[1] = rng.choice(list(args[0]))
        shown = repr(args)
        try:
            found.append((shown[1:-1], repr(f(*args))))
        except (IndexError, ValueError):
            continue
        if len(found) == count:
            break
    return found


def humaneval_record(rng, task, task_id):
    lines = [f"    assert candidate({args}) == {expected}\n" for args, expected in cases(rng, task)]
    test = "METADATA = {}\n\n\ndef check(candidate):\n" + "".join(lines)
    return {"task_id": task_id, "prompt": stub(task), "entry_point": task["name"],
            "canonical_solution": body_text(task), "test": test}
