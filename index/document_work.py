"""
What is done with single documents, in whatever process an executor does it. Opens no file; keeps a model.

Everything that goes in and comes out can be sent to another process. What is wrong with a file comes back as a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from index.catalogue_rows import DocumentRows, Reading, to_rows
from index.errors import WorkersFailed
from index.model import EmbeddingInput, PassageEmbedder, PassageVectors
from index.rules import rules_fingerprint
from ingest.errors import SourceError
from ingest.library import Library, Scan, SourceFile
from ingest.model import Document, Passage
from ingest.read import document_of
from ingest.repeated import edge_lines
from ingest.split import SplitConfig, split_document


@dataclass(frozen=True, slots=True)
class ReadSource:
    """One file that became a document: read just now, or found as it was (`document` None)."""

    file: SourceFile
    sha256: str
    reading: Reading
    document: Document | None  # without the marks of repeated lines


@dataclass(frozen=True, slots=True)
class Embeddable:
    """What later phases need of a passage; the rest is in the catalogue already."""

    input: EmbeddingInput
    title: str
    headings: str


@dataclass(frozen=True, slots=True)
class SplitSource:
    """One document ready to be written; `document` is None where its rows are copies."""

    id: str
    sha256: str
    rows: DocumentRows
    passages: tuple[Embeddable, ...]
    warnings: tuple[str, ...]
    document: Document | None


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A file to be read: its bytes, and of the library what concerns it (`library_for`)."""

    library: Library
    file: SourceFile
    data: bytes
    sha256: str
    key: str  # `reading_key`


@dataclass(frozen=True, slots=True)
class SplitJob:
    """A document, marks of repeated lines included, to be cut into passages; `is_fresh`: its file was read just now."""

    document: Document
    sha256: str
    reading: Reading
    is_fresh: bool


def library_for(library: Library, file: SourceFile) -> Library:
    """Return a library as one of its files sees it: small, and of values that can be sent."""
    fields = {file.path: dict(library.fields_of(file.path))}
    return replace(library, root=Path(), defaults=dict(library.defaults), documents=fields, scan=Scan(), warnings=())


def read_documents(jobs: Sequence[ReadJob]) -> list[ReadSource | SourceError]:
    """Return the document of each job, or what is wrong with its file."""
    return [_read(job) for job in jobs]


def _read(job: ReadJob) -> ReadSource | SourceError:
    try:
        document = document_of(job.library, job.file, job.data)
    except SourceError as error:
        # Without its history, which may hold what can't be sent.
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return error
    reading = Reading(job.key, document.has_own_title, edge_lines(document), frozenset())
    return ReadSource(job.file, job.sha256, reading, document)


def split_documents(config: SplitConfig, embedder: PassageEmbedder, jobs: Sequence[SplitJob]) -> list[SplitSource]:
    """Return each job's document as rows and passages; the embedder's tokenizer counts."""
    count_tokens = kept(embedder).count_tokens
    return [_split(job, split_document(job.document, config, count_tokens)) for job in jobs]


def _split(job: SplitJob, passages: tuple[Passage, ...]) -> SplitSource:
    document = job.document
    rows = to_rows(document, passages, job.reading)
    found = tuple(embeddable(document.metadata.title, passage) for passage in passages)
    return SplitSource(document.id, job.sha256, rows, found, document.warnings, document if job.is_fresh else None)


def embed_inputs(embedder: PassageEmbedder, inputs: Sequence[EmbeddingInput]) -> list[PassageVectors]:
    """Return the vectors of each input, by the model that this process has loaded already if it is the same one."""
    return kept(embedder).embed(inputs)


def kept(embedder: PassageEmbedder) -> PassageEmbedder:
    """Return the first of several equal embedders, so that a process loads a model once however often it is sent."""
    found: PassageEmbedder = _kept(embedder)  # type: ignore[arg-type]  # the protocol names no hash, objects have one
    return found


@lru_cache(maxsize=1)
def _kept(embedder: Any) -> Any:
    return embedder


def check_rules(expected: str) -> None:
    """
    Make sure that this process runs the code of the one that asks.

    Raises:
        WorkersFailed: it runs another version; its results could differ.
    """
    if (found := rules_fingerprint()) != expected:
        raise WorkersFailed(
            f"a worker runs other code than this process: {found[:12]}, here {expected[:12]}",
            where="executor",
            fix="install the same version of Citewell and of its libraries on every node",
        )


def embeddable(title: str, passage: Passage) -> Embeddable:
    """Return what later phases need of a passage of a document with this title."""
    sentences = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return Embeddable(
        EmbeddingInput(passage.embedding_prefix, passage.text, sentences),
        title,
        " ".join(heading for heading in passage.heading_path if heading != title),
    )
