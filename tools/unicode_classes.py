#!/usr/bin/env python3
"""Writes src/text/char_class.c from the measured character classes of the tokenizer's regular expressions.

usage: unicode_classes.py CLASSES.JSON > src/text/char_class.c

CLASSES.JSON holds inclusive code point ranges per class (golden/tokenizer/classes.json).  The output is a sorted list of
the code points where the set of classes changes, each with the classes that hold from there on.
"""
import json
import sys

BITS = [("L", 1), ("N", 2), ("upper_side", 4), ("lower_side", 8), ("space", 16), ("digit", 32), ("word", 64)]

HEAD = """/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/unicode_classes.py from the classes of tokenizers %s; do not edit. */
#include "text/char_class.h"

#include "base/error.h"

/* code point << 8 | classes from there on */
/* clang-format off */
static const uint32_t changes[] = {
"""

TAIL = """};
/* clang-format on */

enum { N_CHANGES = sizeof changes / sizeof changes[0] };

unsigned auk_char_class(uint32_t c)
{
    size_t lo = 0, hi = N_CHANGES; /* changes[lo] is at or before c, changes[hi] after it */

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (changes[mid] >> 8 <= c)
            lo = mid;
        else
            hi = mid;
    }
    return changes[lo] & 0xFF;
}

void auk_char_class_fill(uint8_t table[AUK_CHARS])
{
    for (size_t i = 0; i < N_CHANGES; i++) {
        uint32_t from = changes[i] >> 8;
        uint32_t to = i + 1 < N_CHANGES ? changes[i + 1] >> 8 : AUK_CHARS;
        memset(table + from, (int)(changes[i] & 0xFF), to - from);
    }
}
"""


def main():
    data = json.load(open(sys.argv[1], encoding="utf-8"))
    classes = bytearray(0x110000)
    for name, bit in BITS:
        for first, last in data["ranges"][name]:
            for c in range(first, last + 1):
                classes[c] |= bit
    # surrogates never occur in UTF-8: let them continue what stands before them
    classes[0xD800:0xE000] = bytes([classes[0xD7FF]]) * 0x800
    changes = [(c, classes[c]) for c in range(0x110000) if c == 0 or classes[c] != classes[c - 1]]
    sys.stdout.write(HEAD % data["tokenizers"])
    for i in range(0, len(changes), 9):
        sys.stdout.write("    " + " ".join("0x%06X," % (c << 8 | k) for c, k in changes[i:i + 9]) + "\n")
    sys.stdout.write(TAIL)


main()
