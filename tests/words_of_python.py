"""Whether a refusal of the command line says something that only who writes Python knows."""

import re

__all__ = ["python_in"]


TYPED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
"""What a refusal repeats of what was typed."""
PYTHON = re.compile(
    r"(?<![\w\[,])[a-z]+(?:_[a-z]+)*=(?:…|'|\")"  # name=… and name='x'
    r"|\b[A-Za-z_.]+\((?!s\))[^ )]*"  # a call
    r"|`[a-z_]+`"
    r"|salesflow: (?:[^:]*object [\d,]+: )?"  # a class, or its method
    r"(?:Money|[A-Z][a-z]+(?:[A-Z][a-z]+)+|[A-Z][a-z]+\.[a-z_]+): "
    r"|: [A-Z][a-z]+(?:[A-Z][a-z]+)*: [a-z_]+: "
    r"|\b(?:None|True|False)\b"
    r"|of type [a-z]+"
)
PAIRED = re.compile(r"(?<![\w\[,])[a-z]+(?:_[a-z]+)*=(?:'|\")")
PATH = re.compile(r"\w+\[[^\]]*\]")
"""A row of an answer by its keys, as alerts name it."""


def python_in(refusal: str) -> str:
    """Return what only who writes Python knows; nothing where there is none."""
    without_paths = PATH.sub("", refusal)
    found = PAIRED.search(TYPED.sub("''", without_paths)) or PYTHON.search(
        TYPED.sub("", without_paths)
    )
    return found[0] if found else ""
