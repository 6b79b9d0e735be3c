"""
What an engine is: where a snapshot's vectors and words are kept and found. Protocols alone; knows no library.

Two engines keep them: `engine_local.py` in files of the snapshot's folder (FAISS, NumPy, tantivy), `milvus_engine.py`
in collections of a Milvus server. The manifest says which one a snapshot was given to. Catalogue, permalinks and
manifest stay in the folder whatever the engine: every quotation is proven against them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from index.manifest import Manifest, MilvusCollections
from index.model import Filters, Float32, Int64

if TYPE_CHECKING:
    from index.catalogue import Catalogue

LOCAL, MILVUS = "local", "milvus"


class DenseRows(Protocol):
    """The passages' vectors, row = ordinal."""

    n: int
    dimension: int

    def vectors(self, ordinals: Int64) -> Float32:
        """Return these rows, `float32[k, d]`. Raises IndexError: an ordinal does not exist."""

    def close(self) -> None:
        """Let go of what is open."""


class EvidenceRows(Protocol):
    """Of each passage the vector of its text alone, then those of its sentences."""

    n: int
    n_rows: int
    dimension: int

    def vectors(self, ordinals: Int64) -> list[Float32]:
        """Return each passage's rows, `float32[1 + n_sentences, d]`. Raises IndexError: no such ordinal."""

    def row_counts(self) -> Int64:
        """Return the number of rows of every passage, `int64[n]`."""

    def close(self) -> None:
        """Let go of what is open."""


class Words(Protocol):
    """The terms of the passages' titles, headings and texts."""

    n: int

    def __hash__(self) -> int:
        """Return a number of its own: what is made of the terms is kept for each."""

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Return every term with the number of passages that hold it."""

    def analyze(self, text: str) -> list[str]:
        """Return the terms of a text, in order, with repeats."""

    def document_frequency(self, terms: Sequence[str]) -> list[int]:
        """Return for each term how many passages hold it."""

    def ordinals(self) -> Int64:
        """Return the ordinals of all passages, ascending."""

    def close(self) -> None:
        """Let go of what is open."""


class Finder(Protocol):
    """
    Finds and scores passages. The same call on the same snapshot gives the same, in this order, for any engine.

    Scores: larger is better; ties by ordinal ascending. An engine that is out of reach raises `EngineUnreachable`.
    """

    def nearest(self, vector: Float32, depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """
        Return at most `depth` passages near `float32[d]`, best first, none that the filters exclude.

        Returns:
            Their ordinals, and their exact inner products where these came with them, else NaN.
        """

    def best_words(self, weights: Mapping[str, float], depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """Return at most `depth` passages with any of the terms and their BM25 scores, each term's times its weight."""

    def score_words(self, weights: Mapping[str, float], ordinals: Int64) -> tuple[Int64, Float32]:
        """Return those of these passages that hold any of the terms, and their scores, as `best_words` does."""

    def similarities(
        self, vector: Float32, ordinals: Int64, found: tuple[Int64, Float32]
    ) -> tuple[Float32, Float32, Float32, Int64]:
        """
        Return the exact inner products with these passages and with what they say.

        Args:
            ordinals: ascending, `int64[k]`.
            found: what `nearest` gave for the same vector, all of it among them; need not be computed again.

        Returns:
            With each passage, with its text alone, the largest one with a sentence, `float32[k]` each; and which
            sentence that is, the first of equal ones, `int64[k]`.
        """


@dataclass(frozen=True, slots=True)
class Parts:
    """What an engine opened of one snapshot."""

    dense: DenseRows
    evidence: EvidenceRows
    lexical: Words
    finder: Finder


class Engine(Protocol):
    """
    Keeps the parts of snapshots. Only the writer, who holds the index folder's lock, calls what changes anything.

    The order of a build: `sweep`, `take_over`, `seal`, `publish`; later `drop`. What is not sealed is never opened.
    """

    name: str

    @property
    def is_reachable(self) -> bool:
        """Tell whether the engine answered when it was last asked; never waits."""

    def ping(self) -> None:
        """Ask the engine for a sign of life; `is_reachable` tells the outcome. Never raises."""

    def take_over(self, folder: Path) -> MilvusCollections | None:
        """
        Take what a staged folder holds of vectors and words, and delete there what is not needed any more.

        Returns:
            What the manifest has to say of it; None where everything stays in the folder.

        Raises:
            EngineUnreachable, EngineRefused: nothing is published; `sweep` of the next build cleans up.
        """

    def seal(self, manifest: Manifest) -> None:
        """Mark what was taken over as complete, under the snapshot's id. Raises as `take_over`."""

    def check(self, manifest: Manifest) -> None:
        """
        Make sure that a snapshot's parts are there and sealed, in moments; whole proof is `verify`'s.

        Raises:
            SnapshotCorrupt, ModelMismatch: they are not. EngineUnreachable, EngineRefused. SnapshotUnsupported: it
            belongs to another engine.
        """

    def check_current(self, manifest: Manifest) -> None:
        """Make sure that what others are led to is no other model's. Raises ModelMismatch, EngineUnreachable."""

    def open_parts(self, folder: Path, manifest: Manifest, catalogue: Catalogue) -> Parts:
        """Open a snapshot's parts for reading. Raises as `check`, and SnapshotCorrupt for damaged files."""

    def publish(self, manifest: Manifest) -> None:
        """Lead others to this snapshot, at once and as a whole. Raises EngineUnreachable, EngineRefused."""

    def drop(self, snapshot_id: str, manifest: Manifest | None) -> None:
        """
        Delete what is kept of a snapshot; nothing there is no error.

        Args:
            manifest: None where it can't be read.

        Raises:
            StorageFailed, EngineUnreachable, EngineRefused: something of it is left.
        """

    def sweep(self, snapshot_ids: Collection[str]) -> None:
        """Delete what killed writers left: everything of this index that belongs to none of these. Raises as `drop`."""

    def leftovers(self, snapshot_ids: Collection[str]) -> list[str]:
        """Return the names of what `sweep` would delete. Raises as `drop`."""

    def close(self) -> None:
        """Let go of connections; another call opens them again."""

    def proof(self, folder: Path, manifest: Manifest, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
        """Yield what does not hold of the parts beside what `verify` checks anyway: rule, place, what."""
