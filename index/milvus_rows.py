"""Passages and vectors as rows for Milvus. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterator

from index.bm25 import SparseVector
from index.catalogue_rows import StoredPassage
from index.milvus_client import MOST_TEXT_BYTES
from index.milvus_filters import day_of, facets_of
from index.milvus_parts import PLACES
from index.model import Float32


def passage_row(stored: StoredPassage, vector: Float32, terms: SparseVector) -> dict[str, object]:
    """Return the row of `..._passages` for one passage."""
    return {**described(stored), "vector": vector, "terms": terms}


def described(stored: StoredPassage) -> dict[str, object]:
    """Return the columns that say which passage it is, where it stands and what it can be filtered by."""
    passage, document = stored.passage, stored.document
    return {
        "ordinal": stored.ordinal,
        "id": passage.id,
        "document": fitting(document.id),
        "start": passage.start,
        "end": passage.end,
        "words": fitting(passage.text),
        "facets": facets_of(document.metadata),
        "published": day_of(document.metadata.published),
    }


def evidence_rows(ordinal: int, vector: Float32, evidence: Float32) -> Iterator[dict[str, object]]:
    """Yield the rows of `..._evidence` for one passage: itself, then its text and sentences."""
    for place, row in enumerate((vector, *evidence)):
        yield {"row": ordinal * PLACES + place, "ordinal": ordinal, "vector": row}


def fitting(text: str) -> str:
    """Return as much of a text as Milvus takes. What is quoted comes from the catalogue, so nothing is lost."""
    return text.encode("utf-8")[:MOST_TEXT_BYTES].decode("utf-8", "ignore")
