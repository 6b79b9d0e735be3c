"""
Haystack as its tutorial on hybrid retrieval begins, without network.

Documents go through DocumentSplitter (its defaults, 200 words; the tutorial says to fit the length to the model), an
embedder and DocumentWriter into InMemoryDocumentStore, which is saved by `save_to_disk`. Questions go through the BM25
and the embedding retriever (10 each, the default) and DocumentJoiner. Two things can't be as in the tutorial. The
sentence-transformers embedders left haystack-ai with version 3 for a package of their own; here stands a component that
calls `SentenceTransformer.encode` with their defaults. The tutorial's joiner concatenates, because a cross-encoder
orders what it joined; that model is not at hand, so the joiner fuses by reciprocal rank, and the concatenation is
measured beside it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from compare_material import TEXTS, read_rows, read_vectors
from compare_side import TOP_K, Found, Job, Reply
from haystack import Document, Pipeline, component
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import DocumentSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from sentence_transformers import SentenceTransformer

from index.model_files import find_model

STORE = "store.json"
_AT_ONCE = 4_096


@component
class DocumentEmbedder:
    """Adds vectors to documents, as SentenceTransformersDocumentEmbedder does with its defaults."""

    def __init__(self) -> None:
        self.model = SentenceTransformer(str(find_model().folder))

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, Any]:
        """Return the documents with their vectors, lists of floats as Haystack has them."""
        vectors = self.model.encode([d.content for d in documents], batch_size=32, show_progress_bar=False)
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(document, embedding=vector.tolist()) for document, vector in pairs]}


@component
class TextEmbedder:
    """Embeds a question, as SentenceTransformersTextEmbedder does with its defaults."""

    def __init__(self) -> None:
        self.model = SentenceTransformer(str(find_model().folder))

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, Any]:
        """Return the vector."""
        return {"embedding": self.model.encode([text], batch_size=32, show_progress_bar=False)[0].tolist()}


class HaystackSide:
    """An in-memory store behind a hybrid pipeline."""

    def prepare(self, job: Job) -> None:
        """Read the documents; make the pipeline that indexes."""
        self._store = InMemoryDocumentStore()
        if not job.embed:
            self._ready = list(_ready_documents(job))
            return
        with job.documents.open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        self._documents = [Document(content=row["text"], meta={"document": row["document"]}) for row in rows]
        self._pipeline = Pipeline()
        self._pipeline.add_component("splitter", DocumentSplitter())
        self._pipeline.add_component("embedder", DocumentEmbedder())
        self._pipeline.add_component("writer", DocumentWriter(self._store))
        self._pipeline.connect("splitter", "embedder")
        self._pipeline.connect("embedder", "writer")

    def build(self, job: Job) -> dict[str, Any]:
        """Index and save; the tutorial does not save, but a process could then not be started on the index."""
        begun = time.perf_counter()
        if job.embed:
            self._pipeline.run({"splitter": {"documents": self._documents}})
        else:
            vectors = read_vectors(job.texts)
            for first in range(0, len(self._ready), _AT_ONCE):
                # A vector is a list of floats here, as Document.embedding is declared.
                rows = np.asarray(vectors[first : first + _AT_ONCE], dtype=np.float32).tolist()
                batch = zip(self._ready[first : first + _AT_ONCE], rows, strict=True)
                self._store.write_documents([replace(document, embedding=row) for document, row in batch])
        indexed = time.perf_counter()
        job.folder.mkdir(parents=True)
        self._store.save_to_disk(str(job.folder / STORE))
        phases = {"index": round(indexed - begun, 3), "save": round(time.perf_counter() - indexed, 3)}
        return {"n": self._store.count_documents(), "phases": phases}

    def open(self, job: Job) -> None:
        """Load the store and make the pipeline that asks."""
        store = InMemoryDocumentStore.load_from_disk(str(job.folder / STORE))
        asking = Pipeline()
        asking.add_component("embedder", TextEmbedder())
        asking.add_component("dense", InMemoryEmbeddingRetriever(store))
        asking.add_component("words", InMemoryBM25Retriever(store))
        asking.add_component("joiner", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=TOP_K))
        asking.connect("embedder", "dense")
        asking.connect("words", "joiner")
        asking.connect("dense", "joiner")
        self._asking = asking
        self._concatenate = DocumentJoiner(top_k=TOP_K)

    def ask(self, text: str) -> Reply:
        """Run the pipeline; the other way of joining takes microseconds and is not worth a clock of its own."""
        inputs = {"embedder": {"text": text}, "words": {"query": text}}
        output = self._asking.run(inputs, include_outputs_from={"words", "dense"})
        lists = [output["words"]["documents"], output["dense"]["documents"]]
        joined = self._concatenate.run(lists)["documents"]
        found = [_place(document) for document in output["joiner"]["documents"]]
        return Reply(found, True, {"concatenated": [_place(document) for document in joined]})


def split(job: Job) -> None:
    """Write the chunks that DocumentSplitter makes of the documents, in the form of `compare_material.write_texts`."""
    job.texts.mkdir(parents=True, exist_ok=True)
    with job.documents.open(encoding="utf-8") as file, (job.texts / TEXTS).open("w", encoding="utf-8") as out:
        for line in file:
            row = json.loads(line)
            whole = Document(content=row["text"], meta={"document": row["document"]})
            for chunk in DocumentSplitter().run([whole])["documents"]:
                name, start, end = _place(chunk)
                if row["text"][start:end] != chunk.content:
                    raise ValueError(f"a chunk of {name} does not stand where DocumentSplitter says")
                place = {"document": name, "start": start, "end": end, "text": chunk.content}
                out.write(json.dumps(place, ensure_ascii=False) + "\n")


def _ready_documents(job: Job) -> Iterator[Document]:
    for number, row in enumerate(read_rows(job.texts)):
        meta = {"document": row["document"], "split_idx_start": row["start"], "end": row["end"], "row": number}
        yield Document(content=row["text"], meta=meta)


def _place(document: Document) -> Found:
    start = document.meta["split_idx_start"]
    return [document.meta["document"], start, document.meta.get("end", start + len(document.content))]


def make() -> HaystackSide:
    """Return the side."""
    return HaystackSide()
