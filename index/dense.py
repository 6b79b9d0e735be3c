"""
The dense index: inner products over unit vectors. The only module that imports FAISS; knows no text.

All vectors lie in a flat index of float16 values, which is what they are rounded to when they are made, and every score
comes from there; up to format 2 it held the same values as float32. In a large library a second, quantised index beside
it proposes the rows worth scoring; `dense_choice.py` decides whether there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import faiss as _faiss
import numpy as np

from index.dense_config import EXACT_ROWS
from index.errors import SnapshotCorrupt
from index.files import storage_errors
from index.float16 import Bytes, iter_widened
from index.model import Float32, Int64, Mask

# The type information that FAISS ships lacks the arguments that its Python layer adds.
faiss: Any = _faiss

# How many hits beyond `depth` are looked at for ties with the last one; more are fetched when they do not suffice.
_TIE_MARGIN = 16
# How many rows the quantised index proposes at least, to be scored exactly. SQ8 changes the order of neighbours: of 400
# proposed by a scan of all codes the best 200 were the exact ones for each of 250 questions on 46,000 passages.
PROPOSED = 400
# Of the sample that centres are made of: FAISS wants 39 to 256 rows a centre, more cost time and bring little.
_ROWS_PER_CENTRE = 64
_SEED = 20_261
_ROWS_AT_ONCE = 10_000
_LINKS_EXPLORED = 100
# Of k-means. On 46,000 passages 6 rounds leave the mean similarity to the centre at .649, 10 at .651.
_ROUNDS = 10


def write_dense(path: Path, vectors: Float32) -> None:
    """
    Write the rows as an exact inner-product index (FAISS IndexScalarQuantizer of float16), row = ordinal.

    Args:
        vectors: `float32[n, d]`, finite, C-contiguous, every value one that float16 has; n may be 0.

    Raises:
        StorageFailed: the disk is full or failing.
        ValueError: wrong dtype or shape, or a value that is not finite or would be rounded.
    """
    if vectors.dtype != np.float32 or vectors.ndim != 2 or not vectors.flags.c_contiguous:
        raise ValueError(f"vectors must be C-contiguous float32[n, d], got {vectors.dtype}{list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors hold a value that is not finite")
    index = faiss.IndexScalarQuantizer(vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    for first in range(0, len(vectors), _ROWS_AT_ONCE):
        rows = vectors[first : first + _ROWS_AT_ONCE]
        if not np.array_equal(rows.astype(np.float16), rows):
            raise ValueError("vectors hold a value that float16 does not have")
        index.add(rows)
    _write(index, path)


def _write(index: Any, path: Path) -> None:
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


class Candidates:
    """
    A quantised index that proposes rows near a vector; row = ordinal.

    Codes of every row that are scanned within registers (PQ), lists around centres (IVF) or a graph (HNSW). `effort` of
    a search is the number of rows proposed, of lists looked at (nprobe), or the length of the graph's queue (efSearch).
    """

    def __init__(self, index: Any) -> None:
        self._index = index
        self.n = int(index.ntotal)
        self.dimension = int(index.d)
        self.n_lists = int(index.nlist) if isinstance(index, faiss.IndexIVF) else 0
        self.is_scan = isinstance(index, faiss.IndexPQFastScan)

    @classmethod
    def train(cls, vectors: Float32, factory: str) -> Candidates:
        """
        Return an index of all rows, the same for the same rows, made by one thread.

        Args:
            vectors: `float32[n, d]`, C-contiguous, n at least the number of lists.
            factory: as `dense_choice.parse_dense_index` lets it through.
        """
        # Threads add in any order: centres would differ in their last digits, and a graph in its links.
        faiss.omp_set_num_threads(1)
        index = faiss.index_factory(vectors.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        if isinstance(index, faiss.IndexIVF):
            index.cp.niter, index.cp.seed, index.cp.spherical = _ROUNDS, _SEED, True
            index.cp.min_points_per_centroid, index.cp.max_points_per_centroid = 1, _ROWS_PER_CENTRE
        elif isinstance(index, faiss.IndexHNSW):
            index.hnsw.efConstruction = _LINKS_EXPLORED
        else:
            index.pq.cp.niter, index.pq.cp.seed, index.pq.cp.min_points_per_centroid = _ROUNDS, _SEED, 1
        index.train(vectors)
        index.add(vectors)
        return cls(index)

    @classmethod
    def open(cls, path: Path) -> Candidates:
        """
        Open what `write` wrote, memory-mapped.

        Raises:
            SnapshotCorrupt: not an inner-product index of one of the three kinds, or shorter than it says.
        """
        index = _read(path)
        kinds = faiss.IndexPQFastScan | faiss.IndexIVF | faiss.IndexHNSW
        if not isinstance(index, kinds) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise _corrupt(path, f"it holds a {type(index).__name__}, not a PQ, IVF or HNSW index of inner products")
        return cls(index)

    def write(self, path: Path) -> None:
        """Write the index. Raises StorageFailed: the disk is full or failing."""
        _write(self._index, path)

    def propose(
        self, vector: Float32, depth: int, effort: int, bits: Any = None, available: int | None = None
    ) -> Int64 | None:
        """
        Return rows that are likely to hold the `depth` nearest, in no order; None where it finds too few.

        The rows are the same for every depth up to 200, and so is what is chosen of them: the best few of a short
        search are the first of a long one. Rows that tie with the last one are among them.

        Args:
            bits: one bit a row, 8 a byte, the lowest first; rows whose bit is 0 are not found.
            available: how many bits are set.
        """
        available = self.n if available is None else available
        wanted = min(max(effort, 4 * depth) if self.is_scan else max(PROPOSED, 2 * depth), available)
        fetch = min(wanted + _TIE_MARGIN, available)
        while True:
            parameters = self._parameters(max(effort, 1), fetch, bits)
            scores, rows = (row[0] for row in self._index.search(vector[None, :], fetch, params=parameters))
            scores, rows = scores[rows >= 0], rows[rows >= 0]
            if rows.size < wanted:
                return None
            if rows.size < fetch or fetch == available or scores[-1] < scores[wanted - 1]:
                proposed: Int64 = rows[scores >= scores[wanted - 1]]
                return proposed
            fetch = min(fetch * 4, available)

    def _parameters(self, effort: int, fetch: int, bits: Any) -> Any:
        selector = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        if self.is_scan:
            return None
        if self.n_lists:
            return faiss.SearchParametersIVF(nprobe=min(effort, self.n_lists), **selector)
        return faiss.SearchParametersHNSW(efSearch=max(effort, fetch), **selector)


class DenseIndex:
    """
    Rows of unit vectors on disk, row = ordinal. Safe to search from many threads.

    The files are memory-mapped: they are held once for all processes, and reading them costs no private memory. The
    codes of a PQ index are not: FAISS copies them, 9 MB for 46,000 passages.

    Args:
        candidates: proposes rows where all are too many; None: every search is exact.
        effort: how hard they look.
    """

    def __init__(self, index: Any, candidates: Candidates | None = None, effort: int = 0) -> None:
        self._index = index
        self.n = int(index.ntotal)
        self.dimension = int(index.d)
        self.candidates = candidates
        self.effort = effort
        self._narrow = None if isinstance(index, faiss.IndexFlatIP) else _codes_of(index)

    @classmethod
    def open(cls, path: Path, candidates: Path | None = None, effort: int = 0) -> DenseIndex:
        """
        Open what `write_dense` wrote, now or up to format 2, and what `Candidates.write` wrote beside it.

        Raises:
            SnapshotCorrupt: not a flat inner-product index, or shorter than it says; or the two do not agree.
        """
        index = _read(path)
        is_narrow = isinstance(index, faiss.IndexScalarQuantizer) and index.sq.qtype == faiss.ScalarQuantizer.QT_fp16
        if not isinstance(index, faiss.IndexFlatIP) and not is_narrow:
            raise _corrupt(path, f"it holds a {type(index).__name__}, not a flat index of float16 or float32")
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise _corrupt(path, "it is no index of inner products")
        if candidates is None:
            return cls(index)
        near = Candidates.open(candidates)
        if (near.n, near.dimension) != (index.ntotal, index.d):
            what = f"it has {near.n} rows of {near.dimension}, {path.name} has {index.ntotal} of {index.d}"
            raise _corrupt(candidates, what)
        return cls(index, near, effort)

    @property
    def is_narrow(self) -> bool:
        """Tell whether the file holds float16 values."""
        return self._narrow is not None

    def with_candidates(self, candidates: Candidates | None, effort: int = 0) -> DenseIndex:
        """Return the same rows, found through these candidates; exactly when None."""
        return DenseIndex(self._index, candidates, effort)

    def search(self, vector: Float32, depth: int, allowed: Mask | None = None) -> tuple[Int64, Float32]:
        """
        Return the nearest rows and their inner products, score descending, ties by ordinal ascending.

        With candidates a row may be missing that they do not propose; what is there has its exact score. Where a mask
        leaves few rows, or the candidates find too few, the search is exact.

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
        available, bits = self.n, None
        if allowed is not None:
            if allowed.shape != (self.n,) or allowed.dtype != np.bool_:
                raise ValueError(f"allowed must be bool[{self.n}], got {allowed.dtype}{list(allowed.shape)}")
            available = int(np.count_nonzero(allowed))
            bits = np.packbits(allowed, bitorder="little")
        depth = min(depth, available)
        if depth < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        # OpenMP's setting belongs to the thread: set it in the one that searches. Workers share the cores already.
        faiss.omp_set_num_threads(1)
        ordinals = self._propose(vector, depth, bits, available)
        if ordinals is None:
            ordinals = self._search_all(vector, depth, bits, available)
        elif ordinals.size > 2 * depth:
            # FAISS scores them four times as fast as NumPy widens them; only what may be found is scored by both.
            among = np.zeros(self.n, np.bool_)
            among[ordinals] = True
            ordinals = self._search_all(vector, depth, np.packbits(among, bitorder="little"), ordinals.size)
        scores = self.similarities(vector, ordinals)
        order = np.lexsort((ordinals, -scores))[:depth]
        return ordinals[order], scores[order]

    def _propose(self, vector: Float32, depth: int, bits: Any, available: int) -> Int64 | None:
        """Return the rows to score, None for all."""
        if self.candidates is None:
            return None
        if bits is None:
            return self.candidates.propose(vector, depth, self.effort)
        if available <= EXACT_ROWS or not self.candidates.n_lists:
            return None  # a graph loses rows behind a filter, and a scan takes none
        # What passes a filter may lie in lists far from the vector, so every list is looked at: nothing is lost.
        return self.candidates.propose(vector, depth, self.candidates.n_lists, bits, available)

    def _search_all(self, vector: Float32, depth: int, bits: Any, available: int) -> Int64:
        """Return at least the `depth` nearest rows, and all that tie with the last of them."""
        parameters = None if bits is None else faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        fetch = min(depth + _TIE_MARGIN, available)
        while True:
            scores, ordinals = (row[0] for row in self._index.search(vector[None, :], fetch, params=parameters))
            if fetch == available or scores[depth - 1] > scores[-1]:
                found: Int64 = ordinals
                return found
            # Which of equal rows FAISS keeps is its own affair, so all that tie with the last hit are fetched.
            fetch = min(fetch * 4, available)

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
            if self._narrow is None:
                self._index.compute_distance_subset(
                    1, faiss.swig_ptr(query), labels.shape[1], faiss.swig_ptr(scores), faiss.swig_ptr(labels)
                )
            else:
                # Widened, so that each product is the one that the same values as float32 gave, to the last digit.
                for first, rows in iter_widened(self._narrow, labels[0]):
                    part = scores[0, first : first + len(rows)]
                    faiss.fvec_inner_products_ny(
                        faiss.swig_ptr(part), faiss.swig_ptr(query), faiss.swig_ptr(rows), self.dimension, len(rows)
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
        """Let go of the files; nothing may be asked afterwards."""
        self._index = self.candidates = self._narrow = None

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


def _read(path: Path) -> Any:
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)
    except RuntimeError as error:
        raise _corrupt(path, "FAISS can't read it") from error


def _codes_of(index: Any) -> Bytes:
    """Return the rows as they lie in the file, which is mapped as long as the index is there."""
    n_values = int(index.ntotal) * int(index.d)
    if not n_values:
        return np.empty((0, 2 * int(index.d)), np.uint8)
    codes: Bytes = faiss.rev_swig_ptr(index.codes.data(), 2 * n_values)
    return codes.reshape(int(index.ntotal), 2 * int(index.d))


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        f"the dense index can't be used: {what}", where=str(path), fix="roll back to an older snapshot or build again"
    )
