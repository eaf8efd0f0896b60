"""Small functions of the Python standard library (PSF licence) as source text, split by file.

usage: python corpus.py        prints how much there is on either side
"""
import ast
import os
import sysconfig
import textwrap

from words import held_out

SKIP = ("test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "dist-packages", "__pycache__",
        "ensurepip", "pydoc_data", "encodings", "ctypes", "msilib")


def source_files():
    root = sysconfig.get_paths()["stdlib"]
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(d for d in folders if d not in SKIP)
        for f in sorted(files):
            if f.endswith(".py"):
                path = os.path.join(folder, f)
                yield os.path.relpath(path, root), path


def functions(path, most_lines=40):
    """Dedented source of every function of at most `most_lines` lines, in file order."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError):
        return
    lines = text.split("\n")
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        first = min([node.lineno] + [d.lineno for d in node.decorator_list]) - 1
        if 2 < node.end_lineno - first <= most_lines:
            code = textwrap.dedent("\n".join(lines[first:node.end_lineno])) + "\n"
            if code.isascii() and "\t" not in code:
                yield code


def load():
    """(training functions, held-out functions): lists of texts."""
    sides = ([], [])
    for name, path in source_files():
        sides[held_out(("stdlib", name))].extend(functions(path))
    return sides


if __name__ == "__main__":
    for label, side in zip(("training", "held out"), load()):
        print(label, len(side), "functions,", sum(map(len, side)), "characters")
