"""The dense index: exact inner products over unit vectors. The only module that imports FAISS; knows no text."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import faiss as _faiss
import numpy as np

from index.errors import SnapshotCorrupt
from index.files import storage_errors
from index.model import Float32, Int64, Mask

# The type information that FAISS ships lacks the arguments that its Python layer adds.
faiss: Any = _faiss

# How many hits beyond `depth` are looked at for ties with the last one; more are fetched when they do not suffice.
_TIE_MARGIN = 16
# Of k-means. On 46,000 passages 6 rounds leave the mean similarity to the centre at .649, 10 at .651.
_ROUNDS = 10


def write_dense(path: Path, vectors: Float32) -> None:
    """
    Write the rows as an exact inner-product index (FAISS IndexFlatIP), row = ordinal.

    Args:
        vectors: `float32[n, d]`, finite, C-contiguous; n may be 0.

    Raises:
        StorageFailed: the disk is full or failing.
        ValueError: wrong dtype or shape, or a value that is not finite.
    """
    if vectors.dtype != np.float32 or vectors.ndim != 2 or not vectors.flags.c_contiguous:
        raise ValueError(f"vectors must be C-contiguous float32[n, d], got {vectors.dtype}{list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors hold a value that is not finite")
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    with storage_errors(path), path.open("wb") as file:
        _write_through(index, file)


def _write_through(index: Any, file: BinaryIO) -> None:
    # FAISS's own file writer leaves the last bytes to fclose and only prints when that fails: a full disk would
    # go unnoticed. Python's file raises. An exception would not come through FAISS whole, so it is kept aside.
    failures: list[OSError] = []

    def write(data: bytes) -> None:
        if failures:
            return
        try:
            file.write(data)
        except OSError as error:
            failures.append(error)

    faiss.write_index(index, faiss.PyCallbackIOWriter(write))
    if failures:
        raise failures[0]
    file.flush()


def k_means(vectors: Float32, n_clusters: int, seed: int, n_starts: int = 1) -> Float32:
    """
    Return the centres of clusters of unit vectors, `float32[n_clusters, d]`, unit length; the same for the same input.

    Args:
        vectors: `float32[n, d]`, C-contiguous, n >= n_clusters.
        n_starts: random beginnings; the tightest outcome is taken. Few clusters get stuck more easily than many.

    Raises:
        ValueError: fewer vectors than clusters.
    """
    if not 1 <= n_clusters <= vectors.shape[0]:
        raise ValueError(f"can't make {n_clusters} clusters of {vectors.shape[0]} vectors")
    # Threads add in any order, and sums would differ in their last digits.
    faiss.omp_set_num_threads(1)
    trainer = faiss.Kmeans(
        vectors.shape[1],
        n_clusters,
        niter=_ROUNDS,
        nredo=n_starts,
        seed=seed,
        spherical=True,
        # FAISS would drop vectors above, and complain on standard error below, its own bounds.
        min_points_per_centroid=1,
        max_points_per_centroid=vectors.shape[0],
    )
    trainer.train(vectors)
    centres: Float32 = trainer.centroids
    return centres


class DenseIndex:
    """
    Rows of unit vectors on disk, row = ordinal. Safe to search from many threads.

    The file is memory-mapped: it is held once for all processes, and reading it costs no private memory.
    """

    def __init__(self, index: Any) -> None:
        self._index = index
        self.n = int(index.ntotal)
        self.dimension = int(index.d)

    @classmethod
    def open(cls, path: Path) -> DenseIndex:
        """
        Open what `write_dense` wrote.

        Raises:
            SnapshotCorrupt: not a flat inner-product index, or shorter than it says.
        """
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
        except RuntimeError as error:
            raise _corrupt(path, "FAISS can't read it") from error
        if not isinstance(index, faiss.IndexFlatIP):
            raise _corrupt(path, f"it holds a {type(index).__name__}, not an IndexFlatIP")
        return cls(index)

    def search(self, vector: Float32, depth: int, allowed: Mask | None = None) -> tuple[Int64, Float32]:
        """
        Return the nearest rows and their inner products, score descending, ties by ordinal ascending.

        Args:
            vector: `float32[d]`.
            depth: most hits to return.
            allowed: `bool[n]`; rows that are False are not found.

        Returns:
            `(int64[k], float32[k])`, k = min(depth, rows allowed).

        Raises:
            ValueError: wrong shape or dtype.
        """
        self._check(vector)
        available, parameters = self.n, None
        if allowed is not None:
            if allowed.shape != (self.n,) or allowed.dtype != np.bool_:
                raise ValueError(f"allowed must be bool[{self.n}], got {allowed.dtype}{list(allowed.shape)}")
            available = int(np.count_nonzero(allowed))
            bits = np.packbits(allowed, bitorder="little")
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        depth = min(depth, available)
        if depth < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # OpenMP's setting belongs to the thread: set it in the one that searches. Workers share the cores already.
        faiss.omp_set_num_threads(1)
        fetch = min(depth + _TIE_MARGIN, available)
        while True:
            scores, ordinals = (row[0] for row in self._index.search(vector[None, :], fetch, params=parameters))
            if fetch == available or scores[depth - 1] > scores[-1]:
                break
            # Which of equal rows FAISS keeps is its own affair, so all that tie with the last hit are fetched.
            fetch = min(fetch * 4, available)
        order = np.lexsort((ordinals, -scores))[:depth]
        return ordinals[order], scores[order]

    def similarities(self, vector: Float32, ordinals: Int64) -> Float32:
        """
        Return the inner products with these rows, `float32[k]`, bit for bit those that `search` gives.

        Raises:
            ValueError: wrong shape or dtype. IndexError: an ordinal does not exist.
        """
        self._check(vector)
        labels = self._check_ordinals(ordinals)[None, :]
        scores = np.empty(labels.shape, np.float32)
        if labels.size:
            query = np.ascontiguousarray(vector[None, :])
            faiss.omp_set_num_threads(1)
            self._index.compute_distance_subset(
                1, faiss.swig_ptr(query), labels.shape[1], faiss.swig_ptr(scores), faiss.swig_ptr(labels)
            )
        products: Float32 = scores[0]
        return products

    def vectors(self, ordinals: Int64) -> Float32:
        """Return copies of these rows, `float32[k, d]`. Raises IndexError: an ordinal does not exist."""
        labels = self._check_ordinals(ordinals)
        if not labels.size:
            return np.empty((0, self.dimension), np.float32)
        rows: Float32 = self._index.reconstruct_batch(labels)
        return rows

    def close(self) -> None:
        """Let go of the file; nothing may be asked afterwards."""
        self._index = None

    def _check(self, vector: Float32) -> None:
        if vector.shape != (self.dimension,) or vector.dtype != np.float32:
            raise ValueError(f"vector must be float32[{self.dimension}], got {vector.dtype}{list(vector.shape)}")
        if not np.isfinite(vector).all():
            raise ValueError("vector holds a value that is not finite")

    def _check_ordinals(self, ordinals: Int64) -> Int64:
        # FAISS reads past the end of the file for a row that does not exist.
        labels = np.ascontiguousarray(ordinals, dtype=np.int64)
        if labels.size and (labels.min() < 0 or labels.max() >= self.n):
            raise IndexError(f"ordinals must lie in [0, {self.n}), got {labels.min()} to {labels.max()}")
        return labels


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        f"the dense index can't be used: {what}", where=str(path), fix="roll back to an older snapshot or build again"
    )
