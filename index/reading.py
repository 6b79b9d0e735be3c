"""
From a library's files to the rows of a catalogue, taking over what the live snapshot holds. Writes nothing.

The result is the same, byte for byte, whether everything, something or nothing was taken over: a document is taken
over only if nothing that it depends on changed, and the marks of `ingest.repeated`, which depend on all documents
together, are compared and made anew where they differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from index.catalogue_rows import read_passage
from index.document_work import (
    ReadJob,
    ReadSource,
    SplitJob,
    SplitSource,
    embeddable,
    library_for,
    read_documents,
    split_documents,
)
from index.errors import SnapshotCorrupt
from index.executor import BuildExecutor, Job, in_order
from index.model import PassageEmbedder
from index.reuse import Previous, reading_key
from ingest.errors import SourceError, UnreadableSource
from ingest.library import Library, SourceFile
from ingest.model import Document
from ingest.read import document_of
from ingest.repeated import lines_to_mark, mark_repeated, repeated_lines, unmark_repeated
from ingest.split import SplitConfig

OnDone = Callable[[int, int], None]  # done, total


def read_sources(
    library: Library, previous: Previous, executor: BuildExecutor, on_done: OnDone
) -> tuple[list[ReadSource], list[SourceError]]:
    """
    Read every file, those that did not change only as far as to see that.

    Their bytes are read here, so that an executor's workers need not see the folder.

    Returns:
        What became a document, by path, and why the others did not.
    """
    found: list[ReadSource] = []
    failures: list[SourceError] = []
    files = library.files()
    on_done(0, len(files))
    begun = (_begin(library, file, previous) for file in files)
    read: Iterator[ReadSource | SourceError] = in_order(executor, read_documents, begun)
    for n_done, source in enumerate(read, start=1):
        if isinstance(source, SourceError):
            failures.append(source)
        else:
            found.append(source)
        on_done(n_done, len(files))
    return found, failures


def _begin(library: Library, file: SourceFile, previous: Previous) -> Job[ReadJob] | ReadSource | SourceError:
    """Return what is known of a file already, else what is left to do."""
    try:
        data = library.read_bytes(file)
        sha256 = hashlib.sha256(data).hexdigest()
        key = reading_key(library, file, sha256)
    except SourceError as error:
        return error
    if (reusable := previous.reusable(file.path, key)) is not None:
        _, reading = reusable
        return ReadSource(file, sha256, reading, None)
    return Job(ReadJob(library_for(library, file), file, data, sha256, key), len(data))


def split_sources(
    library: Library,
    sources: Sequence[ReadSource],
    previous: Previous,
    config: SplitConfig,
    embedder: PassageEmbedder,
    executor: BuildExecutor,
) -> Iterator[SplitSource]:
    """
    Yield each document with its passages, in order, holding no more than the executor has on its way.

    Args:
        embedder: its tokenizer counts.

    Raises:
        SourceError: a file that has to be read a second time, as the live snapshot lost it, is gone too.
    """
    repeated = repeated_lines(source.reading.edges for source in sources)
    splits_alike = previous.splits_alike(config, embedder.fingerprint)

    def begun() -> Iterator[Job[SplitJob] | SplitSource]:
        for source in sources:
            marked = lines_to_mark(source.reading.edges, repeated)
            same = splits_alike and marked == source.reading.repeated
            if same and (copy := _copied(source, previous)) is not None:
                yield copy
                continue
            document = mark_repeated(_document(library, source, previous), repeated)
            reading = replace(source.reading, repeated=marked)
            job = SplitJob(document, source.sha256, reading, source.document is not None)
            yield Job(job, len(document.text))

    return in_order(executor, partial(split_documents, config, embedder), begun())


def _document(library: Library, source: ReadSource, previous: Previous) -> Document:
    """Return a document without the marks of repeated lines."""
    if source.document is not None:
        return source.document
    stored = previous.documents.get(source.file.path)
    if stored is not None and previous.catalogue is not None:
        try:
            return unmark_repeated(previous.catalogue.full_document(stored.id))
        except SnapshotCorrupt:
            pass  # the file itself is still there
    document = document_of(library, source.file, library.read_bytes(source.file))
    if document.source.sha256 != source.sha256:
        what = "changed while the index was built"
        raise UnreadableSource(what, where=source.file.path, fix="build again once nothing writes to it")
    return document


def _copied(source: ReadSource, previous: Previous) -> SplitSource | None:
    """Return a document as the live snapshot has it, None where it was read anew or its rows are lost."""
    if source.document is not None:
        return None
    stored = previous.documents[source.file.path]
    try:
        rows = previous.rows_of(stored)
    except SnapshotCorrupt:
        return None
    passages = (read_passage(row, stored).passage for row in rows.passages)
    found = tuple(embeddable(stored.metadata.title, passage) for passage in passages)
    return SplitSource(stored.id, source.sha256, rows, found, stored.warnings, None)
