"""
Vectors of each passage's bare text and of its sentences, on disk. Knows no text.

evidence.npy         float16[m, d]   passage after passage; of each, row 0 is the text alone, then its sentences
evidence_starts.npy  int64[n + 1]    passage i has the rows starts[i] to starts[i + 1]
Both are ordinary NumPy files: `numpy.load(path, mmap_mode="r")` reads them without this program.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from index.errors import SnapshotCorrupt
from index.files import storage_errors
from index.float16 import Bytes, iter_widened
from index.model import Float32, Int64

VECTORS_FILE = "evidence.npy"
STARTS_FILE = "evidence_starts.npy"

_FLOAT16 = np.dtype("<f2")


def write_evidence(folder: Path, matrices: Iterable[Float32], dimension: int = 0) -> None:
    """
    Write one `float32[k_i, d]` after the other, rounded to float16; nothing but the current one is held.

    Args:
        matrices: one per passage, in the order of ordinals; k_i >= 1.
        dimension: d, needed only when there may be no passage at all.

    Raises:
        StorageFailed: the disk is full or failing.
        ValueError: a matrix is empty, or its width differs from the first one's.
    """
    path = folder / VECTORS_FILE
    starts = [0]
    with storage_errors(path), path.open("wb") as file:
        _write_header(file, 0, dimension)
        header_bytes = file.tell()
        for matrix in matrices:
            dimension = dimension or matrix.shape[-1]
            if matrix.ndim != 2 or matrix.shape[0] < 1 or matrix.shape[1] != dimension:
                raise ValueError(f"matrix {len(starts) - 1} must be [k >= 1, {dimension}], got {list(matrix.shape)}")
            file.write(np.ascontiguousarray(matrix, dtype=_FLOAT16).tobytes())
            starts.append(starts[-1] + matrix.shape[0])
        # NumPy leaves room in the header for the first axis to grow, so the final shape fits in place.
        file.seek(0)
        _write_header(file, starts[-1], dimension)
        if file.tell() != header_bytes:
            raise ValueError(f"the header of {path} grew from {header_bytes} to {file.tell()} bytes")
    starts_path = folder / STARTS_FILE
    with storage_errors(starts_path), starts_path.open("wb") as file:
        np.lib.format.write_array(file, np.asarray(starts, dtype="<i8"), version=(1, 0), allow_pickle=False)


def _write_header(file: BinaryIO, n_rows: int, dimension: int) -> None:
    header = {"descr": _FLOAT16.str, "fortran_order": False, "shape": (n_rows, dimension)}
    np.lib.format.write_array_header_1_0(file, header)


class EvidenceVectors:
    """
    What `write_evidence` wrote, memory-mapped; safe to use from many threads.

    The pages are the kernel's and shared by all processes. Reading the rows of 330 passages one by one took 0.6 ms of a
    question's time, and let another thread run 330 times.
    """

    def __init__(self, file: BinaryIO, starts: Int64, dimension: int) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._path = file.name
        shape = (int(starts[-1]), dimension)
        # NumPy maps no file without a byte of data.
        mapped = np.memmap(file, _FLOAT16, "r", file.tell(), shape) if shape[0] else np.empty(shape, _FLOAT16)
        self._mapped: Bytes | None = np.asarray(mapped).view(np.uint8)
        self._starts = starts
        self._counts = np.diff(starts)
        self._counts.setflags(write=False)
        self.n = len(starts) - 1
        self.n_rows = int(starts[-1])
        self.dimension = dimension

    @classmethod
    def open(cls, folder: Path) -> EvidenceVectors:
        """
        Open both files.

        Raises:
            SnapshotCorrupt: a file is not what it should be, or they contradict each other.
        """
        starts = _read_starts(folder / STARTS_FILE)
        path = folder / VECTORS_FILE
        with _reading(path), ExitStack() as opened:
            file = opened.enter_context(path.open("rb"))
            np.lib.format.read_magic(file)
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype != _FLOAT16 or len(shape) != 2:
                raise _corrupt(path, f"it holds {dtype} with {len(shape)} axes, not {_FLOAT16} with 2")
            size, expected = os.fstat(file.fileno()).st_size, file.tell() + shape[0] * shape[1] * _FLOAT16.itemsize
            if size != expected:
                raise _corrupt(path, f"it has {size} bytes, its header says {expected}")
            if starts[-1] != shape[0]:
                raise _corrupt(folder / STARTS_FILE, f"its rows end at {starts[-1]}, {VECTORS_FILE} has {shape[0]}")
            opened.pop_all()
        return cls(file, starts, shape[1])

    def similarities(self, vector: Float32, ordinals: Int64) -> list[Float32]:
        """
        Return the inner products with each passage's rows.

        Args:
            vector: `float32[d]`.
            ordinals: `int64[k]`, in any order.

        Returns:
            k arrays `float32[1 + n_sentences]`: index 0 the text alone, then its sentences. A row's value does not
            depend on which others are asked for.

        Raises:
            ValueError: wrong shape or dtype. IndexError: an ordinal does not exist.
        """
        scores, counts = self._score(vector, ordinals)
        ends = np.cumsum(counts)
        return [scores[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def best(self, vector: Float32, ordinals: Int64) -> tuple[Float32, Float32, Int64]:
        """
        Return what ranking needs of `similarities`, without an array for each passage.

        Returns:
            For each passage the product with its text `float32[k]`, the largest one with a sentence `float32[k]`, and
            which sentence that is, the first of equal ones, `int64[k]`.

        Raises:
            ValueError: wrong shape or dtype, or a passage without a sentence. IndexError: an ordinal does not exist.
        """
        scores, counts = self._score(vector, ordinals)
        if not counts.size:
            return np.empty(0, np.float32), np.empty(0, np.float32), np.empty(0, np.int64)
        if counts.min() < 2:
            raise ValueError("a passage has no sentence")
        first = np.cumsum(counts) - counts
        text = scores[first]
        scores[first] = -np.inf
        best = np.maximum.reduceat(scores, first)
        places = np.flatnonzero(scores == np.repeat(best, counts))
        return text, best, places[np.searchsorted(places, first)] - first - 1

    def _score(self, vector: Float32, ordinals: Int64) -> tuple[Float32, Int64]:
        """Return the products with the rows of these passages, one after the other, and each passage's row count."""
        if vector.shape != (self.dimension,) or vector.dtype != np.float32:
            raise ValueError(f"vector must be float32[{self.dimension}], got {vector.dtype}{list(vector.shape)}")
        rows, counts = self._rows_of(ordinals)
        scores = np.empty(rows.size, np.float32)
        for first, block in self._blocks(rows):
            # einsum sums each row by itself; a matrix product may round a row differently beside other rows.
            np.einsum("ij,j->i", block, vector, out=scores[first : first + len(block)])
        return scores, counts

    def vectors(self, ordinals: Int64) -> list[Float32]:
        """Return each passage's rows as `float32[1 + n_sentences, d]`. Raises IndexError: no such ordinal."""
        rows, counts = self._rows_of(ordinals)
        found = np.empty((rows.size, self.dimension), np.float32)
        for first, block in self._blocks(rows):
            found[first : first + len(block)] = block
        return [found[start:end] for start, end in pairwise([0, *np.cumsum(counts).tolist()])]

    def row_counts(self) -> Int64:
        """Return the number of rows of every passage, `int64[n]`; read-only."""
        return self._counts

    def close(self) -> None:
        """Let go of the file; nothing may be asked afterwards."""
        self._mapped = None
        self._file.close()

    def _rows_of(self, ordinals: Int64) -> tuple[Int64, Int64]:
        """Return the rows of these passages, one passage after the other, and how many each has."""
        wanted = np.asarray(ordinals, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.n):
            raise IndexError(f"ordinals must lie in [0, {self.n}), got {wanted.min()} to {wanted.max()}")
        counts = self._counts[wanted]
        ends = np.cumsum(counts)
        n_rows = int(ends[-1]) if ends.size else 0
        return np.arange(n_rows) + np.repeat(self._starts[wanted] - ends + counts, counts), counts

    def _blocks(self, rows: Int64) -> Iterator[tuple[int, Float32]]:
        """Yield these rows as float32, some at a time, with the place of the first; the next block overwrites it."""
        if self._mapped is None:
            raise RuntimeError("the evidence vectors are closed")
        # Beyond a file's end mapped memory holds zeros, or ends the process.
        if os.fstat(self._file.fileno()).st_size < self._size:
            raise _corrupt(Path(self._path), f"it ends before byte {self._size}")
        return iter_widened(self._mapped, rows)


def _read_starts(path: Path) -> Int64:
    with _reading(path):
        starts = np.load(path, allow_pickle=False)
    if starts.dtype != np.dtype("<i8") or starts.ndim != 1 or not len(starts):
        raise _corrupt(path, f"it holds {starts.dtype} with {starts.ndim} axes, not int64 with 1")
    if starts[0] != 0 or (np.diff(starts) < 1).any():
        raise _corrupt(path, "its rows do not ascend from 0")
    checked: Int64 = starts
    return checked


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, OSError) as error:
        raise _corrupt(path, "NumPy can't read it") from error


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    return SnapshotCorrupt(
        f"the evidence vectors can't be used: {what}",
        where=str(path),
        fix="roll back to an older snapshot or build again",
    )
