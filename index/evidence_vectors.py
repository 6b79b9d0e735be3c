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
    What `write_evidence` wrote. Reads the rows asked for and holds none; safe to use from many threads.

    Rows are read, not memory-mapped: mapped, the whole file would in time count as this process's memory (190 MB for
    44,000 passages); reading the rows of 200 passages takes 0.36 ms instead of 0.18.
    """

    def __init__(self, file: BinaryIO, starts: Int64, dimension: int) -> None:
        self._file = file
        self._offset = file.tell()
        self._path = file.name
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
        if vector.shape != (self.dimension,) or vector.dtype != np.float32:
            raise ValueError(f"vector must be float32[{self.dimension}], got {vector.dtype}{list(vector.shape)}")
        rows, ends = self._read(ordinals)
        # einsum sums each row by itself; a matrix product may round a row differently beside other rows.
        scores: Float32 = np.einsum("ij,j->i", rows, vector)
        return [scores[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def vectors(self, ordinals: Int64) -> list[Float32]:
        """Return each passage's rows as `float32[1 + n_sentences, d]`. Raises IndexError: no such ordinal."""
        rows, ends = self._read(ordinals)
        return [rows[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def row_counts(self) -> Int64:
        """Return the number of rows of every passage, `int64[n]`; read-only."""
        return self._counts

    def close(self) -> None:
        """Let go of the file; nothing may be asked afterwards."""
        self._file.close()

    def _read(self, ordinals: Int64) -> tuple[Float32, Int64]:
        """Return the rows of these passages, one after the other, and where each passage's rows end."""
        wanted = np.asarray(ordinals, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.n):
            raise IndexError(f"ordinals must lie in [0, {self.n}), got {wanted.min()} to {wanted.max()}")
        row_bytes = self.dimension * _FLOAT16.itemsize
        counts = self._starts[wanted + 1] - self._starts[wanted]
        ends = np.cumsum(counts)
        buffer = bytearray(int(counts.sum()) * row_bytes)
        view, filled, descriptor = memoryview(buffer), 0, self._file.fileno()
        places = (self._starts[wanted] * row_bytes + self._offset).tolist()
        for place, size in zip(places, (counts * row_bytes).tolist(), strict=True):
            # A position of its own for each read, so that threads share the file.
            if os.preadv(descriptor, [view[filled : filled + size]], place) != size:
                raise _corrupt(Path(self._path), f"it ends before byte {place + size}")
            filled += size
        return np.frombuffer(buffer, _FLOAT16).reshape(-1, self.dimension).astype(np.float32), ends


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
