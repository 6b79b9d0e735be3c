"""
Whether a document's file is in the corpus folder, and deleting it. Opens no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.errors import CorpusMissing, UnreadableSource
from ingest.library import open_library


@dataclass(frozen=True, slots=True)
class CorpusTrace:
    """What the corpus folder has of a document: its file, and whether library.toml has a table for it."""

    file: Path | None
    has_table: bool


def find_in_corpus(corpus: Path, document_id: str) -> CorpusTrace:
    """
    Return what the corpus has of a document; a file that can't be read counts as well.

    Raises:
        CorpusMissing: there is no such folder. LibraryMalformed: library.toml is not valid.
    """
    try:
        library = open_library(corpus)
    except CorpusMissing:
        if not corpus.is_dir():
            raise
        return CorpusTrace(None, has_table=False)  # not a single document is left
    has_table = document_id in library.documents
    for file in library.files():
        if file.path == document_id:
            return CorpusTrace(file.location, has_table)
    location = library.root / document_id
    is_unreadable = any(failure.where == document_id for failure in library.failures)
    return CorpusTrace(location if is_unreadable else None, has_table)


def delete_file(location: Path, document_id: str) -> None:
    """
    Delete a document's file.

    Raises:
        UnreadableSource: it can't be deleted.
    """
    try:
        location.unlink(missing_ok=True)
    except OSError as error:
        raise UnreadableSource(
            f"can't be deleted: {error.strerror}",
            where=document_id,
            fix="give this user the right to delete it, or delete it yourself",
        ) from error
