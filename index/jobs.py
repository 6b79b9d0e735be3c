"""
Builds that were asked for, as records that every process can read and that outlive the one that ran them.

`jobs/<id>.json` is written by the process that builds, `jobs/LOCK` is held by it as long as it lives; a record that is
not at its end and whose process holds no lock was interrupted, whatever process ids say. Knows nothing of how a build
is started or of HTTP.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from index.errors import WriterBusy
from index.files import remove, storage_errors, write_atomically
from index.store import IndexDir

JobState = Literal["queued", "running", "succeeded", "failed", "interrupted", "cancelled"]
UNDER_WAY: Final = ("queued", "running")
KEPT_JOBS = 20
# Of each list in a report; a build that fails on 5,000 files names the first of them and counts the rest.
MAX_LISTED = 200

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
# Looking at the lock takes it for microseconds; whoever wants it for real tries again for this long.
_RETRY_S = 0.5


class JobError(BaseModel):
    """Why a build came to nothing; the members of every error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    what: str
    where: str
    fix: str


class JobRecord(BaseModel):
    """One build: how far it is, or what came of it. `revision` rises with every change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    number: int  # 1 for the first build of an index folder; the order of builds whatever the clock does
    state: JobState
    revision: int
    phase: str = ""
    done: int = 0
    total: int = 0  # 0: not known
    created_at: str
    updated_at: str
    finished_at: str | None = None
    options: dict[str, bool] = {}
    report: dict[str, Any] | None = None
    error: JobError | None = None

    @property
    def is_under_way(self) -> bool:
        """Tell whether more is to come."""
        return self.state in UNDER_WAY


class JobBook:
    """
    The records of one index folder.

    Args:
        clock: the current time; UTC.
    """

    def __init__(self, index_dir: Path, clock: Callable[[], datetime] | None = None) -> None:
        self._index_dir = index_dir
        self.path = index_dir / "jobs"
        self._clock = clock or (lambda: datetime.now(UTC))

    def begin(self, options: Mapping[str, bool]) -> tuple[JobRecord, int]:
        """
        Take the lock of builds and write a new record.

        Returns:
            The record, and the descriptor that holds the lock; the building process inherits it.

        Raises:
            WriterBusy: a build is under way, here or on the command line; says which.
            StorageFailed: the index folder can't be written.
        """
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        descriptor = self._take_lock()
        try:
            # Also when nobody asked over HTTP: whoever types `citewell build` holds this one alone.
            with IndexDir(self._index_dir).lock():
                pass
            known = self.recent()
            self._settle(known)
            moment = self._now()
            stem = moment.replace("-", "").replace(":", "")
            record = JobRecord(
                id=f"{stem}-{secrets.token_hex(4)}",
                number=max((job.number for job in known), default=0) + 1,
                state="queued",
                revision=1,
                created_at=moment,
                updated_at=moment,
                options=dict(options),
            )
            with storage_errors(self.path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, record.id.encode(), 0)
            self._write(record)
            self._prune()
        except BaseException:
            os.close(descriptor)
            raise
        return record, descriptor

    def change(self, record: JobRecord, **changes: object) -> JobRecord:
        """
        Write a record anew with some members changed; only for whoever holds the lock.

        Raises:
            StorageFailed: the disk is full or failing.
        """
        now = self._now()
        is_final = changes.get("state", record.state) not in UNDER_WAY
        changed = record.model_copy(
            update={
                **changes,
                "revision": record.revision + 1,
                "updated_at": now,
                "finished_at": now if is_final else None,
            }
        )
        self._write(changed)
        return changed

    def get(self, job_id: str) -> JobRecord | None:
        """Return a record as it stands; "interrupted" where its process is gone. None: there is no such build."""
        record = self._read(job_id)
        if record is None or not record.is_under_way or self._holder() == job_id:
            return record
        # Between the two looks it may have come to its end in order: the record is written before the lock goes.
        record = self._read(job_id)
        return record if record is None or not record.is_under_way else _interrupted(record)

    def recent(self) -> list[JobRecord]:
        """Return all records, newest first; those that can't be read are left out."""
        try:
            names = [path.stem for path in self.path.iterdir() if path.suffix == ".json"]
        except OSError:
            return []
        found = [record for name in names if (record := self.get(name)) is not None]
        return sorted(found, key=lambda record: (record.number, record.id), reverse=True)

    def ask_to_cancel(self, job_id: str) -> None:
        """
        Leave word for the building process to stop at its next step.

        Raises:
            StorageFailed: the word can't be written.
        """
        with storage_errors(self.path):
            write_atomically(self._cancel_path(job_id), b"")

    def is_cancelled(self, job_id: str) -> bool:
        """Tell whether somebody left word."""
        return self._cancel_path(job_id).exists()

    def clear(self) -> int:
        """Delete every record that is at its end, as reports name documents and quote their titles; return how many."""
        ended = [record.id for record in self.recent() if not record.is_under_way]
        for job_id in ended:
            self._remove(job_id)
        return len(ended)

    def mentions(self, document_id: str) -> bool:
        """Tell whether a record names a document, as a path in its report or in the sentence of an error."""
        name = re.escape(json.dumps(document_id, ensure_ascii=False)[1:-1])
        pattern = re.compile(rf"(?<![\w./-]){name}(?![\w/-]|\.\w)")
        with storage_errors(self.path):
            texts = (path.read_text("utf-8", "replace") for path in self.path.glob("*.json"))
            return bool(document_id) and any(map(pattern.search, texts))

    def _now(self) -> str:
        return f"{self._clock():%Y-%m-%dT%H:%M:%SZ}"

    def _record_path(self, job_id: str) -> Path:
        return self.path / f"{job_id}.json"

    def _cancel_path(self, job_id: str) -> Path:
        return self.path / f"{job_id}.cancel"

    def _write(self, record: JobRecord) -> None:
        path = self._record_path(record.id)
        with storage_errors(path):
            write_atomically(path, record.model_dump_json().encode())

    def _read(self, job_id: str) -> JobRecord | None:
        if not _ID.fullmatch(job_id):
            return None
        try:
            record = JobRecord.model_validate_json(self._record_path(job_id).read_bytes())
        except (OSError, ValidationError):
            return None
        return record if record.id == job_id else None

    def _take_lock(self) -> int:
        path = self.path / "LOCK"
        with storage_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + _RETRY_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    holder = os.pread(descriptor, 64, 0).decode("ascii", "replace")
                    os.close(descriptor)
                    raise WriterBusy(
                        f"build {holder} is under way" if _ID.fullmatch(holder) else "another build is under way",
                        where="index",
                        fix=f"wait for it to end, or cancel it: DELETE /v1/admin/builds/{holder}",
                    ) from error
                time.sleep(0.02)

    def _holder(self) -> str | None:
        """Return the id of the build whose process holds the lock, None when none does."""
        try:
            descriptor = os.open(self.path / "LOCK", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.pread(descriptor, 64, 0).decode("ascii", "replace")
            return None
        finally:
            os.close(descriptor)

    def _settle(self, known: list[JobRecord]) -> None:
        """Write down that builds were interrupted, now that another one takes the lock."""
        for record in known:
            stored = self._read(record.id)
            if stored is not None and stored.is_under_way:
                interrupted = _interrupted(stored)
                self._write(interrupted)

    def _prune(self) -> None:
        """Keep the newest records; whatever else lies here belongs to none of them."""
        kept = {record.id for record in self.recent()[:KEPT_JOBS]}
        with suppress(OSError):
            for path in self.path.iterdir():
                if path.name != "LOCK" and path.name.partition(".")[0] not in kept:
                    remove(path)

    def _remove(self, job_id: str) -> None:
        with storage_errors(self.path):
            remove(self._record_path(job_id))
            remove(self._cancel_path(job_id))


def bounded_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report with lists of at most `MAX_LISTED` entries, and under `left_out` how many more there are."""
    bounded = {name: list(v)[:MAX_LISTED] if isinstance(v, list | tuple) else v for name, v in report.items()}
    left_out = {
        name: len(value) - MAX_LISTED
        for name, value in report.items()
        if isinstance(value, list | tuple) and len(value) > MAX_LISTED
    }
    return {**bounded, "left_out": left_out}


def _interrupted(record: JobRecord) -> JobRecord:
    """Return a record of a process that is gone: the same for everybody who looks."""
    error = JobError(
        code="build_interrupted",
        what="the process that built ended before it was done; the index is as it was before, or complete",
        where=record.phase,
        fix="build again; what was embedded already is not embedded again",
    )
    return record.model_copy(
        update={
            "state": "interrupted",
            "revision": record.revision + 1,
            "finished_at": record.updated_at,
            "error": error,
        }
    )
