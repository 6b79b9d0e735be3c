"""The engine of one machine: FAISS, NumPy and tantivy files in the snapshot's folder. Decides nothing about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from index.catalogue import Catalogue
from index.dense import DenseIndex
from index.dense_config import CANDIDATES_FILE, DENSE_FILE
from index.engine import LOCAL, Parts
from index.errors import SnapshotCorrupt, SnapshotUnsupported, StorageFailed
from index.evidence_vectors import EvidenceVectors
from index.lexical import LexicalIndex
from index.manifest import MANIFEST_FILE, Manifest
from index.model import Filters, Float32, Int64

LEXICAL_FOLDER = "lexical"


class LocalFinder:
    """A `Finder` over the three local indexes; a filter becomes a mask of the catalogue."""

    def __init__(
        self, catalogue: Catalogue, dense: DenseIndex, evidence: EvidenceVectors, lexical: LexicalIndex
    ) -> None:
        self._catalogue = catalogue
        self._dense = dense
        self._evidence = evidence
        self._lexical = lexical

    def nearest(self, vector: Float32, depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """Return the nearest passages, as `DenseIndex.search` does."""
        return self._dense.search(vector, depth, self._catalogue.allowed(filters))

    def best_words(self, weights: Mapping[str, float], depth: int, filters: Filters) -> tuple[Int64, Float32]:
        """Return the best passages by their words, as `LexicalIndex.search_terms` does."""
        return self._lexical.search_terms(weights, depth, self._catalogue.allowed(filters))

    def score_words(self, weights: Mapping[str, float], ordinals: Int64) -> tuple[Int64, Float32]:
        """Return which of these passages hold a term, and their scores."""
        wanted = np.zeros(self._lexical.n, dtype=np.bool_)
        wanted[ordinals] = True
        return self._lexical.search_terms(weights, ordinals.size, wanted)

    def similarities(
        self, vector: Float32, ordinals: Int64, found: tuple[Int64, Float32]
    ) -> tuple[Float32, Float32, Float32, Int64]:
        """Return the exact inner products; those that searching made are not made again."""
        passage = np.full(ordinals.size, np.nan, np.float32)
        passage[np.searchsorted(ordinals, found[0])] = found[1]
        others = np.isnan(passage)
        passage[others] = self._dense.similarities(vector, ordinals[others])
        return passage, *self._evidence.best(vector, ordinals)


class LocalEngine:
    """An `Engine` that leaves everything in the snapshot's folder."""

    name = LOCAL
    is_reachable = True

    def ping(self) -> None:
        """Do nothing: files are there or an error when they are opened."""

    def take_over(self, folder: Path) -> None:  # noqa: ARG002  the protocol's
        """Take nothing."""
        return

    def seal(self, manifest: Manifest) -> None:
        """Do nothing: the manifest is the seal."""

    def check(self, manifest: Manifest) -> None:
        """Refuse a snapshot that is not in its folder. Raises SnapshotUnsupported."""
        if manifest.milvus is not None:
            raise SnapshotUnsupported(
                "the snapshot's passages are in Milvus, and the setting engine is local",
                where=manifest.snapshot_id,
                fix="set engine to milvus and milvus_uri to its server, or build again: citewell build",
            )

    def check_current(self, manifest: Manifest) -> None:
        """Do nothing: CURRENT alone leads here."""

    def open_parts(self, folder: Path, manifest: Manifest, catalogue: Catalogue) -> Parts:
        """Open the files. Raises SnapshotCorrupt, SnapshotUnsupported."""
        self.check(manifest)
        with ExitStack() as opened:
            dense = _open_dense(folder, manifest)
            opened.callback(dense.close)
            evidence = EvidenceVectors.open(folder)
            opened.callback(evidence.close)
            lexical = LexicalIndex.open(folder / LEXICAL_FOLDER)
            opened.pop_all()
        return Parts(dense, evidence, lexical, LocalFinder(catalogue, dense, evidence, lexical))

    def publish(self, manifest: Manifest) -> None:
        """Do nothing: CURRENT is enough."""

    def drop(self, snapshot_id: str, manifest: Manifest | None) -> None:
        """Refuse to lose sight of collections: with the manifest would go what tells that they are there."""
        if manifest is not None and manifest.milvus is not None:
            raise StorageFailed(
                f"{snapshot_id} has collections in Milvus, which can't be deleted while the setting engine is local",
                where=snapshot_id,
                fix="set engine to milvus and milvus_uri, and build or run this again",
            )

    def sweep(self, snapshot_ids: Collection[str]) -> None:
        """Do nothing: the index folder sweeps itself."""

    def leftovers(self, snapshot_ids: Collection[str]) -> list[str]:  # noqa: ARG002  the protocol's
        """Return nothing: the index folder lists its own."""
        return []

    def close(self) -> None:
        """Do nothing: snapshots close their files themselves."""

    def proof(
        self,
        folder: Path,  # noqa: ARG002  the protocol's
        manifest: Manifest,  # noqa: ARG002
        catalogue: Catalogue,  # noqa: ARG002
    ) -> Iterator[tuple[str, str, str]]:
        """Yield nothing: `verify` looks into the files itself."""
        yield from ()


def _open_dense(folder: Path, manifest: Manifest) -> DenseIndex:
    # What the manifest says decides, not what lies there: every process searches alike.
    candidates = folder / CANDIDATES_FILE if not manifest.dense.is_exact else None
    dense = DenseIndex.open(folder / DENSE_FILE, candidates, manifest.dense.effort)
    if (held := "float16" if dense.is_narrow else "float32") != manifest.dense.vectors:
        raise SnapshotCorrupt(
            f"the manifest says that the vectors are held as {manifest.dense.vectors}, they are {held}",
            where=str(folder / MANIFEST_FILE),
            fix="roll back to an older snapshot (citewell rollback) or build again (citewell build)",
        )
    return dense
