"""Rows of float16 in memory or a mapped file, widened to float32 as they are asked for. Pure; knows no index."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from index.model import Float32, Int64

# Rows of float16 values by their bytes: NumPy copies the whole of an array that does not lie on even addresses before
# it takes a row of it, as the numbers in a FAISS file may.
Bytes = npt.NDArray[np.uint8]

# Blocks of this size stay in the processor's cache, and below the size (128 kB) from which the allocator asks the
# kernel for fresh pages each time: the rows of a question at once, 2 MB, take twice as long.
_BLOCK_BYTES = 120_000
# Of a float16 moved up 13 places in an int32 these bits are sign, exponent and mantissa of a float32 that is 2^112
# times too small.
_BITS = np.int32(-0x70002000)
_SCALE = np.float32(2.0**112)


def iter_widened(rows: Bytes, wanted: Int64) -> Iterator[tuple[int, Float32]]:
    """
    Yield some of the wanted rows at a time as `float32[k, d]`, with the place of the first; finite values alone.

    The next block overwrites the one before.

    Args:
        rows: `uint8[m, 2 d]`, the bytes of float16 values, the lower one first.
        wanted: `int64[n]`, each in [0, m).
    """
    width = rows.shape[1] // 2
    size = max(1, min(_BLOCK_BYTES // (4 * width), wanted.size))
    narrow, wide = np.empty((size, width), "<i2"), np.empty((size, width), np.int32)
    for first in range(0, wanted.size, size):
        n = min(size, wanted.size - first)
        np.take(
            rows, wanted[first : first + n], axis=0, out=narrow[:n].view(np.uint8), mode="clip"
        )  # "raise" would copy once more
        yield first, _widen(narrow[:n], wide[:n])


def _widen(narrow: npt.NDArray[np.int16], wide: npt.NDArray[np.int32]) -> Float32:
    """
    Return float16 values, given by their bits, as the same values in float32; they lie in `wide`.

    NumPy converts them one by one, which took half of the time of a question's ranking.
    """
    np.copyto(wide, narrow)
    wide <<= 13
    wide &= _BITS
    values = wide.view(np.float32)
    values *= _SCALE
    return values
