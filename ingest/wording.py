"""Wording that tells advice from titles and labels. Words alone; what follows from them is for the callers."""

from __future__ import annotations

import re


def phrase_set(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


# A line that begins with an order or holds a prohibition is advice ("Do Not Mix With Alcohol"), whatever its case.
_ORDERS = phrase_set(
    "ask avoid begin call carry check contact dial do don don't don’t drink eat ensure give go inject keep leave "
    "limit make never phone please put remember report ring say seek sit start stay stop swallow take talk tell "
    "try use wait wake watch"
)
_PROHIBITION = re.compile(r"\b(?:not|never|\w+n[’']t|must|warning|caution|danger|dangerous|emergency)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def reads_as_advice(line: str) -> bool:
    """Tell whether a line orders, forbids or warns, so that nobody may take it for a title or a banner."""
    first = _WORD.search(line)
    return first is not None and (first.group().lower() in _ORDERS or _PROHIBITION.search(line) is not None)
