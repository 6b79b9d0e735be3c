"""
Documents and passages in SQLite, as `catalogue_writing` wrote them: only read. Holds SQL; knows no vectors.

Catalogues of format 1 have no table `readings`: everything can be read from them but what a next build reuses.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
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
    DocumentRows,
    Reading,
    Row,
    StoredDocument,
    StoredPassage,
    read_content,
    read_document,
    read_passage,
    read_reading,
)
from index.catalogue_writing import write_catalogue
from index.errors import SnapshotCorrupt
from index.model import Filters, Int64, Mask
from index.recent import Recent
from index.text_cache import TextCache
from ingest.model import Document, text_sha256

__all__ = ["Catalogue", "CatalogueCounts", "StoredDocument", "StoredPassage", "write_catalogue"]

_ANY_OF = "EXISTS (SELECT 1 FROM json_each(d.{column}) WHERE value IN (SELECT value FROM json_each(?)))"

# Queries take tens of microseconds: a few connections serve any number of threads. All are opened at once, because
# the folder may be gone (collected) by the time another would be wanted.
_N_CONNECTIONS = 4
_N_MASKS = 16
# Of the passages and documents read last: a question looks at its first passages three times. 2 kB each.
_N_RECENT = 256


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
        self._recent: Recent[int, StoredPassage] = Recent(_N_RECENT)
        self._recent_documents: Recent[int, StoredDocument] = Recent(_N_RECENT)
        self._lock = Lock()
        counts = self._one("SELECT documents, passages, sentences FROM counts")
        if counts is None:
            raise self._corrupt("it has no counts")
        self.n_documents, self.n_passages, self.n_sentences = (int(n) for n in counts)
        self._has_readings = self._one("SELECT 1 FROM sqlite_schema WHERE name = 'readings'") is not None

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
        return self._checked_text(document_id, *row)

    def read_texts(self, documents: Iterable[StoredDocument]) -> None:
        """Read the texts of these documents by one query, for `text` to find; those that are held already are not."""
        missing = {stored.number: stored for stored in documents if self._texts.get(stored.id) is None}
        if missing:
            sql = "SELECT c.number, c.text FROM json_each(?) j JOIN contents c ON c.number = j.value"
            for number, text in self._all(sql, (str(list(missing)),)):
                self._checked_text(missing[number].id, missing[number].text_sha256, text)

    def _checked_text(self, document_id: str, expected: str, text: object) -> str:
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
        own_title: Row | None = None
        if self._has_readings:
            own_title = self._one("SELECT has_own_title FROM readings WHERE number = ?", (row[width],))
        with self._decoding(f"document {document_id}"):
            document = read_content(read_document(row[width:]), row[:width])
            return document if own_title is None else replace(document, has_own_title=bool(own_title[0]))

    def readings(self) -> dict[str, Reading]:
        """Return what each document was made from, by its id; {} for a catalogue of format 1."""
        if not self._has_readings:
            return {}
        found = {}
        sql = "SELECT d.id, d.publisher, r.* FROM readings r JOIN documents d ON d.number = r.number"
        for row in self._all(sql):
            with self._decoding(f"the reading of {row[0]}"):
                found[str(row[0])] = read_reading(row[1], row[2:])
        return found

    def rows_of(self, stored: StoredDocument) -> DocumentRows:
        """Return a document's rows as they are stored, to be copied into another catalogue."""
        number, first, end = stored.number, stored.first_ordinal, stored.first_ordinal + stored.n_passages
        document = self._one("SELECT * FROM documents WHERE number = ?", (number,))
        content = self._one("SELECT * FROM contents WHERE number = ?", (number,))
        reading = self._one("SELECT * FROM readings WHERE number = ?", (number,))
        passages = self._all("SELECT * FROM passages WHERE ordinal >= ? AND ordinal < ?", (first, end))
        if document is None or content is None or reading is None or len(passages) != stored.n_passages:
            raise self._corrupt(f"rows of {stored.id} are missing")
        return DocumentRows(document, content, reading, tuple(passages))

    def passages(self, ordinals: Sequence[int] | Int64) -> list[StoredPassage]:
        """
        Return passages in the order asked for, by one query.

        Raises:
            IndexError: there is no such ordinal.
        """
        wanted = [int(ordinal) for ordinal in ordinals]
        known = self._recent.get(wanted)
        if missing := [ordinal for ordinal in dict.fromkeys(wanted) if ordinal not in known]:
            known |= self._read_passages(missing)
        return [known[ordinal] for ordinal in wanted]

    def _read_passages(self, ordinals: Sequence[int]) -> dict[int, StoredPassage]:
        # Integers only, so the list is its own JSON; it arrives as one bound value.
        sql = (
            "SELECT p.*, d.* FROM json_each(?) j JOIN passages p ON p.ordinal = j.value "
            "JOIN documents d ON d.number = p.document"
        )
        found = {stored.ordinal: stored for stored in self._stored_passages(sql, (str(list(ordinals)),))}
        if len(found) != len(ordinals):
            missing = sorted(set(ordinals) - found.keys())
            raise IndexError(f"no passages with the ordinals {missing[:5]} among {self.n_passages}")
        self._recent.put(found)
        return found

    def document_numbers(self, ordinals: Int64) -> Int64:
        """Return the number of the document of each passage, which is its place in the order of ordinals."""
        numbers: Int64 = np.searchsorted(self._first_ordinals, ordinals, side="right") - 1
        return numbers

    @cached_property
    def _first_ordinals(self) -> Int64:
        # A document without passages has the first ordinal of the next one, which is the one that is meant.
        return np.asarray(
            [row[0] for row in self._all("SELECT first_ordinal FROM documents ORDER BY number")], np.int64
        )

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
        rows = self._all(sql, values)
        documents = self._recent_documents.get({row[width] for row in rows})
        found = []
        for row in rows:
            number = row[width]
            if number not in documents:
                documents[number] = self._document(row[width:])
            with self._decoding(f"passage {row[0]}"):
                found.append(read_passage(row[:width], documents[number]))
        self._recent_documents.put(documents)
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
