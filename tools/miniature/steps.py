"""Single steps of the code tasks: how a step is said, how it is written, how it is noted in the thinking.

A step is (key, phrases, code, note). `{x}` is the running variable, `{c}`, `{d}` the constants of the step.
"""
from words import CODES


def number_step(rng):
    c = rng.choice((rng.randint(2, 9), rng.randint(10, 99)))
    s = rng.randint(2, 12)
    table = [
        ("add", c, ("add {c}", "increase it by {c}", "add {c} to it"), "{x} + {c}"),
        ("sub", c, ("subtract {c}", "decrease it by {c}", "take away {c}"), "{x} - {c}"),
        ("mul", s, ("multiply by {c}", "multiply it by {c}", "scale it by {c}"), "{x} * {c}"),
        ("div", s, ("divide by {c} rounding down", "integer divide it by {c}"), "{x} // {c}"),
        ("mod", s + 1, ("take the remainder modulo {c}", "take it modulo {c}"), "{x} % {c}"),
        ("square", 0, ("square it", "raise it to the power 2"), "{x} ** 2"),
        ("neg", 0, ("negate it", "flip its sign"), "-{x}"),
        ("abs", 0, ("take the absolute value", "make it non-negative"), "abs({x})"),
        ("max", c, ("raise it to at least {c}", "use {c} if it is smaller than {c}"), "max({x}, {c})"),
        ("min", c, ("limit it to at most {c}", "cap it at {c}"), "min({x}, {c})"),
    ]
    return table[rng.choices(range(10), (4, 4, 4, 2, 2, 1, 1, 1, 1, 1))[0]]


def text_step(rng):
    a, b = rng.sample("abcdefghiklmnoprstuvw", 2)
    k = rng.randint(2, 6)
    tag, mark = rng.choice(CODES), rng.choice("-_!?:#")
    table = [
        ("upper", 0, ("convert it to upper case", "make it upper case"), "{x}.upper()"),
        ("lower", 0, ("convert it to lower case", "make it lower case"), "{x}.lower()"),
        ("strip", 0, ("strip the outer spaces", "remove spaces at both ends"), "{x}.strip()"),
        ("reverse", 0, ("reverse it", "turn it around"), "{x}[::-1]"),
        ("replace", (a, b), ("replace '{c}' with '{d}'", "change every '{c}' to '{d}'"), "{x}.replace('{c}', '{d}')"),
        ("remove", (a, ""), ("remove every '{c}'", "delete all '{c}' letters"), "{x}.replace('{c}', '')"),
        ("prefix", (tag + mark, ""), ("put '{c}' in front", "prefix it with '{c}'"), "'{c}' + {x}"),
        ("suffix", (mark + tag, ""), ("append '{c}'", "put '{c}' at the end"), "{x} + '{c}'"),
        ("repeat", k, ("repeat it {c} times",), "{x} * {c}"),
        ("head", k, ("keep the first {c} characters", "cut it to {c} characters"), "{x}[:{c}]"),
        ("tail", k, ("keep the last {c} characters",), "{x}[-{c}:]"),
        ("drop", k, ("drop the first {c} characters", "skip the first {c} characters"), "{x}[{c}:]"),
        ("capital", 0, ("capitalize it",), "{x}.capitalize()"),
        ("swap", 0, ("swap upper and lower case",), "{x}.swapcase()"),
    ]
    return rng.choice(table)


def condition(rng):
    """A test on the element v of a list of integers."""
    c, s = rng.choice((rng.randint(1, 9), rng.randint(10, 99))), rng.randint(3, 9)
    table = [
        ("gt", c, ("greater than {c}", "above {c}"), "v > {c}"),
        ("lt", c, ("less than {c}", "below {c}"), "v < {c}"),
        ("ge", c, ("at least {c}",), "v >= {c}"),
        ("le", c, ("at most {c}",), "v <= {c}"),
        ("even", 0, ("even",), "v % 2 == 0"),
        ("odd", 0, ("odd",), "v % 2 == 1"),
        ("mult", s, ("divisible by {c}", "a multiple of {c}"), "v % {c} == 0"),
        ("ne", c, ("not equal to {c}", "different from {c}"), "v != {c}"),
        ("pos", 0, ("positive",), "v > 0"),
        ("neg", 0, ("negative",), "v < 0"),
    ]
    return rng.choice(table)


def mapping(rng):
    c, s = rng.choice((rng.randint(1, 9), rng.randint(10, 99))), rng.randint(2, 12)
    table = [
        ("add", c, ("add {c} to each", "increase each by {c}"), "v + {c}"),
        ("sub", c, ("subtract {c} from each", "decrease each by {c}"), "v - {c}"),
        ("mul", s, ("multiply each by {c}", "scale each by {c}"), "v * {c}"),
        ("div", s, ("integer divide each by {c}",), "v // {c}"),
        ("mod", s + 1, ("take each modulo {c}",), "v % {c}"),
        ("sq", 0, ("square each", "square every number"), "v ** 2"),
        ("abs", 0, ("take the absolute value of each",), "abs(v)"),
        ("neg", 0, ("negate each",), "-v"),
    ]
    return rng.choice(table)


def arrangement(rng):
    k = rng.randint(2, 6)
    table = [
        ("asc", 0, ("sort them", "sort in ascending order"), "sorted({x})"),
        ("desc", 0, ("sort in descending order", "sort from large to small"), "sorted({x}, reverse=True)"),
        ("rev", 0, ("reverse the order", "reverse the list"), "{x}[::-1]"),
        ("head", k, ("keep the first {c}", "take the first {c}"), "{x}[:{c}]"),
        ("tail", k, ("keep the last {c}", "take the last {c}"), "{x}[-{c}:]"),
        ("drop", k - 1, ("skip the first {c}", "drop the first {c}"), "{x}[{c}:]"),
        ("step", k, ("keep every {c}th element",), "{x}[::{c}]"),
        ("uniq", 0, ("remove duplicates and sort",), "sorted(set({x}))"),
    ]
    return rng.choice(table)


AGGREGATES = [
    ("sum", ("return the sum", "return their sum", "add them up"), "sum({x})"),
    ("len", ("return how many there are", "return the count"), "len({x})"),
    ("max", ("return the largest", "return the maximum"), "max({x})"),
    ("min", ("return the smallest", "return the minimum"), "min({x})"),
    ("list", ("return the list", "return the resulting list"), "{x}"),
    ("first", ("return the first one",), "{x}[0]"),
    ("last", ("return the last one",), "{x}[-1]"),
]


def word_test(rng):
    k, a = rng.randint(2, 7), rng.choice("abcdefghilmnoprstw")
    table = [
        ("longer", k, ("longer than {c} letters",), "len(w) > {c}"),
        ("shorter", k, ("shorter than {c} letters",), "len(w) < {c}"),
        ("exact", k, ("of length {c}",), "len(w) == {c}"),
        ("starts", (a, ""), ("that start with '{c}'",), "w.startswith('{c}')"),
        ("ends", (a, ""), ("that end with '{c}'",), "w.endswith('{c}')"),
        ("has", (a, ""), ("that contain '{c}'",), "'{c}' in w"),
        ("hasnot", (a, ""), ("without the letter '{c}'",), "'{c}' not in w"),
    ]
    return rng.choice(table)


def word_map(rng):
    a = rng.choice("-_!?:#") + rng.choice(CODES)
    k = rng.randint(2, 4)
    table = [
        ("upper", 0, ("make each upper case",), "w.upper()"),
        ("lower", 0, ("make each lower case",), "w.lower()"),
        ("rev", 0, ("reverse each word",), "w[::-1]"),
        ("len", 0, ("replace each by its length",), "len(w)"),
        ("initial", 0, ("replace each by its first letter",), "w[0]"),
        ("suffix", (a, ""), ("append '{c}' to each",), "w + '{c}'"),
        ("head", k, ("cut each to {c} letters",), "w[:{c}]"),
        ("twice", k, ("repeat each {c} times",), "w * {c}"),
    ]
    return rng.choice(table)


def fill(text, const, x="x"):
    c, d = const if isinstance(const, tuple) else (const, "")
    return text.replace("{x}", x).replace("{c}", str(c)).replace("{d}", str(d))
