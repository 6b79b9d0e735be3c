"""
Deterministic stand-ins for the model and the corpus, for tests and for trying things out. No model, no file read.

They are public and documented so that no test needs a fake of its own; nothing of the running service imports them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from index.carry_forward import write_carried
from index.catalogue import write_catalogue
from index.dense import write_dense
from index.dense_config import DENSE_FILE
from index.evidence_vectors import write_evidence
from index.lexical import LexicalRow, write_lexical
from index.manifest import Counts, DenseSearch, Manifest, ModelIdentity
from index.model import EmbeddingInput, Float32, PassageVectors
from index.snapshot import CATALOGUE_FILE, LEXICAL_FOLDER
from index.store import IndexDir
from ingest.assemble import Piece, TextBuilder, assemble_document
from ingest.model import (
    Block,
    BlockKind,
    Document,
    Metadata,
    Passage,
    Repair,
    Source,
    SourceReference,
    SourceType,
)

_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"\S.*?(?:[.?!](?=\s)|$)", re.DOTALL)

Library = tuple[tuple[Document, tuple[Passage, ...]], ...]


class HashingEmbedder:
    """
    A PassageEmbedder and QueryEncoder: the sum of one pseudo-random direction per word. Equal words are similar.

    Args:
        dimension: d.
        name: part of the fingerprint, to have two models that differ.
    """

    def __init__(self, dimension: int = 64, name: str = "hashing") -> None:
        self._dimension = dimension
        self.name = name

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of name and dimension."""
        return hashlib.sha256(f"{self.name}/{self._dimension}".encode()).hexdigest()

    @property
    def dimension(self) -> int:
        """Return d."""
        return self._dimension

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of words of each text."""
        return [len(_WORD.findall(text)) for text in texts]

    def embed(
        self, inputs: Sequence[EmbeddingInput], on_done: Callable[[int], None] | None = None
    ) -> list[PassageVectors]:
        """Return the vectors of each input, in its order; `on_done` hears how many more are finished."""
        results = []
        for item in inputs:
            parts = [item.text, *(item.text[start:end] for start, end in item.sentences)]
            passage = self._encode(f"{item.prefix} {item.text}")
            results.append(PassageVectors(passage, np.stack([self._encode(part) for part in parts])))
            if on_done is not None:
                on_done(1)
        return results

    def export_query_encoder(self, index_dir: Path) -> None:
        """Do nothing: it encodes questions itself."""

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """Return `float32[len(texts), d]`, unit length."""
        rows = [self._encode(text) for text in texts]
        return np.stack(rows) if rows else np.empty((0, self._dimension), np.float32)

    def _encode(self, text: str) -> Float32:
        total = np.zeros(self._dimension)
        for word in _WORD.findall(text.lower()):
            total += self._direction(word)
        if not total.any():
            total[0] = 1.0
        return (total / np.linalg.norm(total)).astype(np.float16).astype(np.float32)

    def _direction(self, word: str) -> Float32:
        stream = hashlib.shake_128(f"{self.name} {word}".encode()).digest(self._dimension)
        return np.frombuffer(stream, np.uint8).astype(np.float32) - 127.5


def tiny_document(path: str, title: str, sections: dict[str, Sequence[str]], **metadata: object) -> Document:
    """
    Return a document with a heading and paragraphs per section.

    A paragraph that begins with "- " is a list item, one that begins with "~ " is furniture.

    Args:
        sections: paragraphs by heading, in order.
        metadata: fields of Metadata.
    """
    builder = TextBuilder()
    for heading, paragraphs in sections.items():
        builder.add(Piece(heading, BlockKind.HEADING, level=2))
        for paragraph in paragraphs:
            kind = BlockKind.LIST_ITEM if paragraph.startswith("- ") else BlockKind.PARAGRAPH
            furniture = "navigation" if paragraph.startswith("~ ") else ""
            builder.add(Piece(paragraph.removeprefix("- ").removeprefix("~ "), kind, furniture=furniture))
    known = Metadata(title=title, **metadata)  # type: ignore[arg-type]  # fields by name, for short tests
    text = builder.finish().text
    source = Source(path, hashlib.sha256(text.encode()).hexdigest(), len(text.encode()))
    return assemble_document(source, "tiny/1", known, builder.finish())


def tiny_passages(document: Document) -> tuple[Passage, ...]:
    """Return one passage per content block, cut into sentences at full stops."""
    passages = []
    for block in document.blocks:
        if block.kind is BlockKind.HEADING or block.furniture:
            continue
        passages.append(_passage(document, block))
    return tuple(passages)


def _passage(document: Document, block: Block) -> Passage:
    text = document.text[block.start : block.end]
    sentences = tuple((block.start + m.start(), block.start + m.end()) for m in _SENTENCE.finditer(text))
    digest = hashlib.sha256(f"{document.id} {block.start} {text}".encode()).hexdigest()
    return Passage(
        id=digest[:20],
        document_id=document.id,
        start=block.start,
        end=block.end,
        text=text,
        title=document.metadata.title,
        heading_path=block.heading_path,
        sentences=sentences,
        pages=document.pages_of(block.start, block.end),
    )


def tiny_documents() -> Library:
    """Return four short documents with their passages; together they use every field a document can have."""
    methadone = tiny_document(
        "guides/methadone.md",
        "Methadone",
        {
            "What it is": ["Methadone is a long-acting opioid. It is taken once a day.", "~ More like this: naloxone"],
            "Who it suits": ["People who use heroin every day.", "- It is taken under supervision at first."],
        },
        publisher="Example Health Service",
        authors=("A. Writer", "B. Éditeur"),
        published=date(2019, 5, 17),
        reviewed=date(2023, 1, 2),
        review_due=date(2026, 1, 2),
        url="https://example.org/methadone",
        license="CC BY 4.0",
        language="en-GB",
        tags=("treatment", "opioids"),
        audience=("public",),
        source_type=SourceType.HEALTH_SERVICE,
        funding="public",
        disclosure="none",
        content_note="mentions injecting",
        sources=(SourceReference("A trial", "A journal", date(2016, 3, 31), "https://example.org/trial"),),
    )
    naloxone = tiny_document(
        "guides/naloxone.md",
        "Naloxone",
        {"Use": ["Naloxone reverses an opioid overdose. Call an ambulance first. 😀 It wears off before heroin does."]},
        publisher="Example Charity",
        published=date(2021, 11, 1),
        language="en",
        tags=("overdose",),
        audience=("public", "families"),
        source_type=SourceType.CHARITY,
    )
    news = tiny_document(
        "news/clinic.html",
        "Clinic opens",
        {"Report": ["A clinic opened on Monday. It offers methadone.", "Withdrawal begins within a day."]},
        source_type=SourceType.NEWS,
        language="es",
    )
    documents = (methadone, naloxone, news, _paged_document())
    return tuple((document, tiny_passages(document)) for document in documents)


def _paged_document() -> Document:
    """Return a document as a PDF reader would make it: pages, and a repaired hyphen."""
    builder = TextBuilder()
    builder.add(Piece("Withdrawal", BlockKind.HEADING, level=1, page_starts=((0, 1),)))
    text = "Withdrawal starts six to twelve hours after the last dose. It peaks on the second day."
    builder.add(Piece(text, BlockKind.PARAGRAPH, repairs=(Repair(4, 4, "-\n", "hyphen"),), page_starts=((59, 2),)))
    extraction = builder.finish(warnings=("page 3 has images and no text",))
    source = Source("papers/withdrawal.pdf", hashlib.sha256(b"%PDF").hexdigest(), 4)
    return assemble_document(source, "pdf/1", Metadata(title="Withdrawal", tags=("opioids",)), extraction)


def write_tiny_snapshot(
    index_dir: IndexDir, library: Library | None = None, embedder: HashingEmbedder | None = None
) -> str:
    """
    Build and publish a snapshot in the steps of a real build; returns its id.

    Args:
        library: documents with their passages, `tiny_documents()` when None.
    """
    library = tiny_documents() if library is None else library
    embedder = embedder or HashingEmbedder()
    passages = [passage for _, found in library for passage in found]
    vectors = embedder.embed([embedding_input(passage) for passage in passages])
    with index_dir.writing() as staging:
        counts = write_catalogue(staging.path / CATALOGUE_FILE, library)
        dense = np.stack([v.passage for v in vectors]) if vectors else np.empty((0, embedder.dimension), np.float32)
        write_dense(staging.path / DENSE_FILE, dense)
        write_evidence(staging.path, (v.evidence for v in vectors), embedder.dimension)
        write_lexical(staging.path / LEXICAL_FOLDER, lexical_rows(passages))
        write_carried(index_dir, staging.path)
        milvus = index_dir.engine.take_over(staging.path)
        manifest = Manifest(
            title="Tiny library",
            counts=Counts(documents=counts.documents, passages=counts.passages, sentences=counts.sentences),
            split={},
            fusion={},
            model=ModelIdentity(name=embedder.name, fingerprint=embedder.fingerprint, dimension=embedder.dimension),
            dense=DenseSearch(vectors="float16"),
            milvus=milvus,
            corpus_sha256=hashlib.sha256("".join(d.text_sha256 for d, _ in library).encode()).hexdigest(),
        )
        index_dir.seal(staging, manifest)
        return index_dir.publish(staging)


def embedding_input(passage: Passage) -> EmbeddingInput:
    """Return a passage as a model sees it."""
    sentences = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return EmbeddingInput(passage.embedding_prefix, passage.text, sentences)


def lexical_rows(passages: Iterable[Passage]) -> Iterable[LexicalRow]:
    """Yield the lexical row of each passage, ordinals from 0."""
    for ordinal, passage in enumerate(passages):
        yield LexicalRow(ordinal, passage.title, " ".join(passage.heading_path), passage.text)
