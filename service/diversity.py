"""
Which of the ranked passages are shown: not twice the same words, not all from one document, testimony not first. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from index.catalogue_rows import StoredPassage
from index.model import Hit
from ingest.model import SourceType

_WORD = re.compile(r"\w+")
# Words in a row that are compared. Two passages that differ in a date or a name still share most runs of three.
_SHINGLE = 3
# Shared runs, of all runs of both, from which two passages count as the same words.
SAME_WORDS = 0.8

Ranked = tuple[Hit, StoredPassage]


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
    return len(one & other) >= SAME_WORDS * len(one | other)


def choose(ranked: Iterable[Ranked], limit: int, max_per_document: int) -> list[Chosen]:
    """
    Take passages in the order of their rank, at most `max_per_document` of each document, none twice.

    Args:
        ranked: best first; read only as far as needed.

    Returns:
        At most `limit`; fewer asked for gives a prefix of more. A passage whose words stand elsewhere too names the
        places that were met on the way.
    """
    chosen: list[Chosen] = []
    seen: list[frozenset[tuple[str, ...]]] = []
    per_document: Counter[str] = Counter()
    for hit, stored in ranked:
        if len(chosen) == limit:
            break
        runs = shingles(stored.passage.text)
        twin = next((c for c, other in zip(chosen, seen, strict=True) if are_same_words(runs, other)), None)
        if twin is not None:
            twin.also_in.append(stored)
        elif per_document[stored.document.id] < max_per_document:
            per_document[stored.document.id] += 1
            chosen.append(Chosen(hit, stored))
            seen.append(runs)
    return chosen


# Asking for what somebody went through, rather than for what is known.
_ASKS_FOR_TESTIMONY = re.compile(
    r"\b(?:experiences?|stor(?:y|ies)|testimon\w*|someone who|anyone (?:who|else)|people who (?:have|had)|"
    r"(?:what|how) (?:does|did|is|was) [\w ]{1,40}(?:feel|like)|been through|blogs?|personal(?:ly)?|peers?)\b",
    re.IGNORECASE,
)


def asks_for_testimony(question: str) -> bool:
    """Tell whether a question asks for somebody's own experience."""
    return _ASKS_FOR_TESTIMONY.search(question) is not None


def hold_back_testimony(ranked: Iterable[Ranked]) -> Iterator[Ranked]:
    """
    Yield the passages with the best one that is no personal testimony in front; the others keep their order.

    One person's story answers a general question about treatment for that person only.
    """
    held: list[Ranked] = []
    rest = iter(ranked)
    for hit, stored in rest:
        if stored.document.metadata.source_type is SourceType.PERSONAL:
            held.append((hit, stored))
            continue
        yield hit, stored
        break
    yield from held
    yield from rest
