"""
The corpus folder: which files it holds, what library.toml says about them, and their bytes.

The only module of ingest that opens files. What a file means is for the readers; what goes wrong with one file is
collected as a SourceError and stops nothing.
"""

from __future__ import annotations

import os
import stat
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.errors import CorpusMissing, LibraryMalformed, SourceError, SourceTooLarge, UnreadableSource
from ingest.limits import Limits
from ingest.metadata import check_fields, metadata_fields
from ingest.readers import readable_suffixes

LIBRARY_FILE = "library.toml"
# Configuration of the corpus, not documents; each has its own reader elsewhere.
CONFIGURATION_FILES = frozenset({LIBRARY_FILE, "lexicon.toml", "notices.toml"})
_MAX_TOML_BYTES = 16_000_000
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_EMPTY: Mapping[str, Any] = MappingProxyType({})

# Path, bytes, time of the last writing and of the last change of any kind, of each file.
CorpusState = frozenset[tuple[str, int, int, int]]


class _LibraryTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    title: str = ""


class _LintTable(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    required: list[str] = Field(default_factory=list)


class _LibraryToml(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    library: _LibraryTable = Field(default_factory=_LibraryTable)
    defaults: dict[str, Any] = Field(default_factory=dict)
    lint: _LintTable = Field(default_factory=_LintTable)
    documents: dict[str, dict[str, Any]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file that has a reader; `path` is the document's id, NFC, "/" between parts."""

    path: str
    location: Path = field(compare=False)
    size_bytes: int = 0
    modified_ns: int = 0

    @property
    def suffix(self) -> str:
        """Return the file's ending with its dot, lower case."""
        return Path(self.path).suffix.lower()


@dataclass(frozen=True, slots=True)
class Scan:
    """What is under the corpus folder, sorted by path."""

    files: tuple[SourceFile, ...] = ()
    ignored: tuple[str, ...] = ()  # no reader takes them
    failures: tuple[SourceError, ...] = ()  # files that must not or can't be opened; `where` names them


@dataclass(frozen=True, slots=True)
class Library:
    """One corpus folder as it was when it was opened: its settings, and the files it held."""

    root: Path
    limits: Limits
    title: str
    defaults: Mapping[str, Any]
    required: tuple[str, ...]
    documents: Mapping[str, Mapping[str, Any]]  # checked fields by document id
    scan: Scan
    warnings: tuple[str, ...] = ()

    def files(self) -> tuple[SourceFile, ...]:
        """Return the files that have a reader, sorted by path."""
        return self.scan.files

    @property
    def ignored(self) -> tuple[str, ...]:
        """Return the paths of files that no reader takes."""
        return self.scan.ignored

    @property
    def failures(self) -> tuple[SourceError, ...]:
        """Return why files were left out before anything was read."""
        return self.scan.failures

    def fields_of(self, path: str) -> Mapping[str, Any]:
        """Return the fields that library.toml sets for one document, empty if it has no table."""
        return self.documents.get(path, _EMPTY)

    def read_bytes(self, file: SourceFile) -> bytes:
        """
        Return the bytes of a file.

        Raises:
            UnreadableSource: gone, forbidden, no regular file, a link out of the corpus, or changed while being read.
            SourceTooLarge: more bytes than the limits allow; nothing is read then.
        """
        location = _resolve_inside(self.root, file.location, file.path)
        try:
            descriptor = os.open(location, _OPEN_FLAGS)
        except OSError as error:
            raise _unreadable(file.path, error) from error
        with os.fdopen(descriptor, "rb") as stream:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _not_regular(file.path)
            if before.st_size > self.limits.max_bytes:
                raise SourceTooLarge(
                    f"has {before.st_size} bytes, at most {self.limits.max_bytes} are read",
                    where=file.path,
                    fix="split the file, or raise max_bytes",
                )
            try:
                data = stream.read(self.limits.max_bytes + 1)
            except OSError as error:
                raise _unreadable(file.path, error) from error
            after = os.fstat(descriptor)
        if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
            raise UnreadableSource(
                f"changed while it was read: {before.st_size} bytes, then {max(len(data), after.st_size)}",
                where=file.path,
                fix="build again once nothing writes to it",
            )
        return data


def open_library(root: Path, limits: Limits | None = None, *, allow_empty: bool = False) -> Library:
    """
    Return the library under a folder: library.toml read and checked, files listed, none of them opened.

    Args:
        allow_empty: a folder without a document is a library too, about to get its first.

    Raises:
        CorpusMissing: no such folder, or not a single document in it.
        LibraryMalformed: library.toml is not valid, with the table, field and value that is wrong.
    """
    resolved = _existing_folder(root)
    toml = _read_library_toml(resolved)
    scan = _scan(resolved)
    if not scan.files and not scan.failures and not allow_empty:
        others = f" ({len(scan.ignored)} files of other kinds)" if scan.ignored else ""
        raise CorpusMissing(
            f"there is no document in it{others}",
            where=str(root),
            fix=f"put documents there: {' '.join(readable_suffixes())}",
        )
    documents: dict[str, Mapping[str, Any]] = {}
    for path, values in toml.documents.items():
        table = f'documents."{path}"'
        documents[unicodedata.normalize("NFC", path)] = _checked(table, values)
    for name in toml.lint.required:
        if name not in metadata_fields():
            raise LibraryMalformed(
                f"lint.required = {name!r}: no such field; known are {', '.join(metadata_fields())}",
                where=LIBRARY_FILE,
                fix="name a known field",
            )
    known = {file.path for file in scan.files} | {failure.where for failure in scan.failures}
    warnings = tuple(
        f'{LIBRARY_FILE}: documents."{path}" names no file of the corpus'
        for path in sorted(documents)
        if path not in known
    )
    return Library(
        root=resolved,
        limits=limits or Limits(),
        title=" ".join(toml.library.title.split()),
        defaults=MappingProxyType(_checked("defaults", toml.defaults)),
        required=tuple(toml.lint.required),
        documents=MappingProxyType(documents),
        scan=scan,
        warnings=warnings,
    )


def corpus_state(root: Path) -> CorpusState:
    """
    Return what changes whenever a build might give something else; no file is opened, what no reader takes is left out.

    Raises:
        CorpusMissing: no such folder.
    """
    resolved = _existing_folder(root)
    locations = [path for path in _iter_files(resolved, []) if path.suffix.lower() in readable_suffixes()]
    return frozenset(_state_of(resolved, location) for location in (*locations, resolved / LIBRARY_FILE))


def _state_of(root: Path, location: Path) -> tuple[str, int, int, int]:
    try:
        status = location.stat()
    except OSError:
        return _id_of(root, location), -1, 0, 0
    # The time of the last change of rights or name as well: a file that became readable is to be read.
    return _id_of(root, location), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _existing_folder(root: Path) -> Path:
    try:
        resolved = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise CorpusMissing("there is no such folder", where=str(root), fix="name an existing folder") from error
    if not resolved.is_dir():
        raise CorpusMissing("is a file, not a folder", where=str(root), fix="name the folder of the documents")
    return resolved


def _checked(table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    checked, problems = check_fields(values, keep_empty=True)
    if problems:
        raise LibraryMalformed(
            f"[{table}] " + "; ".join(str(problem) for problem in problems),
            where=LIBRARY_FILE,
            fix=f"correct {problems[0].field}, or take it out",
        )
    return checked


def _read_library_toml(root: Path) -> _LibraryToml:
    path = root / LIBRARY_FILE
    try:
        if not path.is_file():
            return _LibraryToml()
        with path.open("rb") as stream:
            data = stream.read(_MAX_TOML_BYTES + 1)
    except OSError as error:
        raise LibraryMalformed(
            f"can't be read: {error.strerror}", where=LIBRARY_FILE, fix="give the reading user the right to it"
        ) from error
    if len(data) > _MAX_TOML_BYTES:
        raise LibraryMalformed(f"has more than {_MAX_TOML_BYTES} bytes", where=LIBRARY_FILE, fix="shorten it")
    try:
        return _LibraryToml.model_validate(tomllib.loads(data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LibraryMalformed(
            "is not UTF-8", where=f"{LIBRARY_FILE}, line {line}", fix="save the file as UTF-8"
        ) from error
    except ValidationError as error:
        raise _malformed(error) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5,000 digits, a thousand brackets
        raise LibraryMalformed(
            f"is not valid TOML: {error}", where=LIBRARY_FILE, fix="correct the line; texts stand in quotes"
        ) from error


def _malformed(error: ValidationError) -> LibraryMalformed:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        what = f"{place} is unknown; tables are library, defaults, lint and documents"
    else:
        what = f"{place} = {first['input']!r:.80}: {first['msg']}"
    return LibraryMalformed(what, where=LIBRARY_FILE, fix="correct it, or take it out")


def _scan(root: Path) -> Scan:
    files: list[SourceFile] = []
    ignored: list[str] = []
    failures: list[SourceError] = []
    for entry in _iter_files(root, failures):
        try:
            file = _examine(root, entry)
        except SourceError as error:
            failures.append(error)
            continue
        if file is None:
            ignored.append(_id_of(root, entry))
        else:
            files.append(file)
    files = _without_collisions(files, failures)
    return Scan(
        files=tuple(sorted(files, key=lambda file: file.path)),
        ignored=tuple(sorted(ignored)),
        failures=tuple(sorted(failures, key=lambda error: error.where)),
    )


def _iter_files(root: Path, failures: list[SourceError]) -> Iterator[Path]:
    """Yield everything but folders; hidden names, office lock files and the corpus's own settings are left out."""
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            failures.append(_unreadable(_shown(_id_of(root, folder)), error))
            continue
        for entry in entries:
            if entry.name.startswith((".", "~$")) or (folder == root and entry.name in CONFIGURATION_FILES):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            else:
                yield Path(entry.path)


def _examine(root: Path, location: Path) -> SourceFile | None:
    """Return the file, None if no reader takes it; raise SourceError if it must not be read."""
    raw_id = _id_of(root, location)
    path = _shown(raw_id)
    if path != raw_id or not path.isprintable():
        raise UnreadableSource(
            "its name is not valid UTF-8 or holds control characters",
            where=path if path.isprintable() else ascii(path),
            fix="rename the file",
        )
    is_readable = location.suffix.lower() in readable_suffixes()
    resolved = _resolve_inside(root, location, path) if is_readable or location.is_symlink() else location
    try:
        status = resolved.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise UnreadableSource(
            "is a link to a folder; such links are not followed",
            where=path,
            fix="copy the folder into the corpus, or remove the link",
        )
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    if not is_readable:
        return None
    return SourceFile(unicodedata.normalize("NFC", path), location, status.st_size, status.st_mtime_ns)


def _id_of(root: Path, location: Path) -> str:
    return location.relative_to(root).as_posix()


def _shown(path: str) -> str:
    """Return a path that can be printed: bytes of a name that are no UTF-8 become U+FFFD."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _resolve_inside(root: Path, location: Path, path: str) -> Path:
    try:
        resolved = location.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    if not resolved.is_relative_to(root):
        raise UnreadableSource(
            "is a link that leads out of the corpus",
            where=path,
            fix="copy the file into the corpus, or remove the link",
        )
    return resolved


def _unreadable(path: str, error: Exception) -> UnreadableSource:
    if isinstance(error, FileNotFoundError):
        return UnreadableSource("is gone, or a link that leads nowhere", where=path, fix="build again")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "links in a circle"
    return UnreadableSource(f"can't be opened: {reason}", where=path, fix="give the building user the right to read it")


def _not_regular(path: str) -> UnreadableSource:
    return UnreadableSource("is not a regular file", where=path, fix="move it out of the corpus")


def _without_collisions(files: list[SourceFile], failures: list[SourceError]) -> list[SourceFile]:
    """Leave out files whose ids differ in case or composition alone: on other systems they are one file."""
    groups: dict[str, list[SourceFile]] = {}
    for file in files:
        key = unicodedata.normalize("NFC", file.path.casefold())
        groups.setdefault(key, []).append(file)
    for group in (group for group in groups.values() if len(group) > 1):
        names = ", ".join(sorted(ascii(file.path) if not file.path.isascii() else file.path for file in group))
        failures.extend(
            UnreadableSource(
                f"has the same id as another file but for case or accents: {names}",
                where=file.path,
                fix="rename all but one of them",
            )
            for file in group
        )
    return [group[0] for group in groups.values() if len(group) == 1]
