"""
Calls to a Milvus server, in plain values. The only module that imports pymilvus; knows nothing of snapshots.

Every call has a time limit. No text of pymilvus or of the server leaves this module, in an error or in a log: an
expression or a vector in it would belong to a question.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from index.errors import CollectionMissing, EngineFault, EngineMissing, EngineRefused, EngineUnreachable
from index.model import Float32, Int64

Kind = Literal["int64", "int64_array", "text", "vector", "sparse"]
# The server's bound for one search or query, whatever is asked for.
MOST_ROWS = 16_384
# Milvus's bound for one text, in bytes, and for one array.
MOST_TEXT_BYTES, MOST_ENTRIES = 65_535, 4_096
# Flushing and loading millions of rows takes minutes, and a build may wait for it.
_SLOW_S = 3_600.0
# How long a server that was found out of reach is taken to be so without being asked: many waiting threads would
# otherwise each wait out the time limit.
_LEFT_ALONE_S = 1.0
# gRPC would wait up to two minutes between two attempts to connect, and share that wait among all clients.
_GRPC_OPTIONS = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.use_local_subchannel_pool": 1,
}
# Milvus's codes: no such collection, as older servers say it, no such alias; a collection that is not loaded.
_NOT_FOUND, _NOT_LOADED = frozenset({"100", "4", "1600"}), 101
_NO_CONNECTION = 2  # pymilvus's own
_CREDENTIALS = ("UNAUTHENTICATED", "PERMISSION_DENIED")
_LATE = "DEADLINE_EXCEEDED"


@dataclass(frozen=True, slots=True)
class Column:
    """A field of a collection; `size` is a vector's dimension."""

    name: str
    kind: Kind
    size: int = 0


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the server is, what it is told about who asks, and how long one call may take (seconds)."""

    uri: str
    token: str = field(default="", repr=False)
    timeout_s: float = 5.0


class MilvusServer:
    """
    One server. Connects when it is first needed and again whenever that failed; safe to use from many threads.

    Every method may raise `EngineUnreachable`, `EngineRefused` or `EngineMissing`; those that name a collection raise
    `CollectionMissing` where there is none.
    """

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection = connection
        self._clock = clock
        self._client: Any = None
        self._connecting = Lock()
        self._failed_at: float | None = None

    @property
    def is_reachable(self) -> bool:
        """Tell whether the last call got an answer; True before the first one."""
        return self._failed_at is None

    def ping(self) -> None:
        """Ask for a sign of life."""
        self._call("get_server_version")

    def create(self, name: str, columns: Sequence[Column]) -> None:
        """Create a collection whose first column is its key. It can be filled and, once finished, be read."""
        milvus = _library()
        kinds = milvus.DataType
        schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for place, column in enumerate(columns):
            options: dict[str, Any] = {"is_primary": True} if place == 0 else {}
            if column.kind == "text":
                options["max_length"] = MOST_TEXT_BYTES
            elif column.kind == "int64_array":
                options |= {"element_type": kinds.INT64, "max_capacity": MOST_ENTRIES}
            elif column.kind == "vector":
                options["dim"] = column.size
            schema.add_field(column.name, _data_type(kinds, column.kind), **options)
        self._call("create_collection", name, schema=schema, within_s=_SLOW_S)

    def insert(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, each a value for every column."""
        self._call("insert", name, list(rows), within_s=60.0)

    def finish(
        self,
        name: str,
        indexes: Mapping[str, Mapping[str, Any]],
        *,
        welcome: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        is_waited_for: bool = True,
    ) -> None:
        """
        Force what was inserted to the disk, index and load it, in this order: then every replica has all of it.

        Takes minutes for millions of rows.

        Args:
            indexes: pymilvus's parameters by column.
            welcome: indexes that a server may refuse, as milvus-lite does those over arrays.
            is_waited_for: an index of one row need not be (pymilvus looks twice a second).
        """
        self._call("flush", name, within_s=_SLOW_S)
        self._index(name, indexes, is_waited_for=is_waited_for)
        if welcome:
            with suppress(EngineRefused):
                self._index(name, welcome)
        self._call("load_collection", name, within_s=_SLOW_S)

    def _index(self, name: str, indexes: Mapping[str, Mapping[str, Any]], *, is_waited_for: bool = True) -> None:
        prepared = _library().MilvusClient.prepare_index_params()
        for column, parameters in indexes.items():
            prepared.add_index(column, **parameters)
        self._call("create_index", name, prepared, sync=is_waited_for, within_s=_SLOW_S)

    def replace_index(self, name: str, column: str, parameters: Mapping[str, Any]) -> None:
        """Index a column anew."""
        self._call("release_collection", name)
        self._call("drop_index", name, column, within_s=_SLOW_S)
        self._index(name, {column: parameters})
        self._call("load_collection", name, within_s=_SLOW_S)

    def count(self, name: str) -> int:
        """Return how many rows there are, counted by the server."""
        rows = self._call("query", name, filter="", output_fields=["count(*)"], consistency_level="Strong")
        return int(rows[0]["count(*)"])

    def search(
        self, name: str, column: str, query: Float32 | Mapping[int, float], limit: int, where: str = "", **how: Any
    ) -> tuple[Int64, Float32]:
        """
        Return keys and inner products of the rows nearest to a dense or sparse vector, best first.

        Args:
            where: an expression over other columns. Only numbers may come in from outside: nothing is escaped.
            how: parameters of the index, such as `nprobe`.
        """
        key = _key_of(name)
        found = self._call(
            "search",
            name,
            data=[query if isinstance(query, np.ndarray) else dict(query)],
            anns_field=column,
            limit=min(limit, MOST_ROWS),
            filter=where,
            # An empty list would bring every column, vectors included, from milvus-lite.
            output_fields=[key],
            search_params={"metric_type": "IP", "params": how},
            # Nothing is written to a collection once it is sealed: whichever replica answers has all of it.
            consistency_level="Eventually",
        )[0]
        keys = np.fromiter((hit.get(key, hit.get("id")) for hit in found), dtype=np.int64, count=len(found))
        scores = np.fromiter((hit["distance"] for hit in found), dtype=np.float32, count=len(found))
        return keys, scores

    def query(self, name: str, where: str, columns: Sequence[str], within_s: float = 0.0) -> list[dict[str, Any]]:
        """
        Return the rows that fit an expression over numbers, in no order, at most `MOST_ROWS`.

        Args:
            within_s: time limit, where the connection's is for questions and this reads much; 0 takes that one.
        """
        rows = self._call(
            "query",
            name,
            filter=where,
            output_fields=list(columns),
            limit=MOST_ROWS,
            consistency_level="Strong",
            within_s=within_s,
        )
        return [dict(row) for row in rows]

    def names(self) -> list[str]:
        """Return the names of all collections."""
        return sorted(self._call("list_collections"))

    def load(self, name: str) -> None:
        """Make a collection findable that is finished already; milvus-lite forgets it when a name is given."""
        self._call("load_collection", name, within_s=_SLOW_S)

    def give_name(self, name: str, new_name: str) -> None:
        """Give a collection another name."""
        self._call("rename_collection", name, new_name)

    def drop(self, name: str) -> None:
        """Delete a collection; one that is gone already is no error."""
        self._call("drop_collection", name)

    def alias_target(self, alias: str) -> str | None:
        """Return the collection that an alias names, None when there is no such alias."""
        try:
            return str(self._call("describe_alias", alias)["collection_name"])
        except CollectionMissing:
            return None

    def set_alias(self, alias: str, name: str) -> None:
        """Let an alias name another collection, at once."""
        target = self.alias_target(alias)
        if target is None:
            self._call("create_alias", name, alias)
        elif target != name:
            self._call("alter_alias", name, alias)

    def drop_alias(self, alias: str) -> None:
        """Delete an alias."""
        self._call("drop_alias", alias)

    def close(self) -> None:
        """Let go of the connection; the next call opens another one."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, method: str, *arguments: Any, within_s: float = 0.0, **options: Any) -> Any:
        timeout = within_s or self._connection.timeout_s
        with self._translated(method, timeout):
            client = self._connected()
            try:
                return getattr(client, method)(*arguments, timeout=timeout, **options)
            except _library().MilvusException as error:
                # A server that was started anew may have to be told to read a collection again.
                if getattr(error, "code", None) != _NOT_LOADED or not arguments:
                    raise
            client.load_collection(arguments[0], timeout=timeout)
            return getattr(client, method)(*arguments, timeout=timeout, **options)

    def _connected(self) -> Any:
        with self._connecting:
            if self._client is None:
                # Whoever waited for another thread's failed attempt does not try in turn.
                self._refuse_if_left_alone()
                try:
                    self._client = _library().MilvusClient(
                        uri=self._connection.uri,
                        token=self._connection.token,
                        timeout=self._connection.timeout_s,
                        dedicated=True,
                        grpc_options=_GRPC_OPTIONS,
                    )
                except Exception as error:
                    if not _code_of(error).isdecimal() and not isinstance(error, EngineMissing):
                        self._failed_at = self._clock()
                    raise
            return self._client

    def _refuse_if_left_alone(self) -> None:
        if self._failed_at is not None and self._clock() - self._failed_at < _LEFT_ALONE_S:
            raise self._unreachable("a moment ago")

    @contextmanager
    def _translated(self, call: str, timeout: float) -> Iterator[None]:
        """Turn what goes wrong with a call into errors of ours, which hold its name and a code and nothing else."""
        self._refuse_if_left_alone()
        try:
            yield
        except EngineFault:
            raise
        except Exception as error:
            code = _code_of(error)
            if code in _NOT_FOUND:
                raise CollectionMissing(
                    "a collection in Milvus is gone",
                    where="milvus_uri",
                    fix="build again (citewell build), or go back to an older snapshot (citewell rollback)",
                ) from error
            if any(name in code for name in _CREDENTIALS):
                raise EngineRefused(
                    "Milvus does not accept the credentials",
                    where="milvus_token",
                    fix='set milvus_token to a valid token, or to "user:password"',
                ) from error
            if not code.isdecimal():
                self._failed_at = self._clock()
                raise (self._too_slow(call, timeout) if code == _LATE else self._unreachable(code)) from error
            raise EngineRefused(
                f"Milvus refused {call} (code {code})",
                where="milvus_uri",
                fix="look into the log of the Milvus server, and whether the database that milvus_uri ends with exists",
            ) from error
        self._failed_at = None

    def _too_slow(self, call: str, timeout: float) -> EngineUnreachable:
        return EngineUnreachable(
            f"the Milvus server does not answer {call} within {timeout:g} s",
            where="milvus_uri",
            fix="look whether it is overloaded or stopped; if it is only slow, raise milvus_timeout_s"
            if timeout == self._connection.timeout_s
            else "look whether it is overloaded or stopped, then try again",
        )

    def _unreachable(self, code: str) -> EngineUnreachable:
        return EngineUnreachable(
            f"the Milvus server can't be reached or does not answer in time ({code})",
            where="milvus_uri",
            fix="start it, or set milvus_uri to where it is, with http:// or https:// as it speaks; Citewell finds it "
            "again by itself",
        )


def _library() -> Any:
    """
    Import pymilvus, silenced.

    Raises:
        EngineMissing: it is not installed.
    """
    # On import it would load whatever file .env it finds upwards into this process's environment.
    os.environ.setdefault("PYTHON_DOTENV_DISABLED", "1")
    # gRPC's core would write lines of its own, with addresses in them, between those of the log.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import pymilvus
    except ImportError as error:
        raise EngineMissing(
            "the engine is milvus, and pymilvus is not installed",
            where="engine",
            fix="install it: pip install 'citewell[milvus]'",
        ) from error
    _silence("pymilvus")
    return pymilvus


def _silence(library: str) -> None:
    """Take a library's loggers their voice: pymilvus writes failed calls with all they held to standard error."""
    for name in (library, *(n for n in list(logging.root.manager.loggerDict) if n.startswith(f"{library}."))):
        logger = logging.getLogger(name)
        # One that does nothing: without any, Python would write to standard error itself.
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False


def _code_of(error: BaseException) -> str:
    """Return the number that an answer bears, or the name of what came instead of an answer."""
    code: Any = getattr(error, "code", None)
    code = code() if callable(code) else code  # gRPC's own errors have a method
    if isinstance(code, int) and int(code) != _NO_CONNECTION:
        return str(int(code))
    name = getattr(code, "name", "")
    if isinstance(name, str) and name:
        return name
    # Why there is no connection stands behind it; pymilvus also names errors as their own cause.
    cause = error.__cause__
    return "no connection" if cause is None or cause is error else _code_of(cause)


def _data_type(kinds: Any, kind: Kind) -> Any:
    return {
        "int64": kinds.INT64,
        "int64_array": kinds.ARRAY,
        "text": kinds.VARCHAR,
        "vector": kinds.FLOAT_VECTOR,
        "sparse": kinds.SPARSE_FLOAT_VECTOR,
    }[kind]


def _key_of(name: str) -> str:
    return "row" if name.endswith("_evidence") else "ordinal"
