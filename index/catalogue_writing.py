"""
Documents and passages into SQLite, once. Holds SQL (as catalogue.py and vector_cache.py do); knows no vectors.

`documents` has a row per document, `contents` its text, blocks, repairs and pages, `passages` a row per passage whose
key is its ordinal. A passage's text is stored besides the document's, so that the two can be compared when an answer
is made. `readings` says what each document was made from, so that the next build can tell whether it may copy these
rows instead of reading the file again. `catalogue_rows` says what the columns hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from index.catalogue_rows import CatalogueCounts, DocumentRows, Row, to_rows
from index.files import storage_failed
from ingest.model import Document, Passage

_SCHEMA = """
CREATE TABLE counts (documents INTEGER NOT NULL, passages INTEGER NOT NULL, sentences INTEGER NOT NULL);
CREATE TABLE documents (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, source_sha256 TEXT NOT NULL, source_bytes INTEGER NOT NULL,
  reader TEXT NOT NULL, title TEXT NOT NULL, publisher TEXT NOT NULL, authors TEXT NOT NULL, published TEXT,
  reviewed TEXT, review_due TEXT, url TEXT NOT NULL, license TEXT NOT NULL, language TEXT NOT NULL,
  tags TEXT NOT NULL, audience TEXT NOT NULL, source_type TEXT NOT NULL, funding TEXT NOT NULL,
  disclosure TEXT NOT NULL, content_note TEXT NOT NULL, sources TEXT NOT NULL, text_sha256 TEXT NOT NULL,
  n_chars INTEGER NOT NULL, n_blocks INTEGER NOT NULL, n_pages INTEGER NOT NULL, first_ordinal INTEGER NOT NULL,
  n_passages INTEGER NOT NULL, warnings TEXT NOT NULL);
CREATE TABLE contents (
  number INTEGER PRIMARY KEY, text TEXT NOT NULL, blocks TEXT NOT NULL, repairs TEXT NOT NULL,
  page_starts TEXT NOT NULL);
CREATE TABLE passages (
  ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL, document INTEGER NOT NULL, start_char INTEGER NOT NULL,
  end_char INTEGER NOT NULL, text TEXT NOT NULL, title TEXT NOT NULL, heading_path TEXT NOT NULL,
  sentences TEXT NOT NULL, first_page INTEGER, last_page INTEGER, element_id TEXT NOT NULL, context TEXT NOT NULL);
CREATE TABLE readings (
  number INTEGER PRIMARY KEY, key TEXT NOT NULL, has_own_title INTEGER NOT NULL, edge_lines TEXT NOT NULL,
  repeated_lines TEXT NOT NULL);
"""
# Made after the rows: passage ids come in no order, and keeping an index up to date meanwhile costs seeks.
_INDEXES = """
CREATE UNIQUE INDEX document_ids ON documents (id);
CREATE UNIQUE INDEX passage_ids ON passages (id);
"""


def write_catalogue(
    path: Path, documents: Iterable[tuple[Document, Sequence[Passage]] | DocumentRows]
) -> CatalogueCounts:
    """
    Write a new catalogue, holding one document at a time; passages get ordinals in order, from 0.

    Equal input gives equal bytes (with the same SQLite version), whether a document comes as itself or as the rows
    that an older catalogue holds of it.

    Raises:
        StorageFailed: the disk is full or failing.
        ValueError: two documents or two passages share an id, or a passage names another document.
    """
    n_documents = n_passages = n_sentences = 0
    with _write_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        # Nothing to roll back to: a catalogue that is not complete is thrown away with its staging folder, and
        # sealing forces it to the disk.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(f"{_SCHEMA} BEGIN;")
        for item in documents:
            rows = item if isinstance(item, DocumentRows) else to_rows(*item)
            _write_document(connection, rows.placed(n_documents, n_passages))
            n_documents += 1
            n_passages += len(rows.passages)
            n_sentences += rows.n_sentences
        connection.execute("INSERT INTO counts VALUES (?, ?, ?)", (n_documents, n_passages, n_sentences))
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)
    return CatalogueCounts(n_documents, n_passages, n_sentences)


def _write_document(connection: sqlite3.Connection, rows: DocumentRows) -> None:
    _insert(connection, "documents", [rows.document])
    _insert(connection, "contents", [rows.content])
    _insert(connection, "passages", rows.passages)
    _insert(connection, "readings", [rows.reading])


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - constants of this module


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ValueError(f"two rows share an id: {error}") from error
    except sqlite3.OperationalError as error:
        raise storage_failed(path, f"the catalogue: {error}") from error
