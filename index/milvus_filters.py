"""
Filters as expressions of numbers, so that nothing that somebody sends is ever part of an expression. Pure.

What a document can be filtered by becomes 63-bit hashes of "kind, value", its facets. Two of a million values share a
hash with a probability of 1 in 10 million.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date

from index.model import Filters, Int64
from ingest.model import Metadata

UNDATED = 0


def facets_of(metadata: Metadata) -> list[int]:
    """Return a document's facets, ascending."""
    values = [("type", metadata.source_type), ("publisher", metadata.publisher)]
    values += [("tag", tag) for tag in metadata.tags]
    values += [("audience", one) for one in metadata.audience]
    values += [("language", prefix) for prefix in _prefixes(metadata.language)]
    return sorted({_hash(kind, value) for kind, value in values if value})


def day_of(published: date | None) -> int:
    """Return a date as the number of its day, `UNDATED` for none."""
    return UNDATED if published is None else published.toordinal()


def where_passes(filters: Filters) -> str:
    """Return the expression for passages of documents that pass, "" when nothing is restricted."""
    parts = [
        f"array_contains_any(facets, {sorted(_hash(kind, value) for value in wanted)})"
        for kind, wanted in (
            ("type", filters.source_type),
            ("publisher", filters.publisher),
            ("tag", filters.tags),
            ("audience", filters.audience),
            ("language", (_lower(filters.language),) if filters.language else ()),
        )
        if wanted
    ]
    if filters.published_after is not None:
        parts.append(f"published >= {day_of(filters.published_after)}")
    if filters.published_before is not None:
        # A document without a date fails every filter for dates.
        parts.append(f"published > {UNDATED} and published <= {day_of(filters.published_before)}")
    return " and ".join(parts)


def where_ordinals(ordinals: Int64 | Iterable[int]) -> str:
    """Return the expression for these passages."""
    return f"ordinal in [{', '.join(str(int(ordinal)) for ordinal in ordinals)}]"


def _prefixes(language: str) -> Iterator[str]:
    # "en" also finds "en-GB".
    parts = _lower(language).split("-")
    for n in range(1, len(parts) + 1):
        yield "-".join(parts[:n])


def _lower(language: str) -> str:
    # As SQLite does it, whose filters these must equal: ASCII alone.
    return "".join(c.lower() if c.isascii() else c for c in language)


def _hash(kind: str, value: str) -> int:
    digest = hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) >> 1
