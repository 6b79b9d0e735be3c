"""
Decides how Milvus finds the nearest passages: by the index that is wished for, if it is proven good enough first.

As `dense_choice.py` does it for the local engine, with the same measure, the same searches and the same floor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from index.dense import DenseIndex
from index.dense_choice import exact_thresholds, measure_recall, noisy_passages
from index.dense_config import DenseConfig
from index.milvus_client import MilvusServer
from index.milvus_config import FLAT, efforts_for, parameters_for, search_parameters
from index.model import Float32, Int64


@dataclass(frozen=True, slots=True)
class MilvusChoice:
    """The index, how hard it looks, its recall against exact search; `note` says why a wish was not followed."""

    index: str = FLAT
    effort: int = 0
    recall_at_10: float = 1.0
    recall_at_200: float = 1.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Search:
    """What `measure_recall` asks: proposals of the server, scored exactly."""

    server: MilvusServer
    name: str
    vectors: Float32
    how: Any = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Return the number of passages."""
        return len(self.vectors)

    def search(self, vector: Float32, depth: int) -> tuple[Int64, Float32]:
        """Return what the server finds, best first."""
        found, _ = self.server.search(self.name, "vector", vector, depth, "", **self.how)
        # Fewer than were asked for count as missed.
        scores = np.full(depth, -np.inf, dtype=np.float32)
        scores[: found.size] = np.sort(self.vectors[found] @ vector)[::-1]
        return found, scores


def choose(server: MilvusServer, name: str, dense: DenseIndex, wished: str) -> MilvusChoice:
    """
    Measure the index that a collection of passages has; replace it by FLAT where it finds too few.

    Raises:
        EngineUnreachable, EngineRefused.
    """
    if wished == FLAT or dense.n == 0:
        return MilvusChoice()
    floor = DenseConfig().recall_floor
    vectors = dense.vectors(np.arange(dense.n))
    queries = noisy_passages(vectors)
    least = exact_thresholds(vectors, queries)
    choice = MilvusChoice()
    for effort in efforts_for(wished, dense.n):
        searching = _Search(server, name, vectors, search_parameters(wished, effort))
        choice = MilvusChoice(wished, effort, *measure_recall(searching, queries, least))
        if min(choice.recall_at_10, choice.recall_at_200) >= floor:
            return choice
    server.replace_index(name, "vector", parameters_for(FLAT, dense.n))
    reached = f"at most {choice.recall_at_10:.3f} of the 10 nearest, {choice.recall_at_200:.3f} of 200"
    return MilvusChoice(note=f"{wished} of Milvus finds {reached}, less than {floor:g}: FLAT is taken")
