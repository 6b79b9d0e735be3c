"""
From a library's files to the rows of a catalogue, taking over what the live snapshot holds. Writes nothing.

The result is the same, byte for byte, whether everything, something or nothing was taken over: a document is taken
over only if nothing that it depends on changed, and the marks of `ingest.repeated`, which depend on all documents
together, are compared and made anew where they differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from index.catalogue_rows import DocumentRows, Reading, StoredDocument, read_passage, to_rows
from index.errors import SnapshotCorrupt
from index.model import EmbeddingInput
from index.reuse import Previous, reading_key
from ingest.errors import SourceError, UnreadableSource
from ingest.library import Library, SourceFile
from ingest.model import Document, Passage
from ingest.read import document_of
from ingest.repeated import edge_lines, lines_to_mark, mark_repeated, repeated_lines, unmark_repeated
from ingest.split import CountTokens, SplitConfig, split_document

OnDone = Callable[[int, int], None]  # done, total


@dataclass(frozen=True, slots=True)
class ReadSource:
    """One file that became a document: read just now, or found as it was (`stored`)."""

    file: SourceFile
    sha256: str
    reading: Reading
    document: Document | None  # without the marks of repeated lines
    stored: StoredDocument | None


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


def read_sources(library: Library, previous: Previous, on_done: OnDone) -> tuple[list[ReadSource], list[SourceError]]:
    """
    Read every file, those that did not change only as far as to see that.

    Returns:
        What became a document, by path, and why the others did not.
    """
    found: list[ReadSource] = []
    failures: list[SourceError] = []
    files = library.files()
    on_done(0, len(files))
    for n_done, file in enumerate(files, start=1):
        try:
            found.append(_read(library, file, previous))
        except SourceError as error:
            failures.append(error)
        on_done(n_done, len(files))
    return found, failures


def _read(library: Library, file: SourceFile, previous: Previous) -> ReadSource:
    data = library.read_bytes(file)
    sha256 = hashlib.sha256(data).hexdigest()
    key = reading_key(library, file, sha256)
    if (reusable := previous.reusable(file.path, key)) is not None:
        stored, reading = reusable
        return ReadSource(file, sha256, reading, None, stored)
    document = document_of(library, file, data)
    reading = Reading(key, document.has_own_title, edge_lines(document), frozenset())
    return ReadSource(file, sha256, reading, document, None)


def split_sources(
    library: Library,
    sources: Sequence[ReadSource],
    previous: Previous,
    config: SplitConfig,
    fingerprint: str,
    count_tokens: CountTokens,
) -> Iterator[SplitSource]:
    """
    Yield each document with its passages, holding no more than one.

    Args:
        fingerprint: of the model whose tokenizer counts.

    Raises:
        SourceError: a file that has to be read a second time, as the live snapshot lost it, is gone too.
    """
    repeated = repeated_lines(source.reading.edges for source in sources)
    splits_alike = previous.splits_alike(config, fingerprint)
    for source in sources:
        marked = lines_to_mark(source.reading.edges, repeated)
        same = splits_alike and marked == source.reading.repeated
        if same and (copy := _copied(source, previous)) is not None:
            yield copy
            continue
        document = mark_repeated(_document(library, source, previous), repeated)
        passages = split_document(document, config, count_tokens)
        rows = to_rows(document, passages, replace(source.reading, repeated=marked))
        embeddable = tuple(_embeddable(document.metadata.title, passage) for passage in passages)
        fresh = None if source.document is None else document
        yield SplitSource(document.id, source.sha256, rows, embeddable, document.warnings, fresh)


def _document(library: Library, source: ReadSource, previous: Previous) -> Document:
    """Return a document without the marks of repeated lines."""
    if source.document is not None:
        return source.document
    if source.stored is not None and previous.catalogue is not None:
        try:
            return unmark_repeated(previous.catalogue.full_document(source.stored.id))
        except SnapshotCorrupt:
            pass  # the file itself is still there
    document = document_of(library, source.file, library.read_bytes(source.file))
    if document.source.sha256 != source.sha256:
        what = "changed while the index was built"
        raise UnreadableSource(what, where=source.file.path, fix="build again once nothing writes to it")
    return document


def _copied(source: ReadSource, previous: Previous) -> SplitSource | None:
    """Return a document as the live snapshot has it, None where it was read anew or its rows are lost."""
    stored = source.stored
    if stored is None:
        return None
    try:
        rows = previous.rows_of(stored)
    except SnapshotCorrupt:
        return None
    passages = (read_passage(row, stored).passage for row in rows.passages)
    embeddable = tuple(_embeddable(stored.metadata.title, passage) for passage in passages)
    return SplitSource(stored.id, source.sha256, rows, embeddable, stored.warnings, None)


def _embeddable(title: str, passage: Passage) -> Embeddable:
    sentences = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return Embeddable(
        EmbeddingInput(passage.embedding_prefix, passage.text, sentences),
        title,
        " ".join(heading for heading in passage.heading_path if heading != title),
    )
