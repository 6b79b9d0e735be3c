"""
The library folder as it is on disk now, beside what the live index made of it. Reads no document itself.

Documents are read by a child process (`service.examine_child`), a page of the list at a time, and what came of each is
kept in memory until its file, library.toml or the day changes.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeVar

import anyio

from index.snapshot import Snapshot
from ingest.errors import AppError, LibraryMalformed, SourceError
from ingest.library import LIBRARY_FILE, Library, SourceFile, open_library
from service.errors import ExaminationFailed

_K = TypeVar("_K")
_V = TypeVar("_V")
State = Literal["new", "indexed", "changed", "removed", "failed"]
# Of one child; a page of documents, each of which has its own, shorter limit.
_CHILD_SECONDS = 240.0
# A book of 20 MB of text is described in a few kilobytes.
_MAX_KEPT = 20_000
# Each takes a core and up to 300 MB.
_MAX_CHILDREN = 2


@dataclass(frozen=True, slots=True)
class Listed:
    """One document of the list: on disk, in the live index, or both."""

    id: str
    state: State
    title: str  # as the live index knows it, "" for a new one
    file: SourceFile | None  # None: it is in the index alone
    error: SourceError | None = None  # why it can't even be opened


@dataclass(frozen=True, slots=True)
class Listing:
    """All documents by id, and the library they were found in."""

    library: Library
    documents: tuple[Listed, ...]

    def find(self, document_id: str) -> Listed | None:
        """Return the document of that id."""
        return next((listed for listed in self.documents if listed.id == document_id), None)


class Survey:
    """
    Compares and describes documents; made once for an application, safe to use from many threads.

    Args:
        corpus: the library folder.
        model: the setting `model`, whose tokenizer measures passages.
    """

    def __init__(self, corpus: Path, model: str) -> None:
        self._corpus = corpus
        self._model = model
        self._lock = Lock()
        self._hashes: dict[tuple[object, ...], str] = {}
        self._examined: dict[tuple[object, ...], Mapping[str, Any]] = {}
        self._children = anyio.Semaphore(_MAX_CHILDREN)

    def list_documents(self, snapshot: Snapshot | None) -> Listing:
        """
        List the folder and hold every file's bytes against the live index.

        Raises:
            CorpusMissing, LibraryMalformed: there is no folder, or its library.toml is not valid.
        """
        library = open_library(self._corpus, allow_empty=True)
        stored = {} if snapshot is None else {d.id: d for d in snapshot.catalogue.iter_documents()}
        listed: list[Listed] = []
        for file in library.files():
            known = stored.pop(file.path, None)
            sha256 = self.sha256(library, file)
            state: State = "new" if known is None else "indexed" if known.source.sha256 == sha256 else "changed"
            listed.append(Listed(file.path, state, known.metadata.title if known else "", file))
        for error in library.failures:
            stored.pop(error.where, None)
            listed.append(Listed(error.where, "failed", "", None, error))
        listed += [Listed(gone.id, "removed", gone.metadata.title, None) for gone in stored.values()]
        return Listing(library, tuple(sorted(listed, key=lambda one: one.id)))

    def sha256(self, library: Library, file: SourceFile) -> str:
        """Return the SHA-256 of a file, hex; "" when it can't be read."""
        key = (file.path, file.size_bytes, file.modified_ns)
        known = self._hashes.get(key)
        if known is not None:
            return known
        try:
            digest = hashlib.sha256(library.read_bytes(file)).hexdigest()
        except SourceError:
            return ""
        with self._lock:
            self._hashes = _with(self._hashes, key, digest)
        return digest

    async def describe(self, files: Sequence[SourceFile]) -> dict[str, Mapping[str, Any]]:
        """
        Return what reading each file gives, by id, as `service.examine_child` says it.

        Raises:
            ExaminationFailed: the child died or took too long. LibraryMalformed: library.toml is not valid.
        """
        library_key = self._library_key()
        keys = {file.path: (file.path, file.size_bytes, file.modified_ns, *library_key) for file in files}
        missing = [file for file in files if keys[file.path] not in self._examined]
        if missing:
            found = await self.examine({file.path: file.location for file in missing})
            with self._lock:
                for document_id, value in found.items():
                    self._examined = _with(self._examined, keys[document_id], value)
        return {path: self._examined[key] for path, key in keys.items() if key in self._examined}

    async def examine(self, locations: Mapping[str, Path]) -> dict[str, Mapping[str, Any]]:
        """
        Read files in a child process, each as if it were the document of its key.

        Raises:
            ExaminationFailed, LibraryMalformed
        """
        request = {
            "corpus": str(self._corpus.absolute()),
            "model": self._model,
            "files": [{"id": name, "location": str(place.absolute())} for name, place in locations.items()],
        }
        command = [sys.executable, "-P", "-m", "service.examine_child"]
        try:
            async with self._children:
                with anyio.fail_after(_CHILD_SECONDS):
                    done = await anyio.run_process(
                        command, input=json.dumps(request).encode() + b"\n", stderr=subprocess.DEVNULL, check=False
                    )
        except TimeoutError as error:
            raise _failed(f"reading took more than {_CHILD_SECONDS:.0f} s") from error
        except OSError as error:
            raise _failed(f"the process could not be started ({error.strerror})") from error
        try:
            lines = [json.loads(line) for line in done.stdout.splitlines()]
        except ValueError as error:
            raise _failed("the process gave no answer") from error
        if lines and "failed" in lines[0]:
            raise _library_error(lines[0]["failed"])
        if done.returncode != 0 or len(lines) != len(locations):
            raise _failed(f"the process ended with {done.returncode}")
        return {line["id"]: line for line in lines}

    def _library_key(self) -> tuple[object, ...]:
        try:
            status = (self._corpus / LIBRARY_FILE).stat()
            toml: tuple[object, ...] = (status.st_size, status.st_mtime_ns)
        except OSError:
            toml = ()
        return (toml, date.today())


def modified_at(file: SourceFile) -> str:
    """Return when a file was last written, UTC, ISO 8601."""
    return f"{datetime.fromtimestamp(file.modified_ns / 1e9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _with(kept: dict[_K, _V], key: _K, value: _V) -> dict[_K, _V]:
    if len(kept) >= _MAX_KEPT:
        kept = dict(list(kept.items())[_MAX_KEPT // 2 :])
    kept[key] = value
    return kept


def _failed(what: str) -> ExaminationFailed:
    return ExaminationFailed(what, where="document", fix="send it again; if it stays, the file may be made to harm")


def _library_error(values: Mapping[str, str]) -> AppError:
    if values["code"] == LibraryMalformed.code:
        return LibraryMalformed(values["what"], where=values["where"], fix=values["fix"])
    return ExaminationFailed(values["what"], where=values["where"], fix=values["fix"])
