"""
txtai as its documentation begins: `Embeddings(path=..., content=True, hybrid=True)`, `index`, `save`, `load`, `search`.

Ready vectors come in through a custom vectors class, which txtai takes by name: it answers for data with the next rows
and leaves questions to txtai's own encoder. Everything else, the faiss index that txtai chooses by size (flat up to
5,000 rows, then IVF over the full vectors), BM25 and the SQLite database of texts, is txtai's.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from compare_material import read_texts, read_vectors
from compare_side import TOP_K, Job, Reply
from txtai import Embeddings
from txtai.vectors import HFVectors

from index.model_files import find_model


class ReadyVectors(HFVectors):  # type: ignore[misc]  # txtai ships no types
    """txtai's own vectors for questions, given rows for data."""

    rows: ClassVar[Any] = None
    done: ClassVar[int] = 0

    def loadmodel(self, path: str) -> Any:
        """Load as txtai does where no method is named."""
        self.config = {**self.config, "method": None}
        return super().loadmodel(path)

    def encode(self, data: list[Any], category: str | None = None) -> Any:
        """Return the next rows for data, in its order."""
        if category != "data":
            return super().encode(data, category)
        first = ReadyVectors.done
        ReadyVectors.done += len(data)
        return np.asarray(ReadyVectors.rows[first : first + len(data)], dtype=np.float32)


class TxtaiSide:
    """A hybrid txtai index with content."""

    def prepare(self, job: Job) -> None:
        """Load the model and the texts."""
        self._texts = read_texts(job.texts)
        own = {} if job.embed else {"method": "side_txtai.ReadyVectors"}
        if not job.embed:
            ReadyVectors.rows = read_vectors(job.texts)
        self._embeddings = Embeddings(path=str(find_model().folder), content=True, hybrid=True, **own)

    def build(self, job: Job) -> dict[str, Any]:
        """Index the list of texts and save."""
        self._embeddings.index(self._texts)
        self._embeddings.save(str(job.folder))
        return {"n": self._embeddings.count(), "index": str(self._embeddings.config.get("backend", ""))}

    def open(self, job: Job) -> None:
        """Load the saved index."""
        self._embeddings = Embeddings()
        self._embeddings.load(str(job.folder))

    def ask(self, text: str) -> Reply:
        """Search; ids are the places in the list that was indexed, texts come from txtai's database."""
        found = self._embeddings.search(text, TOP_K)
        return Reply([[int(row["id"])] for row in found if row["text"]], True, {})


def make() -> TxtaiSide:
    """Return the side."""
    return TxtaiSide()
