"""Single templates of the code tasks: loops, conditions, two arguments, dictionaries.

Each maker returns args, kinds (of the test inputs), text, note, body and const (what varies besides names).
"""
NUM = ("n", "x", "num", "value")
PAIRS = (("a", "b"), ("x", "y"), ("m", "n"), ("left", "right"), ("p", "q"))
LST = ("items", "nums", "values", "data", "numbers")
TXT = ("s", "text", "word", "line")
LABELS = "low high small big cold warm good bad yes no".split()


def task(args, kinds, text, note, body, const=()):
    return dict(args=list(args), kinds=list(kinds), text=text, note=note, body=body, const=const)


def combine_two(rng):
    (a, b), c = rng.choice(PAIRS), rng.randint(2, 99)
    said, code = rng.choice((("sum", f"{a} + {b}"), ("product", f"{a} * {b}"), ("difference", f"{a} - {b}")))
    after, op = rng.choice((("add", "+"), ("subtract", "-"), ("multiply by", "*")))
    return task((a, b), ("int", "int"), f"Take the {said} of {a} and {b}, then {after} {c}, and return it.",
                f"{code}; {op} {c}", [f"r = {code}", f"return r {op} {c}"], (said, op, c))


def extreme_two(rng):
    (a, b), c = rng.choice(PAIRS), rng.randint(2, 99)
    said, f = rng.choice((("larger", "max"), ("smaller", "min")))
    after, op = rng.choice((("plus", "+"), ("minus", "-"), ("times", "*")))
    return task((a, b), ("int", "int"), f"Return the {said} of {a} and {b} {after} {c}.", f"{f}({a}, {b}) {op} {c}",
                [f"return {f}({a}, {b}) {op} {c}"], (f, op, c))


def choose(rng):
    n, c = rng.choice(NUM), rng.randint(2, 99)
    one, two = rng.sample(LABELS, 2)
    said, op = rng.choice((("greater than", ">"), ("less than", "<"), ("at least", ">="), ("at most", "<="), ("equal to", "==")))
    return task((n,), ("int",), f"Return '{one}' if {n} is {said} {c}, otherwise return '{two}'.",
                f"if {n} {op} {c}: '{one}'; else '{two}'", [f"if {n} {op} {c}:", f"    return '{one}'", f"return '{two}'"],
                (one, two, op, c))


def grade(rng):
    n, (c, d) = rng.choice(NUM), sorted(rng.sample(range(2, 100), 2))
    one, two, three = rng.sample(LABELS, 3)
    return task((n,), ("int",), f"Return '{one}' if {n} is below {c}, '{two}' if it is below {d}, otherwise '{three}'.",
                f"if {n} < {c}: '{one}'; if {n} < {d}: '{two}'; else '{three}'",
                [f"if {n} < {c}:", f"    return '{one}'", f"if {n} < {d}:", f"    return '{two}'", f"return '{three}'"],
                (one, two, three, c, d))


def between(rng):
    n, (c, d) = rng.choice(NUM), sorted(rng.sample(range(1, 99), 2))
    return task((n,), ("int",), f"Return True if {n} is between {c} and {d}, both included.", f"{c} <= {n} <= {d}",
                [f"return {c} <= {n} <= {d}"], (c, d))


def divisible(rng):
    n, c, d = rng.choice(NUM), rng.randint(2, 12), rng.randint(2, 12)
    said, op = rng.choice((("and", "and"), ("or", "or")))
    return task((n,), ("int",), f"Return True if {n} is divisible by {c} {said} by {d}.", f"{n} % {c} == 0 {op} {n} % {d} == 0",
                [f"return {n} % {c} == 0 {op} {n} % {d} == 0"], (c, d, op))


def sum_range(rng):
    n, c = rng.choice(NUM), rng.randint(2, 12)
    return task((n,), ("small",), f"Use a loop to sum the multiples of {c} from 1 to {n}.", f"total; i % {c} == 0; total += i",
                ["total = 0", f"for i in range(1, {n} + 1):", f"    if i % {c} == 0:", "        total += i", "return total"], (c,))


def factorial(rng):
    n, c = rng.choice(NUM), rng.randint(2, 60)
    return task((n,), ("small",), f"Use a loop to compute the factorial of {n}, then add {c}, and return it.", f"total *= i; total + {c}",
                ["total = 1", f"for i in range(1, {n} + 1):", "    total *= i", f"return total + {c}"], (c,))


def fibonacci(rng):
    n, c, d = rng.choice(NUM), rng.randint(0, 9), rng.randint(1, 9)
    return task((n,), ("small",), f"Start with {c} and {d}; each next number is the sum of the two before. Return number {n} counted from 0.",
                f"a, b = {c}, {d}; a, b = b, a + b", [f"a, b = {c}, {d}", f"for i in range({n}):", "    a, b = b, a + b", "return a"], (c, d))


def countdown(rng):
    n, c = rng.choice(NUM), rng.randint(1, 9)
    return task((n,), ("small",), f"Return the list of numbers from {n} down to 1 in steps of {c}.", f"range({n}, 0, -{c})",
                [f"return list(range({n}, 0, -{c}))"], (c,))


def digit_sum(rng):
    n, c = rng.choice(NUM), rng.randint(2, 40)
    return task((n,), ("natural",), f"Use a loop to add the digits of {n}, then multiply the sum by {c}, and return it.",
                f"total += int(d); total * {c}", ["total = 0", f"for d in str({n}):", "    total += int(d)", f"return total * {c}"], (c,))


def count_letter(rng):
    s, a = rng.choice(TXT), rng.choice("abcdefghijklmnoprstuvwy")
    c = rng.randint(1, 40)
    return task((s,), ("str",), f"Count the letter '{a}' in {s} and add {c} to the count.", f"{s}.count('{a}') + {c}",
                [f"return {s}.count('{a}') + {c}"], (a, c))


def keep_letters(rng):
    s, group = rng.choice(TXT), "".join(sorted(rng.sample("abcdefghilmnoprstuw", rng.randint(3, 6))))
    said, op = rng.choice((("that are in", "in"), ("that are not in", "not in")))
    return task((s,), ("str",), f"Return {s} with only the characters {said} '{group}'.", f"ch {op} '{group}'",
                [f"return ''.join(ch for ch in {s} if ch {op} '{group}')"], (group, op))


def palindrome(rng):
    s, c = rng.choice(TXT), rng.randint(2, 12)
    return task((s,), ("str",), f"Return True if {s} reads the same backwards and is longer than {c} characters.",
                f"{s} == {s}[::-1] and len({s}) > {c}", [f"return {s} == {s}[::-1] and len({s}) > {c}"], (c, s))


def nth_word(rng):
    s, k, sep = rng.choice(TXT), rng.randint(0, 3), rng.choice((",", ";", "-", ":", "/", " "))
    said = ("first", "second", "third", "fourth")[k]
    return task((s,), ("sep" + sep,), f"Split {s} at '{sep}' and return the {said} part.", f"{s}.split('{sep}')[{k}]",
                [f"return {s}.split('{sep}')[{k}]"], (k, sep, s))


def length_rule(rng):
    s, c = rng.choice(TXT), rng.randint(2, 12)
    one, two = rng.sample(LABELS, 2)
    return task((s,), ("str",), f"Return '{one}' if {s} has more than {c} characters, otherwise '{two}'.",
                f"if len({s}) > {c}: '{one}'; else '{two}'", [f"if len({s}) > {c}:", f"    return '{one}'", f"return '{two}'"], (one, two, c))


def join_two(rng):
    (a, b), sep = rng.choice(PAIRS), rng.choice(("-", "_", " ", ", ", "+", "::", " and ", "/"))
    c = rng.randint(2, 5)
    return task((a, b), ("str", "str"), f"Join the texts {a} and {b} with '{sep}' and repeat the result {c} times.",
                f"{a} + '{sep}' + {b}; * {c}", [f"r = {a} + '{sep}' + {b}", f"return r * {c}"], (sep, c))


def word_lengths(rng):
    s, c = rng.choice(("words", "names", "tokens")), rng.randint(1, 20)
    return task((s,), ("words",), f"Return a dictionary from each word in {s} to its length plus {c}.", f"w: len(w) + {c}",
                [f"return {{w: len(w) + {c} for w in {s}}}"], (c, s))


def longest_word(rng):
    s, c = rng.choice(("words", "names", "tokens")), rng.randint(1, 5)
    said, f = rng.choice((("longest", "max"), ("shortest", "min")))
    return task((s,), ("words",), f"Return the {said} word in {s} repeated {c} times.", f"{f}({s}, key=len) * {c}",
                [f"return {f}({s}, key=len) * {c}"], (c, f, s))


def lookup(rng):
    d, k, c = rng.choice(("table", "prices", "counts", "scores")), rng.choice(("key", "name", "item")), rng.randint(0, 99)
    return task((d, k), ("dict", "key"), f"Return {d}[{k}], or {c} if {k} is not in {d}.", f"{d}.get({k}, {c})",
                [f"return {d}.get({k}, {c})"], (c, d))


def running_sum(rng):
    x, c = rng.choice(LST), rng.randint(0, 60)
    return task((x,), ("list",), f"Return the running sums of {x}, starting from {c}.", f"total = {c}; total += v; append",
                [f"total = {c}", "out = []", f"for v in {x}:", "    total += v", "    out.append(total)", "return out"], (c,))


def find_first(rng):
    x, c = rng.choice(LST), rng.randint(1, 50)
    said, op = rng.choice((("greater than", ">"), ("less than", "<"), ("equal to", "==")))
    return task((x,), ("list",), f"Return the index of the first number in {x} that is {said} {c}, or -1 if there is none.",
                f"enumerate; v {op} {c}; -1", [f"for i, v in enumerate({x}):", f"    if v {op} {c}:", "        return i", "return -1"], (c, op))


def spread(rng):
    x, c = rng.choice(LST), rng.randint(2, 60)
    after, op = rng.choice((("plus", "+"), ("times", "*"), ("minus", "-")))
    return task((x,), ("list",), f"Return the largest minus the smallest of {x}, {after} {c}.", f"max - min; {op} {c}",
                [f"r = max({x}) - min({x})", f"return r {op} {c}"], (c, op))


def mean_rule(rng):
    x, c = rng.choice(LST), rng.randint(2, 60)
    return task((x,), ("list",), f"Return the integer average of {x}, but at least {c}.", f"sum // len; max with {c}",
                [f"r = sum({x}) // len({x})", f"return max(r, {c})"], (c, x))


def insert_ends(rng):
    x, c, d = rng.choice(LST), rng.randint(1, 99), rng.randint(1, 99)
    return task((x,), ("list",), f"Return {x} with {c} added at the front and {d} added at the end.", f"[{c}] + {x} + [{d}]",
                [f"return [{c}] + {x} + [{d}]"], (c, d))


def replace_value(rng):
    x, c, d = rng.choice(LST), rng.randint(0, 12), rng.randint(1, 99)
    return task((x,), ("list",), f"Return {x} with every {c} replaced by {d}.", f"{d} if v == {c} else v",
                [f"return [{d} if v == {c} else v for v in {x}]"], (c, d))


def clamp_list(rng):
    x, (c, d) = rng.choice(LST), sorted(rng.sample(range(0, 60), 2))
    return task((x,), ("list",), f"Return the list of {x} with each number limited to the range {c} to {d}.", f"min(max(v, {c}), {d})",
                [f"return [min(max(v, {c}), {d}) for v in {x}]"], (c, d))


def nth_largest(rng):
    x, k, c = rng.choice(LST), rng.randint(1, 4), rng.randint(1, 60)
    said = ("", "second ", "third ", "fourth ")[k - 1]
    return task((x,), ("list",), f"Return the {said}largest number of {x} plus {c}.", f"sorted desc; [{k - 1}] + {c}",
                [f"return sorted({x}, reverse=True)[{k - 1}] + {c}"], (k, c))


def until_limit(rng):
    n, c, d = rng.choice(NUM), rng.randint(2, 4), rng.randint(50, 99)
    return task((n,), ("positive",), f"Multiply {n} by {c} in a loop until it is at least {d}, and return it.", f"while {n} < {d}; {n} *= {c}",
                [f"while {n} < {d}:", f"    {n} *= {c}", f"return {n}"], (c, d))


def fizz(rng):
    n, c, d = rng.choice(NUM), rng.randint(2, 9), rng.randint(2, 9)
    one, two = rng.sample(LABELS, 2)
    return task((n,), ("small",),
                f"Return a list for 1 to {n}: '{one}' if divisible by {c}, '{two}' if divisible by {d}, otherwise the number.",
                f"i % {c}: '{one}'; i % {d}: '{two}'; else i",
                ["out = []", f"for i in range(1, {n} + 1):", f"    if i % {c} == 0:", f"        out.append('{one}')",
                 f"    elif i % {d} == 0:", f"        out.append('{two}')", "    else:", "        out.append(i)", "return out"], (one, two, c, d))


TEMPLATES = [f for f in list(globals().values()) if callable(f) and getattr(f, "__module__", "") == __name__ and f.__name__ != "task"]
