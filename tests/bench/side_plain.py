"""The plain script: sentence-transformers and a FAISS IndexFlatIP, as their documentation puts them together."""

from __future__ import annotations

import json
from typing import Any

import faiss
import numpy as np
from compare_material import read_texts, read_vectors
from compare_side import TOP_K, Job, Reply
from sentence_transformers import SentenceTransformer

from index.model_files import find_model


class PlainSide:
    """Everything in two files: the vectors, and the texts as one JSON list."""

    def prepare(self, job: Job) -> None:
        """Load the model and the texts."""
        self._texts = read_texts(job.texts)
        if job.embed:
            self._model = SentenceTransformer(str(find_model().folder))

    def build(self, job: Job) -> dict[str, Any]:
        """Encode with the library's defaults, add, save."""
        if job.embed:
            vectors = self._model.encode(self._texts, normalize_embeddings=True, show_progress_bar=False)
        else:
            vectors = np.asarray(read_vectors(job.texts), dtype=np.float32)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        job.folder.mkdir(parents=True)
        faiss.write_index(index, str(job.folder / "vectors.faiss"))
        with (job.folder / "texts.json").open("w", encoding="utf-8") as file:
            json.dump(self._texts, file)
        return {"n": len(self._texts)}

    def open(self, job: Job) -> None:
        """Load everything into memory."""
        self._model = SentenceTransformer(str(find_model().folder))
        self._index = faiss.read_index(str(job.folder / "vectors.faiss"))
        with (job.folder / "texts.json").open(encoding="utf-8") as file:
            self._texts = json.load(file)

    def ask(self, text: str) -> Reply:
        """Encode and search."""
        query = self._model.encode([text], normalize_embeddings=True, show_progress_bar=False)
        _, rows = self._index.search(query, TOP_K)
        found = [[int(row)] for row in rows[0] if row >= 0]
        for (row,) in found:
            _ = self._texts[row]
        return Reply(found, True, {})


def make() -> PlainSide:
    """Return the side."""
    return PlainSide()
