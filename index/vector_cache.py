"""
The embedding cache: (model fingerprint, key) -> vectors, in SQLite. Holds vectors only, never text; holds SQL.

It may be deleted at any time and never fails a build: whatever is wrong with it becomes a sentence in `warnings`, and
at worst passages are embedded again. A row is the float16 matrix [passage, text alone, sentences ...], row after row,
little-endian, with a CRC-32, so that a damaged row is a miss and not a wrong vector.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import numpy as np

from index.files import remove, set_aside
from index.model import PassageVectors

_APPLICATION_ID = 0x43574C56  # "CWLV"
# 2: vectors depend on nothing but their text; those of version 1 differ from them in the last digits.
_VERSION = 2
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
CREATE TABLE IF NOT EXISTS vectors (
  fingerprint TEXT NOT NULL, key TEXT NOT NULL, n_rows INTEGER NOT NULL, dimension INTEGER NOT NULL,
  crc32 INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (fingerprint, key));
"""
_KEYS_PER_QUERY = 500
# Space that deleted rows leave is given back once it passes this share of the file.
_MOST_FREE = 0.25


class VectorCache:
    """
    Vectors by content, across builds. Used by one thread.

    Attributes:
        warnings: what went wrong with the cache, as sentences for the build report.
    """

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.warnings: list[str] = []
        self._path = path
        self._timeout_s = timeout_s
        self._connection = self._connect()

    @classmethod
    def open(cls, path: Path, timeout_s: float = 5.0) -> VectorCache:
        """
        Open or create a cache.

        A damaged cache is deleted and begun anew; a file that is something else is renamed out of the way; one that
        can't be opened or stays locked for `timeout_s` is left alone and this build does without.
        """
        return cls(path, timeout_s)

    def get_many(
        self, fingerprint: str, keys: Sequence[str], dimension: int | None = None
    ) -> dict[str, PassageVectors]:
        """
        Return the cached vectors among these keys.

        Args:
            keys: SHA-256 hex of what was embedded.
            dimension: vectors of another width are taken as missing.
        """
        found: dict[str, PassageVectors] = {}
        with self._guarded("read"):
            for first in range(0, len(keys), _KEYS_PER_QUERY):
                rows = self._connection.execute(
                    "SELECT key, n_rows, dimension, crc32, data FROM vectors "
                    "WHERE fingerprint = ? AND key IN (SELECT value FROM json_each(?))",
                    (fingerprint, json.dumps(keys[first : first + _KEYS_PER_QUERY])),
                )
                for key, n_rows, width, checksum, data in rows:
                    if dimension in (None, width) and (vectors := _unpack(n_rows, width, checksum, data)):
                        found[key] = vectors
        return found

    def put_many(self, fingerprint: str, items: Iterable[tuple[str, PassageVectors]]) -> None:
        """Store vectors in one transaction, in place of older ones of the same key."""
        rows = [(fingerprint, key, *_pack(vectors)) for key, vectors in items]
        with self._guarded("write"), self._connection:
            self._connection.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", rows)

    def keep_only(self, fingerprint: str, keys: Iterable[str]) -> int:
        """
        Remove everything else, other models' vectors included, and overwrite it in the file.

        Where that fails, the whole cache goes: what was withdrawn must not stay.

        Returns:
            The number of vectors removed.
        """
        try:
            return self._delete_others(fingerprint, keys)
        except sqlite3.Error as error:
            self._begin_anew(f"it could not be pruned ({error})")
            return 0

    def vacuum(self) -> None:
        """Write the file anew without free pages; they hold nothing, since what is deleted is overwritten."""
        try:
            self._connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            self._warn(f"could not be made smaller: {error}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> VectorCache:
        """Return the cache itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _delete_others(self, fingerprint: str, keys: Iterable[str]) -> int:
        connection = self._connection
        with connection:
            connection.execute("CREATE TEMP TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY) WITHOUT ROWID")
            connection.execute("DELETE FROM temp.kept")
            connection.executemany("INSERT OR IGNORE INTO temp.kept VALUES (?)", ((key,) for key in keys))
            removed = connection.execute(
                "DELETE FROM vectors WHERE fingerprint <> ? OR key NOT IN (SELECT key FROM temp.kept)", (fingerprint,)
            ).rowcount
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        if free > pages * _MOST_FREE:
            try:
                connection.execute("VACUUM")
            except sqlite3.OperationalError as error:
                # It needs room for a copy. The rows are gone and overwritten all the same.
                self._warn(f"could not be made smaller: {error}")
        return int(removed)

    def _connect(self) -> sqlite3.Connection:
        try:
            return self._connect_file()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                return self._do_without(str(error))
            return self._replace_file(str(error))
        except OSError as error:
            return self._do_without(error.strerror or str(error))

    def _connect_file(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=self._timeout_s)
        try:
            n_tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if n_tables and _kind_of(connection) != (_APPLICATION_ID, _VERSION):
                raise sqlite3.DatabaseError("it is another program's database, or another version's")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA synchronous = NORMAL")
            if not n_tables:
                connection.executescript(_SCHEMA)
            connection.execute("SELECT fingerprint, key, n_rows, dimension, crc32, data FROM vectors LIMIT 1")
        except BaseException:
            connection.close()
            raise
        return connection

    def _replace_file(self, reason: str) -> sqlite3.Connection:
        """Get a file that is no usable cache out of the way, and begin a new one."""
        try:
            companions = [self._path.with_name(self._path.name + end) for end in ("", "-journal", "-wal", "-shm")]
            if _is_ours(self._path):
                # Kept, it would hold vectors of documents that are withdrawn later.
                for path in companions:
                    remove(path)
                self._warn(f"was damaged and is begun anew: {reason}")
            else:
                moved = [set_aside(path, "not-a-cache") for path in companions if path.exists()]
                self._warn(f"is not Citewell's and was renamed to {moved[0].name if moved else '?'}: {reason}")
            return self._connect_file()
        except (sqlite3.Error, OSError) as error:
            return self._do_without(str(error))

    def _do_without(self, reason: str) -> sqlite3.Connection:
        self._warn(f"can't be used, so nothing is remembered for the next build: {reason}")
        connection = sqlite3.connect(":memory:")
        connection.executescript(_SCHEMA)
        return connection

    def _begin_anew(self, reason: str) -> None:
        self._connection.close()
        try:
            for end in ("", "-journal", "-wal", "-shm"):
                remove(self._path.with_name(self._path.name + end))
            self._warn(f"is begun anew: {reason}")
        except OSError as error:
            self._warn(f"holds vectors that should be gone; delete it: {reason}, {error}")
            self._connection = self._do_without(reason)
            return
        self._connection = self._connect()

    @contextmanager
    def _guarded(self, action: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            # Locked, full or read-only: the file may well be sound.
            self._warn(f"could not be used to {action}: {error}")
        except sqlite3.DatabaseError as error:
            self._begin_anew(f"it is damaged ({error})")

    def _warn(self, what: str) -> None:
        sentence = f"the embedding cache {self._path} {what}"
        if sentence not in self.warnings:
            self.warnings.append(sentence)


def cached_keys(path: Path, fingerprint: str) -> set[str]:
    """Return the keys of all vectors of one model, writing nothing; empty when there is no cache that can be read."""
    try:
        # Opened like this SQLite makes no file, neither the cache nor a journal.
        with closing(sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)) as connection:
            if _kind_of(connection) != (_APPLICATION_ID, _VERSION):
                return set()  # a build would begin it anew
            rows = connection.execute("SELECT key FROM vectors WHERE fingerprint = ?", (fingerprint,))
            return {str(key) for (key,) in rows}
    except sqlite3.Error:
        return set()


def _kind_of(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return whose database it is and of which version."""
    application_id, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("application_id", "user_version")
    )
    return application_id, version


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(100)
    # https://www.sqlite.org/fileformat.html: the application id is at offset 68, big-endian.
    return head.startswith(b"SQLite format 3\0") and head[68:72] == _APPLICATION_ID.to_bytes(4, "big")


def _pack(vectors: PassageVectors) -> tuple[int, int, int, bytes]:
    matrix = np.concatenate([vectors.passage[None, :], vectors.evidence]).astype("<f2")
    data = matrix.tobytes()
    return matrix.shape[0], matrix.shape[1], zlib.crc32(data), data


def _unpack(n_rows: object, width: object, checksum: object, data: object) -> PassageVectors | None:
    if not (isinstance(n_rows, int) and isinstance(width, int) and isinstance(data, bytes)):
        return None
    if n_rows < 2 or width < 1 or len(data) != n_rows * width * 2 or zlib.crc32(data) != checksum:
        return None
    matrix = np.frombuffer(data, "<f2").reshape(n_rows, width).astype(np.float32)
    return PassageVectors(passage=matrix[0], evidence=matrix[1:])
