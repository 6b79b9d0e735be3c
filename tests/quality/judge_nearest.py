"""Which passages of an index, and which sentence of a passage, are likest to a question, by the index's own vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from index.encoder import OnnxQueryEncoder
from index.snapshot import Snapshot


class IndexNearest:
    """Nearest by the index's own vectors; a question is encoded once."""

    def __init__(self, snapshot: Snapshot, encoder: OnnxQueryEncoder) -> None:
        self._snapshot, self._encoder = snapshot, encoder
        self._last: tuple[str, Any] = ("", None)

    def __call__(self, question: str, among: Sequence[int] | None, depth: int) -> list[int]:
        """Return the ordinals of the likest passages."""
        if among is not None and len(among) == 1:
            return list(among)
        vector = self._vector(question)
        if among is None:
            return [int(o) for o in self._snapshot.dense.search(vector, depth)[0]]
        ordinals = np.array(sorted(among), dtype=np.int64)
        similarity = self._snapshot.dense.similarities(vector, ordinals)
        return [int(ordinals[i]) for i in np.argsort(-similarity, kind="stable")[:depth]]

    def best_sentence(self, question: str, ordinal: int, without: int | None = None) -> int:
        """Return which sentence of a passage is likest to the question, counted without the one left out."""
        row = self._snapshot.evidence.similarities(self._vector(question), np.array([ordinal], dtype=np.int64))[0][1:]
        return int(np.argmax([s for i, s in enumerate(row) if i != without]))

    def _vector(self, question: str) -> Any:
        if self._last[0] != question:
            self._last = (question, self._encoder.encode_queries([question])[0])
        return self._last[1]
