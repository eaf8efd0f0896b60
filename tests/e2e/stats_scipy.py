# SPDX-License-Identifier: Apache-2.0
"""Random tables through 'auklet stats', compared with scipy, statsmodels and exact arithmetic.

Two yardsticks.  The exact one (rational numbers, or mpmath with 40 digits, from the published
formulas) decides: a relative difference of 1e-9 is a failure.  The libraries work in doubles and
lose digits by cancellation near 0, where both they and we are shown; a difference from them fails
only where they are themselves within 1e-9 of the exact value.
"""
import functools
import gc
import json
import math
import os
import random
import subprocess
import sys
from fractions import Fraction
from multiprocessing.pool import ThreadPool

import mpmath
import numpy
from mpmath import mpf
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

mpmath.mp.dps = 40
LIMIT = 1e-9
AUKLET = os.environ["AUKLET"]
failed = 0


def auklet(*args):
    run = subprocess.run([AUKLET, "stats", *map(str, args), "--json"], capture_output=True,
                         close_fds=False)
    if run.returncode != 0:
        raise SystemExit(f"{args}: exit {run.returncode}: {run.stderr.decode()}")
    return json.loads(run.stdout)


def all_of(commands):
    with ThreadPool(2) as pool:
        return pool.map(lambda c: auklet(*c), commands, chunksize=64)


def relative(x, want):
    x, want = mpf(x), mpf(want)
    return float(abs(x - want) / abs(want)) if want != 0 else float(abs(x))


class Tally:
    """The worst difference of one number of one method from each yardstick."""

    def __init__(self, name):
        self.name, self.n = name, 0
        self.exact, self.at = 0.0, None
        self.library, self.library_off = 0.0, 0

    def add(self, ours, exact, library, at):
        self.n += 1
        off = relative(ours, exact)
        if off >= self.exact:
            self.exact, self.at = off, at
        if library is None:
            return
        if relative(library, exact) > LIMIT:
            self.library_off += 1
        elif exact != 0:
            self.library = max(self.library, relative(ours, library))

    def close(self):
        global failed
        ok = self.exact < LIMIT and self.library < 2 * LIMIT and self.n > 0
        failed += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {self.name:24} {self.n:6} tables  exact {self.exact:.1e}"
              f"  library {self.library:.1e}  library itself off in {self.library_off}"
              + ("" if ok else f"  worst at {self.at}"), flush=True)


# ---- exact values ------------------------------------------------------------------------------


@functools.cache
def z_of(tail):
    z = mpf(stats.norm.isf(float(tail)))
    for _ in range(4):
        z -= (mpmath.ncdf(-z) - tail) / -mpmath.npdf(z)
    return z


def wilson(k, n, z):
    p, zz = mpf(k) / n, z * z / n
    half = z * mpmath.sqrt(p * (1 - p) / n + zz / n / 4) / (1 + zz)
    centre = (p + zz / 2) / (1 + zz)
    return (mpf(0) if k == 0 else centre - half), (mpf(1) if k == n else centre + half)


def newcombe(k1, n1, k2, n2, z):
    (l1, u1), (l2, u2) = wilson(k1, n1, z), wilson(k2, n2, z)
    p1, p2 = mpf(k1) / n1, mpf(k2) / n2
    return (p1 - p2 - mpmath.sqrt((p1 - l1) ** 2 + (u2 - p2) ** 2),
            p1 - p2 + mpmath.sqrt((u1 - p1) ** 2 + (p2 - l2) ** 2))


def newcombe_paired(a, b, c, d, z):
    n = a + b + c + d
    (l1, u1), (l2, u2) = wilson(a + b, n, z), wilson(a + c, n, z)
    p1, p2, q = mpf(a + b) / n, mpf(a + c) / n, a * d - b * c
    root = mpmath.sqrt(mpf((a + b) * (c + d) * (a + c) * (b + d)))
    top = q if q < 0 else max(mpf(0), q - mpf(n) / 2)
    phi = top / root if root > 0 else mpf(0)
    diff = mpf(b - c) / n
    return (diff - mpmath.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2),
            diff + mpmath.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2))


def paired_se(b, c, n):
    return mpmath.sqrt(b + c - mpf(b - c) ** 2 / n) / n


def binomial_tail(k, n):
    """sum of C(n,i) / 2^n for i <= k, and its last term: exact integers for small n, else the
    terms that matter in 40 digits."""
    if n <= 2000:
        term = total = math.comb(n, k)
        for i in range(k, 0, -1):
            term = term * i // (n - i + 1)
            total += term
        return mpf(total) / mpf(2) ** n, mpf(math.comb(n, k)) / mpf(2) ** n
    largest = mpmath.exp(mpmath.loggamma(n + 1) - mpmath.loggamma(k + 1)
                         - mpmath.loggamma(n - k + 1) - n * mpmath.log(2))
    term, total = mpf(1), mpf(1)
    for i in range(k, 0, -1):
        term = term * i / (n - i + 1)
        total += term
        if term < mpf(10) ** -25:
            break
    return largest * total, largest


# ---- tables ------------------------------------------------------------------------------------

draw = random.Random(20260101)


def log_uniform(lo, hi):
    return round(math.exp(draw.uniform(math.log(lo), math.log(hi))))


levels = [0.8, 0.9, 0.95, 0.99] + [round(draw.uniform(0.51, 0.9999), 6) for _ in range(200)]


def a_level():
    return draw.choice(levels)


def a_table():
    """Paired counts: small and large, balanced and far out in the tails."""
    n = log_uniform(1, 10 ** draw.choice([2, 3, 4, 6]))
    differ = round(n * draw.random() ** 2)
    share = draw.choice([0.5, 0.5 + 0.5 * (draw.random() - 0.5), draw.random()])
    sd = math.sqrt(differ * share * (1 - share))
    b = min(differ, max(0, round(draw.gauss(differ * share, sd))))
    a = round((n - differ) * draw.random())
    return a, b, differ - b, n - differ - a


def a_proportion():
    n = log_uniform(1, 10 ** draw.choice([2, 3, 6]))
    k = draw.choice([0, n, min(n, log_uniform(1, n + 1) - 1), round(n * draw.random())])
    return k, n


# ---- the methods -------------------------------------------------------------------------------


def check_mcnemar(count):
    names = ("p_exact", "p_mid", "newcombe lo", "newcombe hi", "wald lo", "wald hi",
             "agresti-min lo", "agresti-min hi", "smallest difference")
    tallies = {name: Tally("mcnemar " + name if name[0] == "p" else name) for name in names}
    cases = []
    while len(cases) < count:
        cases.append((a_table(), a_level()))
    got = all_of([("mcnemar", "--table", ",".join(map(str, t)), "--level", level)
                  for t, level in cases])
    deepest = mpf(1)
    for (t, level), g in zip(cases, got):
        a, b, c, d = t
        n, m, k = sum(t), b + c, min(b, c)
        tail, term = binomial_tail(k, m)
        p = min(mpf(1), 2 * tail)
        library = mcnemar([[a, b], [c, d]], exact=True).pvalue
        if p > mpf("1e-300"):
            deepest = min(deepest, p)
            tallies["p_exact"].add(g["p_exact"], p, library, t)
            library = 1.0 if b == c else stats.binom.cdf(k, m, 0.5) * 2 - stats.binom.pmf(k, m, 0.5)
            tallies["p_mid"].add(g["p_mid"], mpf(1) if b == c else p - term, library, t)
        z = z_of((1 - mpf(level)) / 2)
        for name, bounds, want in (
                ("newcombe", (g["lo"], g["hi"]), newcombe_paired(*t, z)),
                ("wald", g["wald"], (mpf(b - c) / n - z * paired_se(b, c, n),
                                     mpf(b - c) / n + z * paired_se(b, c, n))),
                ("agresti-min", g["agresti_min"],
                 (mpf(b - c) / (n + 2) - z * paired_se(b + mpf(1) / 2, c + mpf(1) / 2, n + 2),
                  mpf(b - c) / (n + 2) + z * paired_se(b + mpf(1) / 2, c + mpf(1) / 2, n + 2)))):
            # a bound is a difference: what counts is its size beside the width of the interval
            width = want[1] - want[0]
            for side, x, w in (("lo", bounds[0], want[0]), ("hi", bounds[1], want[1])):
                shift = max(abs(w), width) - w if width > 0 else mpf(0)
                tallies[f"{name} {side}"].add(mpf(x) + shift, w + shift, None, (t, level))
        if m > 0:
            power = z_of(mpf("0.2"))
            tallies["smallest difference"].add(g["smallest_difference"],
                                               (z + power) * mpmath.sqrt(mpf(m)) / n, None, t)
    for tally in tallies.values():
        tally.close()
    print(f"     smallest p compared: {mpmath.nstr(deepest, 3)}")


def check_wilson(count):
    lo, hi, scipy_lo = Tally("wilson lo"), Tally("wilson hi"), Tally("wilson lo (scipy)")
    cases = [(*a_proportion(), a_level()) for _ in range(count)]
    got = all_of([("wilson", "--k", k, "--n", n, "--level", level) for k, n, level in cases])
    for (k, n, level), g in zip(cases, got):
        want = wilson(k, n, z_of((1 - mpf(level)) / 2))
        library = proportion_confint(k, n, 1 - level, "wilson")
        lo.add(g["lo"], want[0], library[0], (k, n, level))
        hi.add(g["hi"], want[1], library[1], (k, n, level))
        scipy = stats.binomtest(k, n).proportion_ci(level, "wilson").low if n < 10 ** 4 else None
        scipy_lo.add(g["lo"], want[0], scipy, (k, n, level))
    for tally in (lo, hi, scipy_lo):
        tally.close()


def check_newcombe(count):
    lo, hi = Tally("newcombe, independent lo"), Tally("newcombe, independent hi")
    cases = [(*a_proportion(), *a_proportion(), a_level()) for _ in range(count)]
    got = all_of([("newcombe", "--k1", k1, "--n1", n1, "--k2", k2, "--n2", n2, "--level", level)
                  for k1, n1, k2, n2, level in cases])
    for (k1, n1, k2, n2, level), g in zip(cases, got):
        want = newcombe(k1, n1, k2, n2, z_of((1 - mpf(level)) / 2))
        library = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", alpha=1 - level)
        width = want[1] - want[0]
        for tally, x, w, other in ((lo, g["lo"], want[0], library[0]),
                                   (hi, g["hi"], want[1], library[1])):
            shift = max(abs(w), width) - w
            tally.add(mpf(x) + shift, w + shift, mpf(float(other)) + shift,
                      (k1, n1, k2, n2, level))
    lo.close()
    hi.close()


def check_tost(count):
    lower, upper = Tally("tost p_lower"), Tally("tost p_upper")
    cases = [(a_table(), round(draw.uniform(0.001, 0.3), 4)) for _ in range(count)]
    got = all_of([("tost", "--table", ",".join(map(str, t)), "--margin", m) for t, m in cases])
    deepest = mpf(1)
    for (t, margin), g in zip(cases, got):
        _, b, c, _ = t
        n, m = sum(t), mpf(margin)
        se, diff = paired_se(b, c, n), mpf(b - c) / n
        if se == 0:
            se = paired_se(b + mpf(1) / 2, c + mpf(1) / 2, n + 2)
        if (g["se_method"] == "agresti-min") != (paired_se(b, c, n) == 0):
            lower.add(1, 0, None, t)
        for tally, p, top in ((lower, g["p_lower"], diff + m), (upper, g["p_upper"], m - diff)):
            want = mpmath.erfc(top / se / mpmath.sqrt(2)) / 2
            if want > mpf("1e-300"):
                deepest = min(deepest, want)
                tally.add(p, want, stats.norm.sf(float(top / se)), (t, margin))
    lower.close()
    upper.close()
    print(f"     smallest p compared: {mpmath.nstr(deepest, 3)}")


def check_repeated(count):
    at, hat = Tally("pass@k"), Tally("pass^k")
    cases = []
    for _ in range(count):
        n = log_uniform(1, draw.choice([10, 200, 5000]))
        cases.append((n, draw.randint(0, n), draw.randint(1, n)))
    numbers = [("--n", n, "--c", c, "--k", k) for n, c, k in cases]
    for (n, c, k), g in zip(cases, all_of([("passk", *x) for x in numbers])):
        want = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
        human_eval = 1.0 if n - c < k else 1.0 - numpy.prod(1.0 - k / numpy.arange(n - c + 1, n + 1))
        at.add(g["value"], mpf(want.numerator) / want.denominator, human_eval, (n, c, k))
    for (n, c, k), g in zip(cases, all_of([("passhatk", *x) for x in numbers])):
        want = Fraction(math.comb(c, k), math.comb(n, k))
        want = mpf(want.numerator) / want.denominator
        if want == 0 or want > mpf("1e-300"):
            library = special.comb(c, k) / special.comb(n, k) if n < 1000 else None
            hat.add(g["value"], want, library, (n, c, k))
    at.close()
    hat.close()


def check_holm(count):
    tally = Tally("holm")
    cases = [[draw.choice([draw.random() ** 4, round(draw.random(), 2)])
              for _ in range(draw.randint(1, 12))] for _ in range(count)]
    got = all_of([("holm", "--p", ",".join(map(repr, ps))) for ps in cases])
    gc.freeze()  # multipletests collects garbage at each call
    for ps, g in zip(cases, got):
        library = multipletests(ps, method="holm")[1]
        order, largest = sorted(range(len(ps)), key=lambda i: ps[i]), Fraction(0)
        for j, i in enumerate(order):
            largest = min(Fraction(1), max(largest, (len(ps) - j) * Fraction(ps[i])))
            tally.add(g["adjusted"][i], mpf(largest.numerator) / largest.denominator,
                      float(library[i]), ps)
    tally.close()


def check_bootstrap(count):
    """The same generator in CPython gives the same bounds; scipy's own differs by chance alone."""
    global failed
    same = Tally("bootstrap, CPython")
    for seed in range(count):
        t = a_table()
        while not 30 <= sum(t) <= 300 or t[1] + t[2] == 0:
            t = a_table()
        x = numpy.array([0] * t[0] + [1] * t[1] + [-1] * t[2] + [0] * t[3])
        rng = random.Random(seed)
        means = [sum(x[rng.randrange(len(x))] for _ in range(len(x))) / len(x)
                 for _ in range(10000)]
        g = auklet("bootstrap", "--table", ",".join(map(str, t)), "--seed", seed,
                   "--resamples", 10000)
        lo, hi = numpy.quantile(means, [0.025, 0.975])
        for ours, want in ((g["lo"], lo), (g["hi"], hi), (g["se"], numpy.std(means, ddof=1))):
            same.add(ours, float(want), None, (t, seed))
        other = stats.bootstrap((x,), numpy.mean, n_resamples=10000, method="percentile", rng=1)
        apart = max(abs(g["lo"] - other.confidence_interval.low),
                    abs(g["hi"] - other.confidence_interval.high)) / g["se"]
        if apart > 0.25 and apart * g["se"] > 2.01 / len(x):
            failed += 1
            print(f"FAIL bootstrap {t}: scipy's bounds are {apart:.2f} standard errors away")
    same.close()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    check_mcnemar(count)
    check_wilson(count)
    check_newcombe(count)
    check_tost(count)
    check_repeated(count)
    check_holm(count)
    check_bootstrap(3)
    print("all within 1e-9" if failed == 0 else f"{failed} failed")
    sys.exit(failed > 0)


main()
