"""
Values and protocols shared by the index modules. Imports neither FAISS, torch, tantivy nor sqlite3.

Vectors are `float32`, C-contiguous, unit length. Scores: larger is better. Ranks start at 1. An `ordinal` is the
row of a passage, shared by the dense index, the sentence vectors, the lexical index and the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ingest.model import SourceType

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class EmbeddingInput:
    """One passage as the model sees it: `prefix` (title, headings, context) and `text`; sentences are offsets in it."""

    prefix: str
    text: str
    sentences: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """
    What is kept of one passage: `float32`, rows of unit length, rounded to float16 so that cached and fresh are equal.

    `passage` is `[d]`, prefix included; `evidence` is `[1 + n_sentences, d]`: row 0 the text alone, then its sentences.
    """

    passage: Float32
    evidence: Float32


class PassageEmbedder(Protocol):
    """Embeds passages at build time."""

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over the model's files and settings."""

    @property
    def name(self) -> str:
        """Return the model's name, for people."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of word pieces of each text, without special tokens."""

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """Return the vectors of each input, in its order; `on_done` hears how many more are finished."""

    def export_query_encoder(self, index_dir: Path) -> None:
        """Make sure that the QueryEncoder of this model can be opened from the index folder."""


class QueryEncoder(Protocol):
    """Embeds questions at answer time; never imports torch."""

    @property
    def fingerprint(self) -> str:
        """Return the same fingerprint as the PassageEmbedder it belongs to."""

    @property
    def dimension(self) -> int:
        """Return d."""

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """Return `float32[len(texts), d]`, unit length; empty input gives `[0, d]`."""


@dataclass(frozen=True, slots=True)
class Filters:
    """
    Which documents may answer; empty means no restriction.

    Within a field any value suffices, between fields all must hold. A document without a date fails a date filter.
    """

    source_type: tuple[SourceType, ...] = ()
    tags: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    publisher: tuple[str, ...] = ()
    language: str = ""
    published_after: date | None = None  # on or after
    published_before: date | None = None  # on or before

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is restricted."""
        return self == Filters()


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved passage with the evidence for its place; scores are None where that leg did not find it."""

    ordinal: int
    rank: int
    score: float  # fused, 0 to 1; a preferred kind of source may add a little
    passage_similarity: float  # cosine with the passage and its headings
    text_similarity: float  # cosine with the passage text alone
    sentence_similarity: float  # cosine with its best sentence
    lexical_score: float | None  # BM25
    best_sentence: int  # index into passage.sentences


@dataclass(frozen=True, slots=True)
class DenseText:
    """One wording to embed, and its weight beside the others' (> 0)."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class QueryTerm:
    """
    One term for the lexical index, as its `analyze` gives it; `boost` multiplies its score.

    `stands_for` names the question's own term that this one is another word for: a passage with either covers both.
    """

    term: str
    boost: float = 1.0
    stands_for: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """
    A question as it is searched for; `index.search.plain_query` makes one of a text as it stands.

    Args:
        dense: wordings to embed, the question's own among them; their vectors are added by weight.
        terms: what the lexical index looks for.
        avoid: terms that the question turns down ("without methadone"); passages about them move down.
        matched: names that were recognised, for people: "Vivitrol: extended-release naltrexone".
    """

    dense: tuple[DenseText, ...]
    terms: tuple[QueryTerm, ...]
    avoid: tuple[str, ...] = ()
    matched: tuple[str, ...] = ()
