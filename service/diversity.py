"""
Which of the ranked passages are shown: not twice the same words, not all from one document, testimony not first. Pure.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from index.catalogue_rows import StoredPassage
from index.model import Hit

_WORD = re.compile(r"\w+")
# Words in a row that are compared. Two passages that differ in a date or a name still share most runs of three.
_SHINGLE = 3
# Shared runs, of all runs of both, from which two passages count as the same words.
SAME_WORDS = 0.8

# The first places are the ranking's; from then on a passage of a document that is shown already stands back by so much,
# on the fused scale of 0 to 1. Gold documents in the first five of questions with several rise from .87 to .92 (starter
# library) and from .86 to 1.0 (articles), and no kind's hit@1 or hit@3 changes. Standing back from the second place on
# reaches .94 and costs .04 hit@3 on facts; at most two per document cost .02 hit@5 on the NIH questions.
KEPT_PLACES = 3
REPEAT_COST = 0.15


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a ranked passage before it is read; `place` is its rank less one, `document` a number."""

    place: int
    score: float
    document: int
    is_testimony: bool


@dataclass(slots=True)
class Chosen:
    """A passage to show, and where else the same words stand."""

    hit: Hit
    stored: StoredPassage
    also_in: list[StoredPassage] = field(default_factory=list)


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the runs of three words of a text, case and punctuation left out; a shorter text is one run."""
    words = [word.casefold() for word in _WORD.findall(text)]
    if len(words) < _SHINGLE:
        return frozenset({tuple(words)})
    return frozenset(zip(*(words[i:] for i in range(_SHINGLE)), strict=False))


def are_same_words(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    """
    Tell whether two passages say nearly the same, word for word.

    Source: resemblance of shingled documents, Broder 1997.
    """
    n_shared = len(one & other)
    return n_shared >= SAME_WORDS * (len(one) + len(other) - n_shared)


def choose(
    ranked: Iterable[Candidate],
    limit: int,
    max_per_document: int,
    read: Callable[[Candidate], tuple[Hit, StoredPassage]],
) -> list[Chosen]:
    """
    Take passages one after the other, at most `max_per_document` of each document, none twice.

    The first `KEPT_PLACES` are those of the ranking. After them a passage of a document that is not shown yet comes
    before one that scores up to `REPEAT_COST` more: a question that several documents answer shows several.

    Args:
        ranked: best first, by `score` from `KEPT_PLACES` on; gone through only as far as needed.
        read: returns the passage of a candidate; asked for those alone whose turn comes.

    Returns:
        At most `limit`; fewer asked for gives a prefix of more. A passage whose words stand elsewhere too names the
        places that were met on the way.

    Source: greedy choice by relevance less redundancy, Carbonell and Goldstein 1998; the document is the redundancy.
    """
    rest = iter(ranked)
    waiting = list(islice(rest, 1))
    chosen: list[Chosen] = []
    seen: list[frozenset[tuple[str, ...]]] = []
    shown: Counter[int] = Counter()

    def standing(one: Candidate) -> float:
        return one.score - REPEAT_COST * (one.document in shown)

    while waiting and len(chosen) < limit:
        is_kept = len(chosen) < KEPT_PLACES
        # Of equal ones the first.
        one = waiting.pop(0 if is_kept else max(range(len(waiting)), key=lambda i: standing(waiting[i])))
        hit, stored = read(one)
        runs = shingles(stored.passage.text)
        twin = next((c for c, other in zip(chosen, seen, strict=True) if are_same_words(runs, other)), None)
        if twin is not None:
            twin.also_in.append(stored)
        elif shown[one.document] < max_per_document:
            shown[one.document] += 1
            chosen.append(Chosen(hit, stored))
            seen.append(runs)
        if len(chosen) < KEPT_PLACES:
            waiting += islice(rest, 1)
        else:
            _read_on(rest, waiting, standing)
    return chosen


def _read_on(rest: Iterator[Candidate], waiting: list[Candidate], standing: Callable[[Candidate], float]) -> None:
    """Add to those that wait until no passage further down can stand higher than the best of them."""
    best = max((standing(one) for one in waiting), default=-math.inf)
    for one in rest:
        waiting.append(one)
        best = max(best, standing(one))
        if one.score <= best:
            return


# Asking for what somebody went through, rather than for what is known.
_ASKS_FOR_TESTIMONY = re.compile(
    r"\b(?:experiences?|stor(?:y|ies)|testimon\w*|someone who|anyone (?:who|else)|people who (?:have|had)|"
    r"(?:what|how) (?:does|did|is|was) [\w ]{1,40}(?:feel|like)|been through|blogs?|personal(?:ly)?|peers?)\b",
    re.IGNORECASE,
)


def asks_for_testimony(question: str) -> bool:
    """Tell whether a question asks for somebody's own experience."""
    return _ASKS_FOR_TESTIMONY.search(question) is not None


def hold_back_testimony(ranked: Iterable[Candidate]) -> Iterator[Candidate]:
    """
    Yield the passages with the best one that is no personal testimony in front; the others keep their order.

    One person's story answers a general question about treatment for that person only.
    """
    held: list[Candidate] = []
    rest = iter(ranked)
    for one in rest:
        if one.is_testimony:
            held.append(one)
            continue
        yield one
        break
    yield from held
    yield from rest
