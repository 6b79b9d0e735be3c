"""
Documents and passages in SQLite: written once, then only read. Holds SQL (as vector_cache.py does); knows no vectors.

`documents` has a row per document, `contents` its text, blocks, repairs and pages, `passages` a row per passage whose
key is its ordinal. A passage's text is stored besides the document's, so that the two can be compared when an answer
is made. `catalogue_rows` says what the columns hold.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any
from urllib.parse import quote

import numpy as np

from index.catalogue_rows import (
    CONTENT_COLUMNS,
    PASSAGE_COLUMNS,
    CatalogueCounts,
    Row,
    StoredDocument,
    StoredPassage,
    content_row,
    document_row,
    passage_row,
    read_content,
    read_document,
    read_passage,
)
from index.errors import SnapshotCorrupt
from index.files import storage_failed
from index.model import Filters, Int64, Mask
from index.text_cache import TextCache
from ingest.model import Document, Passage, text_sha256

__all__ = ["Catalogue", "CatalogueCounts", "StoredDocument", "StoredPassage", "write_catalogue"]

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
"""
# Made after the rows: passage ids come in no order, and keeping an index up to date meanwhile costs seeks.
_INDEXES = """
CREATE UNIQUE INDEX document_ids ON documents (id);
CREATE UNIQUE INDEX passage_ids ON passages (id);
"""

_ANY_OF = "EXISTS (SELECT 1 FROM json_each(d.{column}) WHERE value IN (SELECT value FROM json_each(?)))"

# Queries take tens of microseconds: a few connections serve any number of threads. All are opened at once, because
# the folder may be gone (collected) by the time another would be wanted.
_N_CONNECTIONS = 4
_N_MASKS = 16


def write_catalogue(path: Path, documents: Iterable[tuple[Document, Sequence[Passage]]]) -> CatalogueCounts:
    """
    Write a new catalogue, holding one document at a time; passages get ordinals in order, from 0.

    Equal input gives equal bytes (with the same SQLite version).

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
        for document, passages in documents:
            _write_document(connection, n_documents, document, n_passages, passages)
            n_documents += 1
            n_passages += len(passages)
            n_sentences += sum(len(passage.sentences) for passage in passages)
        connection.execute("INSERT INTO counts VALUES (?, ?, ?)", (n_documents, n_passages, n_sentences))
        connection.execute("COMMIT")
        connection.executescript(_INDEXES)
    return CatalogueCounts(n_documents, n_passages, n_sentences)


def _write_document(
    connection: sqlite3.Connection, number: int, document: Document, ordinal: int, passages: Sequence[Passage]
) -> None:
    for passage in passages:
        if passage.document_id != document.id:
            raise ValueError(f"passage {passage.id} belongs to {passage.document_id}, not to {document.id}")
    rows = [passage_row(ordinal + i, number, passage) for i, passage in enumerate(passages)]
    _insert(connection, "documents", [document_row(number, document, ordinal, len(passages))])
    _insert(connection, "contents", [content_row(number, document)])
    _insert(connection, "passages", rows)


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


class Catalogue:
    """
    A catalogue opened for reading. Safe to use from many threads.

    `SnapshotCorrupt` may come from any method, when a row is damaged.
    """

    def __init__(self, path: Path, connections: Sequence[sqlite3.Connection], text_cache_bytes: int) -> None:
        self._path = path
        self._free: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in connections:
            self._free.put(connection)
        self._is_closed = False
        self._texts = TextCache(text_cache_bytes)
        self._masks: OrderedDict[Filters, Mask] = OrderedDict()
        self._lock = Lock()
        counts = self._one("SELECT documents, passages, sentences FROM counts")
        if counts is None:
            raise self._corrupt("it has no counts")
        self.n_documents, self.n_passages, self.n_sentences = (int(n) for n in counts)

    @classmethod
    def open(cls, path: Path, text_cache_bytes: int = 16_000_000) -> Catalogue:
        """
        Open what `write_catalogue` wrote.

        Args:
            text_cache_bytes: how much memory the document texts read last may take.

        Raises:
            SnapshotCorrupt: missing, no catalogue, or damaged.
        """
        # "immutable" lets SQLite skip all locks and works on a read-only file system.
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        connections: list[sqlite3.Connection] = []
        try:
            for _ in range(_N_CONNECTIONS):
                connections.append(sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None))
            return cls(path, connections, text_cache_bytes)
        except (sqlite3.Error, SnapshotCorrupt) as error:
            for connection in connections:
                connection.close()
            if isinstance(error, SnapshotCorrupt):
                raise
            raise _corrupt(path, str(error)) from error

    def document(self, document_id: str) -> StoredDocument | None:
        """Return one document, None when there is none of that id."""
        row = self._one("SELECT * FROM documents WHERE id = ?", (_encodable(document_id),))
        return None if row is None else self._document(row)

    def list_documents(self, offset: int = 0, limit: int = 100, filters: Filters | None = None) -> list[StoredDocument]:
        """Return documents that pass the filters, by id ascending."""
        condition, values = _condition(filters)
        sql = f"SELECT d.* FROM documents d WHERE {condition} ORDER BY d.id LIMIT ? OFFSET ?"  # noqa: S608 - see _condition
        return [self._document(row) for row in self._all(sql, (*values, max(limit, 0), max(offset, 0)))]

    def count_documents(self, filters: Filters | None = None) -> int:
        """Return how many documents pass the filters."""
        condition, values = _condition(filters)
        row = self._one(f"SELECT count(*) FROM documents d WHERE {condition}", values)  # noqa: S608 - see _condition
        return 0 if row is None else int(row[0])

    def iter_documents(self) -> Iterator[StoredDocument]:
        """Yield every document in the order of ordinals."""
        last = -1
        while rows := self._all("SELECT * FROM documents WHERE number > ? ORDER BY number LIMIT 256", (last,)):
            last = rows[-1][0]
            yield from (self._document(row) for row in rows)

    def text(self, document_id: str) -> str:
        """
        Return a document's whole text; its SHA-256 is checked whenever it is read from the disk.

        Raises:
            KeyError: no document of that id.
        """
        cached = self._texts.get(document_id)
        if cached is not None:
            return cached
        sql = "SELECT d.text_sha256, c.text FROM documents d JOIN contents c ON c.number = d.number WHERE d.id = ?"
        row = self._one(sql, (_encodable(document_id),))
        if row is None:
            raise KeyError(document_id)
        expected, text = row
        if not isinstance(text, str) or (actual := text_sha256(text)) != expected:
            found = actual if isinstance(text, str) else type(text).__name__
            raise self._corrupt(f"the text of {document_id} has SHA-256 {found}, recorded is {expected}")
        self._texts.put(document_id, text)
        return text

    def full_document(self, document_id: str) -> Document:
        """
        Return a document with text, blocks, repairs and pages; nothing is cached or compared.

        Raises:
            KeyError: no document of that id.
        """
        sql = "SELECT c.*, d.* FROM documents d JOIN contents c ON c.number = d.number WHERE d.id = ?"
        row = self._one(sql, (_encodable(document_id),))
        if row is None:
            raise KeyError(document_id)
        width = len(CONTENT_COLUMNS)
        with self._decoding(f"document {document_id}"):
            return read_content(read_document(row[width:]), row[:width])

    def passages(self, ordinals: Sequence[int] | Int64) -> list[StoredPassage]:
        """
        Return passages in the order asked for, by one query.

        Raises:
            IndexError: there is no such ordinal.
        """
        wanted = [int(ordinal) for ordinal in ordinals]
        # Integers only, so the list is its own JSON; it arrives as one bound value.
        sql = (
            "SELECT p.*, d.* FROM json_each(?) j JOIN passages p ON p.ordinal = j.value "
            "JOIN documents d ON d.number = p.document ORDER BY j.key"
        )
        found = self._stored_passages(sql, (str(wanted),))
        if len(found) != len(wanted):
            missing = sorted(set(wanted) - {passage.ordinal for passage in found})
            raise IndexError(f"no passages with the ordinals {missing[:5]} among {self.n_passages}")
        return found

    def passage_by_id(self, passage_id: str) -> StoredPassage | None:
        """Return one passage, None when there is none of that id."""
        sql = "SELECT p.*, d.* FROM passages p JOIN documents d ON d.number = p.document WHERE p.id = ?"
        found = self._stored_passages(sql, (_encodable(passage_id),))
        return found[0] if found else None

    def passages_of(self, document_id: str) -> list[StoredPassage]:
        """Return a document's passages by ordinal; [] when there is no document of that id."""
        sql = (
            "SELECT p.*, d.* FROM documents d JOIN passages p "
            "ON p.ordinal >= d.first_ordinal AND p.ordinal < d.first_ordinal + d.n_passages "
            "WHERE d.id = ? ORDER BY p.ordinal"
        )
        return self._stored_passages(sql, (_encodable(document_id),))

    def allowed(self, filters: Filters) -> Mask | None:
        """Return `bool[n_passages]`, True where the document passes; None when nothing is restricted. Read-only."""
        if filters.is_empty:
            return None
        with self._lock:
            if (cached := self._masks.get(filters)) is not None:
                self._masks.move_to_end(filters)
                return cached
        condition, values = _condition(filters)
        mask: Mask = np.zeros(self.n_passages, np.bool_)
        sql = f"SELECT d.first_ordinal, d.n_passages FROM documents d WHERE {condition}"  # noqa: S608 - see _condition
        for first, n in self._all(sql, values):
            mask[first : first + n] = True
        mask.setflags(write=False)
        with self._lock:
            self._masks[filters] = mask
            while len(self._masks) > _N_MASKS:
                self._masks.popitem(last=False)
        return mask

    def measured_counts(self) -> CatalogueCounts:
        """Return what is really there, by counting rows and sentences; takes time in proportion."""
        row = self._one(
            "SELECT (SELECT count(*) FROM documents), (SELECT count(*) FROM passages), "
            "(SELECT coalesce(sum(json_array_length(sentences)), 0) FROM passages)"
        )
        return CatalogueCounts(*(row or (0, 0, 0)))

    def close(self) -> None:
        """Close all connections; one that is in use is closed when its query is done."""
        self._is_closed = True
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return

    def _stored_passages(self, sql: str, values: Sequence[Any]) -> list[StoredPassage]:
        width = len(PASSAGE_COLUMNS)
        documents: dict[int, StoredDocument] = {}
        found = []
        for row in self._all(sql, values):
            number = row[width]
            if number not in documents:
                documents[number] = self._document(row[width:])
            with self._decoding(f"passage {row[0]}"):
                found.append(read_passage(row[:width], documents[number]))
        return found

    def _document(self, row: Sequence[Any]) -> StoredDocument:
        with self._decoding(f"document row {row[0]}"):
            return read_document(row)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None

    def _all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        if self._is_closed:
            raise RuntimeError("the catalogue is closed")
        connection = self._free.get()
        try:
            return connection.execute(sql, values).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise self._corrupt(str(error)) from error
        finally:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._free.put(connection)
        if self._is_closed:
            self.close()

    @contextmanager
    def _decoding(self, what: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, TypeError, KeyError) as error:
            raise self._corrupt(f"{what} is damaged: {error}") from error

    def _corrupt(self, what: str) -> SnapshotCorrupt:
        return _corrupt(self._path, what)


def _condition(filters: Filters | None) -> tuple[str, list[str]]:
    """
    Return a WHERE condition on `documents d` and its values. A document without a date fails a date filter.

    The condition is put together from the constants below; what was asked for is bound, never part of it.
    """
    parts, values = ["1"], list[str]()
    filters = filters or Filters()
    for condition, wanted in (
        ("d.source_type IN (SELECT value FROM json_each(?))", filters.source_type),
        ("d.publisher IN (SELECT value FROM json_each(?))", filters.publisher),
        (_ANY_OF.format(column="tags"), filters.tags),
        (_ANY_OF.format(column="audience"), filters.audience),
    ):
        if wanted:
            parts.append(condition)
            values.append(json.dumps([_encodable(value) for value in wanted]))
    if filters.language:
        # "en" also finds "en-GB".
        language = _encodable(filters.language).lower()
        parts.append("(lower(d.language) = ? OR substr(lower(d.language), 1, length(?)) = ?)")
        values += [language, f"{language}-", f"{language}-"]
    if filters.published_after is not None:
        parts.append("d.published >= ?")
        values.append(filters.published_after.isoformat())
    if filters.published_before is not None:
        parts.append("d.published <= ?")
        values.append(filters.published_before.isoformat())
    return " AND ".join(parts), values


def _encodable(text: str) -> str:
    # Ids and filter values come from requests; a lone surrogate can't be stored, so it can't match either.
    return text.encode("utf-8", "replace").decode("utf-8")


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    fix = "roll back to an older snapshot or build again"
    return SnapshotCorrupt(f"the catalogue can't be read: {what}", where=str(path), fix=fix)
