"""
The index folder: staging, sealing, publishing, rolling back, collecting. Looks into no file but the manifest.

This module alone decides what is renamed or deleted.

    CURRENT          one line, the live snapshot's id; replaced, never edited
    LOCK             locked by the writer; says who it is
    vectors.sqlite   the embedding cache; may be deleted at any time
    snapshots/<id>/  sealed: never written again
    snapshots/.staging-*, .collected-*   being built or deleted; swept by the next writer

What a reader may rely on: CURRENT names a folder that is complete and was forced to the disk before CURRENT was; a
folder under its final name never changes until it is collected, and then disappears at once.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import get_ident

from index.engine import Engine
from index.engine_local import LocalEngine
from index.errors import (
    EngineFault,
    IndexFault,
    NoSnapshot,
    SnapshotCorrupt,
    SnapshotUnsupported,
    StorageFailed,
)
from index.files import (
    fsync_file,
    fsync_folder,
    list_files,
    list_folders,
    remove,
    rename,
    sha256_files,
    storage_errors,
    write_atomically,
)
from index.identity import SnapshotInfo, Staging, identified, iso
from index.manifest import FileIdentity, Manifest, read_manifest, write_manifest
from index.writer_lock import writer_lock
from ingest.errors import AppError

__all__ = ["IndexDir", "SnapshotInfo", "Staging"]

_STAGING = ".staging-"
_COLLECTED = ".collected-"
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_BUILD = "build one: citewell build"


class IndexDir:
    """
    The folder that holds all snapshots of one library.

    Args:
        path: need not exist until something is written.
        clock: the current time; UTC.
        engine: keeps what new snapshots hold of vectors and words; None: their folders do.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] | None = None, engine: Engine | None = None) -> None:
        self.path = path
        self.engine: Engine = engine or LocalEngine()
        self._clock = clock or (lambda: datetime.now(UTC))
        self._owner: int | None = None  # the thread that holds the lock through this object

    @property
    def snapshots_path(self) -> Path:
        """Return the folder with the snapshots."""
        return self.path / "snapshots"

    @property
    def vectors_path(self) -> Path:
        """Return where the embedding cache lies."""
        return self.path / "vectors.sqlite"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """
        Hold the writer's lock; see `writer_lock`.

        Raises:
            WriterBusy: another build holds it. StorageFailed: the folder can't be written.
        """
        with writer_lock(self.path / "LOCK", since=iso(self._clock())):
            self._owner = get_ident()
            try:
                yield
            finally:
                self._owner = None

    @contextmanager
    def writing(self) -> Iterator[Staging]:
        """Lock and stage; whatever was staged and not published by the end of the block is deleted."""
        with self._locked():
            staging = self.stage()
            try:
                yield staging
            finally:
                self.discard(staging)

    def stage(self) -> Staging:
        """
        Delete what killed writers left, and make a folder for a new snapshot.

        Raises:
            StorageFailed: the disk is full, read-only or failing.
        """
        self._require_lock()
        with storage_errors(self.snapshots_path):
            self.snapshots_path.mkdir(exist_ok=True)
            self._sweep()
            self.engine.sweep(self._published())
            path = self.snapshots_path / f"{_STAGING}{os.getpid()}-{secrets.token_hex(4)}"
            path.mkdir()
        return Staging(path)

    def discard(self, staging: Staging) -> None:
        """Delete a staging folder as far as possible; the next writer deletes the rest."""
        with suppress(OSError, AppError):
            remove(staging.path)
            self.engine.sweep(self._published())

    def seal(self, staging: Staging, manifest: Manifest) -> Manifest:
        """
        Force every file to the disk and write the manifest, last.

        Args:
            manifest: complete but for id, sequence, time and files.

        Returns:
            The manifest as written.

        Raises:
            StorageFailed: the disk is full or failing.
        """
        self._require_lock()
        with storage_errors(staging.path):
            names = list_files(staging.path)
            for name in names:
                fsync_file(staging.path / name)
            for folder in list_folders(staging.path):
                fsync_folder(folder)
            hashed = sha256_files(staging.path, names)
        files = {name: FileIdentity(bytes=hashed[name][0], sha256=hashed[name][1]) for name in names}
        known = max((info.sequence for info in self.list_snapshots()), default=0)
        sealed = identified(manifest.model_copy(update={"files": files}), self.snapshots_path, self._clock(), known)
        write_manifest(staging.path, sealed)
        self.engine.seal(sealed)
        return sealed

    def publish(self, staging: Staging) -> str:
        """
        Make a sealed snapshot the live one. Readers see the old one or the new one, nothing between.

        Returns:
            The snapshot's id.

        Raises:
            StorageFailed: the disk is full or failing; unless it says otherwise the old snapshot is live.
            SnapshotCorrupt: it was not sealed.
        """
        self._require_lock()
        snapshot_id = read_manifest(staging.path).snapshot_id
        path = self.snapshot_path(snapshot_id)
        try:
            with storage_errors(path):
                rename(staging.path, path)
            # First, so that an engine that is lost now leaves CURRENT as it is.
            self.engine.publish(read_manifest(path))
            self._set_current(snapshot_id)
        except (StorageFailed, EngineFault):
            # Only a snapshot that no reader can have been led to may go. CURRENT names the new one already when it
            # was the very last step, forcing the folder's entry to the disk, that failed.
            if not self._is_current(snapshot_id):
                with suppress(AppError):
                    self._lead_back()
                with suppress(OSError):
                    remove(path)
            raise
        return snapshot_id

    def check_current(self, snapshot_id: str) -> None:
        """Make sure that nobody is led to another model's passages than CURRENT names. Raises as `Engine`'s."""
        path = self.snapshot_path(snapshot_id)
        if path.is_dir():
            self.engine.check_current(read_manifest(path))

    def current_id(self) -> str | None:
        """
        Return the live snapshot's id, None when nothing was built yet.

        Raises:
            SnapshotCorrupt: CURRENT can't be read or holds something else.
        """
        path = self.path / "CURRENT"
        fix = "name a snapshot that `citewell snapshots` lists: citewell rollback SNAPSHOT"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SnapshotCorrupt(f"CURRENT can't be read: {error.strerror}", where=str(path), fix=fix) from error
        snapshot_id = content.decode("ascii", "replace").strip()
        if not _ID.fullmatch(snapshot_id):
            raise SnapshotCorrupt(f"CURRENT holds {snapshot_id[:40]!r}, no snapshot id", where=str(path), fix=fix)
        return snapshot_id

    def snapshot_path(self, snapshot_id: str) -> Path:
        """Return a snapshot's folder, existing or not. Raises NoSnapshot: not the form of an id."""
        if not _ID.fullmatch(snapshot_id):
            raise NoSnapshot(
                f"{snapshot_id[:80]!r} is no snapshot id", where=str(self.path), fix="see `citewell snapshots`"
            )
        return self.snapshots_path / snapshot_id

    def list_snapshots(self) -> list[SnapshotInfo]:
        """Return what is published, newest first; those whose manifest can't be read come last."""
        try:
            names = sorted(path.name for path in self.snapshots_path.iterdir() if _ID.fullmatch(path.name))
        except OSError:
            return []
        found = [self._inspect(name) for name in names]
        return sorted(found, key=lambda info: (info.sequence, info.id), reverse=True)

    def rollback(self, snapshot_id: str | None = None) -> str:
        """
        Make another snapshot the live one.

        Args:
            snapshot_id: which; None takes the one published before the current one.

        Raises:
            NoSnapshot: there is none. SnapshotCorrupt, SnapshotUnsupported: its manifest can't be used.
            WriterBusy, StorageFailed: as `lock` and `publish`.
        """
        with self._locked():
            if snapshot_id is None:
                snapshot_id = self._previous_id()
            path = self.snapshot_path(snapshot_id)
            if not path.is_dir():
                raise NoSnapshot(f"there is no snapshot {snapshot_id}", where=str(path), fix="see `citewell snapshots`")
            manifest = read_manifest(path)
            self.engine.check(manifest)
            self.engine.publish(manifest)
            self._set_current(snapshot_id)
        return snapshot_id

    def collect(self, keep: int = 3) -> list[str]:
        """
        Delete all but the newest `keep` snapshots and the current one; those of a newer format stay.

        A reader that has one open goes on with it: its files live until it closes them.

        Returns:
            The ids deleted.

        Raises:
            StorageFailed, EngineFault: one is left.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        collected, failures = [], list[IndexFault]()
        with self._locked():
            self.current_id()  # deletes nothing when CURRENT is damaged
            known = [info for info in self.list_snapshots() if not info.is_foreign]
            for info in known[keep:]:
                if info.is_current:
                    continue
                try:
                    self._delete(info.path)
                    collected.append(info.id)
                except (StorageFailed, EngineFault) as error:
                    failures.append(error)
        if failures:
            raise failures[0]
        return collected

    def drop(self, snapshot_ids: Iterable[str]) -> list[str]:
        """
        Delete the named snapshots, also damaged ones, and whatever killed writers left; the current one can't go.

        Returns:
            The ids deleted; one that is gone already is no error.

        Raises:
            ValueError: the current one is among them. SnapshotCorrupt: CURRENT is damaged, nothing was deleted.
            NoSnapshot: not the form of an id. WriterBusy, StorageFailed: as `lock` and `publish`.
        """
        dropped = []
        with self._locked():
            current = self.current_id()
            paths = {snapshot_id: self.snapshot_path(snapshot_id) for snapshot_id in snapshot_ids}
            if current in paths:
                raise ValueError(f"{current} is the current snapshot")
            if self.snapshots_path.is_dir():
                with storage_errors(self.snapshots_path):
                    self._sweep()
                self.engine.sweep(self._published())
            for snapshot_id, path in paths.items():
                if path.is_dir():
                    self._delete(path)
                    dropped.append(snapshot_id)
        return dropped

    def _delete(self, path: Path) -> None:
        # While the folder is there the next writer knows what else is to go.
        self.engine.drop(path.name, self._inspect(path.name).manifest)
        # First out of its name, so that a reader finds all of it or nothing.
        doomed = self.snapshots_path / f"{_COLLECTED}{path.name}"
        with storage_errors(path):
            remove(doomed)
            rename(path, doomed)
            remove(doomed)

    def _inspect(self, snapshot_id: str) -> SnapshotInfo:
        path = self.snapshots_path / snapshot_id
        is_current = self._is_current(snapshot_id)
        try:
            manifest = read_manifest(path)
        except (SnapshotCorrupt, SnapshotUnsupported) as error:
            is_foreign = isinstance(error, SnapshotUnsupported)
            return SnapshotInfo(snapshot_id, path, is_current, None, error.what, 0, is_foreign)
        size = sum(file.bytes for file in manifest.files.values())
        return SnapshotInfo(snapshot_id, path, is_current, manifest, "", size)

    def _previous_id(self) -> str:
        snapshots = [info for info in self.list_snapshots() if info.manifest]
        current = next((info for info in snapshots if info.is_current), None)
        for info in snapshots:
            if current is None or info.sequence < current.sequence:
                return info.id
        raise NoSnapshot("there is no older snapshot to go back to", where=str(self.snapshots_path), fix=_BUILD)

    def _set_current(self, snapshot_id: str) -> None:
        path = self.path / "CURRENT"
        try:
            with storage_errors(path):
                write_atomically(path, f"{snapshot_id}\n".encode())
        except StorageFailed as error:
            if not self._is_current(snapshot_id):
                raise
            raise StorageFailed(
                f"{snapshot_id} is live, but the disk did not confirm it ({error.what})",
                where=str(path),
                fix="check the disk, then `citewell verify`",
            ) from error

    def _is_current(self, snapshot_id: str) -> bool:
        try:
            return self.current_id() == snapshot_id
        except SnapshotCorrupt:
            return False

    def leftovers(self) -> list[Path]:
        """Return what killed writers left; while the lock is held, nothing of it is in use."""
        staged = [path for path in self.snapshots_path.glob(".*") if path.name.startswith((_STAGING, _COLLECTED))]
        return [*staged, *self.path.glob(".CURRENT.*.tmp")]

    def engine_leftovers(self) -> list[str]:
        """Return what killed writers left in the engine. Raises EngineFault."""
        return self.engine.leftovers(self._published())

    def _published(self) -> list[str]:
        try:
            return [path.name for path in self.snapshots_path.iterdir() if _ID.fullmatch(path.name)]
        except FileNotFoundError:
            return []

    def _lead_back(self) -> None:
        """Lead others to what CURRENT names."""
        if current := self.current_id():
            self.engine.publish(read_manifest(self.snapshot_path(current)))

    def _sweep(self) -> None:
        for path in self.leftovers():
            remove(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, also when this thread holds it already."""
        if self._owner == get_ident():
            yield
        else:
            with self.lock():
                yield

    def _require_lock(self) -> None:
        if self._owner != get_ident():
            raise RuntimeError("IndexDir.lock must be held")
