"""
Ids that were published once and are no passage of this snapshot: where each leads now. Holds SQL; decides nothing.

A row has the id, its state, the day of that state, and numbers and ids of this snapshot's catalogue. It has no text, no
path and no hash of either: what was withdrawn can't be guessed from it beyond what the id itself tells. Ids of the
snapshot's own passages have no row; `carry_forward.py` says how rows come about.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from index.errors import SnapshotCorrupt
from index.files import storage_failed

PERMALINKS_FILE = "permalinks.sqlite"
# 40 bytes a row or so: the key is the row, days are small numbers, and an id of 20 hex digits takes 10 bytes.
_SCHEMA = """
CREATE TABLE retired (
  id BLOB PRIMARY KEY, state INTEGER NOT NULL, since INTEGER NOT NULL, document INTEGER, successor BLOB,
  same_words_as BLOB) WITHOUT ROWID;
"""
_ID = re.compile(r"[0-9a-f]{20}")
_EPOCH = date(2020, 1, 1)


class LinkState(StrEnum):
    """What became of a passage that is no longer there under its id."""

    MOVED = "moved"  # the same words are a passage elsewhere
    CHANGED = "changed"  # its document is there, its words are not
    WITHDRAWN = "withdrawn"  # its document is gone, or that part of it


@dataclass(frozen=True, slots=True)
class Permalink:
    """
    Where an id leads that is no passage any more.

    `since` is the day (UTC) of the build that first gave it this state. `document` is the number of its document in
    the catalogue, None where that is gone. `successor` is a passage of the catalogue: for MOVED the one with the same
    words, for CHANGED the one that stands there now, None where that is not known. `same_words_as` is another id of
    this table that had the same words, so that both lead on together should the words come back.
    """

    id: str
    state: LinkState
    since: date
    document: int | None = None
    successor: str | None = None
    same_words_as: str | None = None

    def __post_init__(self) -> None:
        is_right = {
            LinkState.MOVED: self.successor is not None,
            LinkState.CHANGED: self.document is not None,
            LinkState.WITHDRAWN: self.document is None and self.successor is None,
        }
        if not is_right[self.state]:
            raise ValueError(f"{self.state} does not go with document {self.document}, successor {self.successor}")


_STATES = tuple(LinkState)


def is_passage_id(text: str) -> bool:
    """Tell whether a string has the form of a passage's id: 20 hex digits in lower case."""
    return _ID.fullmatch(text) is not None


def write_permalinks(path: Path, links: Iterable[Permalink]) -> int:
    """
    Write a new file; equal links give equal bytes. Returns how many there are.

    Raises:
        StorageFailed: the disk is full or failing.
    """
    rows = sorted(_row(link) for link in links)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # As for the catalogue: what is not complete is thrown away, and sealing forces it to the disk.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(f"{_SCHEMA} BEGIN;")
            connection.executemany("INSERT INTO retired VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise storage_failed(path, f"the permalinks: {error}") from error
    return len(rows)


class Permalinks:
    """
    A file of permalinks opened for reading. Safe to use from many threads.

    `SnapshotCorrupt` may come from any method, when a row is damaged.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._lock = Lock()
        self.n = int(self._rows("SELECT count(*) FROM retired")[0][0])

    @classmethod
    def open(cls, path: Path) -> Permalinks:
        """
        Open what `write_permalinks` wrote.

        Raises:
            SnapshotCorrupt: missing, of another kind, or damaged.
        """
        return cls._connected(path, f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1")

    @classmethod
    def none(cls) -> Permalinks:
        """Return what a snapshot of a format without permalinks has: no row."""
        return cls._connected(Path(":memory:"), ":memory:", _SCHEMA)

    @classmethod
    def _connected(cls, path: Path, address: str, schema: str = "") -> Permalinks:
        connection = None
        try:
            connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
            connection.executescript(schema)
            return cls(path, connection)
        except (sqlite3.Error, SnapshotCorrupt) as error:
            if connection is not None:
                connection.close()
            raise _corrupt(path, error.what if isinstance(error, SnapshotCorrupt) else str(error)) from error

    def find(self, passage_id: str) -> Permalink | None:
        """Return where an id leads, None when it is not among those that were retired."""
        if not is_passage_id(passage_id):
            return None
        rows = self._rows("SELECT * FROM retired WHERE id = ?", (bytes.fromhex(passage_id),))
        return self._link(rows[0]) if rows else None

    def __iter__(self) -> Iterator[Permalink]:
        """Yield every row by id ascending."""
        last = b""
        while rows := self._rows("SELECT * FROM retired WHERE id > ? ORDER BY id LIMIT 4096", (last,)):
            last = rows[-1][0]
            yield from (self._link(row) for row in rows)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._connection.execute(sql, values).fetchall()
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.Error as error:
            raise _corrupt(self._path, str(error)) from error

    def _link(self, row: tuple[Any, ...]) -> Permalink:
        try:
            identity, state, since, document, successor, same_words_as = row
            return Permalink(
                id=identity.hex(),
                state=_STATES[state],
                since=_EPOCH + timedelta(days=since),
                document=document,
                successor=successor and successor.hex(),
                same_words_as=same_words_as and same_words_as.hex(),
            )
        except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
            raise _corrupt(self._path, f"a row is damaged: {error}") from error


def today_utc() -> date:
    """Return the day that a state found now begins with."""
    return datetime.now(UTC).date()


def _row(link: Permalink) -> tuple[Any, ...]:
    return (
        bytes.fromhex(link.id),
        _STATES.index(link.state),
        (link.since - _EPOCH).days,
        link.document,
        link.successor and bytes.fromhex(link.successor),
        link.same_words_as and bytes.fromhex(link.same_words_as),
    )


def _corrupt(path: Path, what: str) -> SnapshotCorrupt:
    fix = "roll back to an older snapshot or build again"
    return SnapshotCorrupt(f"the permalinks can't be read: {what}", where=str(path), fix=fix)
