"""Rows of float16, widened."""

from __future__ import annotations

import numpy as np
import pytest

from index.float16 import iter_widened
from index.model import Float32, Int64

# Every finite value that float16 has, below the normal ones and both zeros included.
EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
EVERY = EVERY[np.isfinite(EVERY)]


def widened(rows: np.ndarray, wanted: Int64) -> Float32:
    found = np.empty((wanted.size, rows.shape[1] // 2), np.float32)
    for first, block in iter_widened(rows, wanted):
        found[first : first + len(block)] = block
    return found


def test_every_value_is_the_same_value() -> None:
    """This ensures that widening changes no bit of any value: NumPy's own conversion is the measure."""
    rows = EVERY[:, None]

    found = widened(rows.view(np.uint8), np.arange(len(EVERY)))

    assert found.tobytes() == rows.astype(np.float32).tobytes()


@pytest.mark.parametrize("n", [0, 1, 77, 78, 79, 500])
@pytest.mark.parametrize("is_aligned", [True, False])
def test_rows_come_in_the_order_asked_for(n: int, is_aligned: bool) -> None:
    """This ensures that blocks are put together right, and that rows may lie on odd addresses as in a FAISS file."""
    random = np.random.default_rng(n)
    rows = random.standard_normal((100, 384)).astype(np.float16)
    data = rows.tobytes() if is_aligned else b"x" + rows.tobytes()
    stored = np.frombuffer(data, np.uint8)[0 if is_aligned else 1 :].reshape(100, 768)
    wanted = random.integers(0, 100, n)

    assert widened(stored, wanted).tobytes() == rows[wanted].astype(np.float32).tobytes()
