"""
Builds for a serving process, in a process of its own: `python -m service.build_child`.

The serving process never imports torch, and answering never waits for a build. One JSON line on standard input says
what to do; the input stays open as long as the server lives, so that its end, however the server ended, ends the build.
Progress and result go to the job's record, where every worker reads them.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from index.build import BuildConfig, BuildReport, Gate, build_index
from index.errors import BuildRefused, StorageFailed
from index.jobs import JobBook, JobError, JobRecord, bounded_report
from index.snapshot import Snapshot
from ingest.errors import AppError
from service.engines import opened_index
from service.executing import executor_maker
from service.gate import dense_config, make_gate
from service.settings import Settings

# A record is forced to the disk each time; people see no more than this.
_PROGRESS_EVERY_S = 0.25
# Steps without progress (writing, sealing) take seconds; a build that does not notice its server's end is ended.
_LEFT_ALONE_S = 20.0
_EXIT_LEFT_ALONE = 75
# Questions come first on a busy machine.
_NICENESS = 10

Build = Callable[[Settings, BuildConfig, Callable[[str, int, int], None]], BuildReport]


class _Stopped(Exception):
    """The build is to end before it is done."""

    def __init__(self, state: str) -> None:
        self.state = state
        super().__init__(state)


class Worker:
    """
    One build and its record.

    Args:
        build: does the work; `real_build` but in tests.
    """

    def __init__(self, book: JobBook, record: JobRecord, build: Build) -> None:
        self._book = book
        self._record = record
        self._build = build
        self._next_write = 0.0
        self._is_alone = threading.Event()

    def leave_alone(self) -> None:
        """Note that the server is gone: the build stops at its next step, or is ended after a while."""
        self._is_alone.set()
        timer = threading.Timer(_LEFT_ALONE_S, os._exit, (_EXIT_LEFT_ALONE,))
        timer.daemon = True
        timer.start()

    def run(self, settings: Settings) -> JobRecord:
        """Build, and write down what came of it."""
        book = self._book
        self._record = book.change(self._record, state="running")
        try:
            config = build_config(settings, refuse_failures=self._record.options.get("refuse_failures", False))
            report = self._build(settings, config, self._on_progress)
        except _Stopped as stopped:
            return book.change(self._record, state=stopped.state, error=_why(stopped.state))
        except AppError as error:
            shown = JobError(code=error.code, what=error.what, where=error.where, fix=error.fix)
            return book.change(self._record, state="failed", error=shown)
        except Exception as error:  # noqa: BLE001  a record that says so beats a process that is gone
            return book.change(self._record, state="failed", error=_unexpected(error))
        return book.change(self._record, state="succeeded", report=_told(report))

    def _on_progress(self, phase: str, done: int, total: int) -> None:
        # Once it is live nothing stops it any more: the record would say that nothing was published.
        is_live = phase == "tidy" or (phase == "publish" and done > 0)
        if self._is_alone.is_set() and not is_live:
            raise _Stopped("interrupted")
        now = time.monotonic()
        is_last = 0 < total <= done
        if phase == self._record.phase and now < self._next_write and not is_last:
            return
        if not is_live and self._book.is_cancelled(self._record.id):
            raise _Stopped("cancelled")
        self._next_write = now + _PROGRESS_EVERY_S
        # A disk that is full stops the build where it matters; what it shows on the way does not.
        with suppress(StorageFailed):
            self._record = self._book.change(self._record, phase=phase, done=done, total=total)


def build_config(settings: Settings, *, refuse_failures: bool) -> BuildConfig:
    """
    Return how a build over HTTP is done: with the operator's gate, and on request without any failed file.

    Raises:
        QuestionsInvalid, FloorsInvalid: the gate's files are malformed.
        ExtraMissing: Ray is to do the work and is not installed.
    """
    gates: list[Gate] = []
    if refuse_failures:
        gates.append(_refuse_failures)
    if settings.admin_gate is not None:
        gates.append(make_gate(settings.admin_gate, None, settings))

    def check(snapshot: Snapshot) -> None:
        for gate in gates:
            gate(snapshot)

    return BuildConfig(
        gate=check if gates else None,
        dense=dense_config(settings, settings.admin_gate),
        make_executor=executor_maker(settings),
    )


def _refuse_failures(snapshot: Snapshot) -> None:
    failures: Any = snapshot.manifest.report.get("failures", [])
    if failures:
        shown = "; ".join(f"{failure['path']}: {failure['reason']}" for failure in failures[:3])
        raise BuildRefused(
            f"{len(failures)} files can't be read, first: {shown}",
            where="corpus",
            fix="mend or delete them, or build without refuse_failures; the old index is still served",
        )


def real_build(settings: Settings, config: BuildConfig, on_progress: Callable[[str, int, int], None]) -> BuildReport:
    """Build with the model of the settings."""
    from index.embed import SentenceTransformerEmbedder
    from index.model_files import find_model

    embedder = SentenceTransformerEmbedder(find_model(settings.model))
    with opened_index(settings) as index_dir:
        return build_index(settings.corpus, index_dir, embedder, config, on_progress)


def _why(state: str) -> JobError:
    if state == "cancelled":
        what, code = "somebody cancelled it; the index is as it was before", "build_cancelled"
    else:
        what, code = "the service was stopped; the index is as it was before", "build_interrupted"
    return JobError(code=code, what=what, where="", fix="build again; what was embedded already is kept")


def _unexpected(error: Exception) -> JobError:
    from service.problems import frames_of

    place = frames_of(error)[-1:] or [""]
    what = f"something failed that should not ({type(error).__name__})"
    return JobError(code="internal_error", what=what, where=place[0], fix="report it with this line")


def _told(report: BuildReport) -> dict[str, Any]:
    """Return a report in JSON's own types, flat, so that no list of it, those of the changes included, is endless."""
    values = dict(json.loads(json.dumps(dataclasses.asdict(report), default=str)))
    return bounded_report(values | values.pop("changes"))


def main() -> None:
    """Read the request, build, end."""
    request = json.loads(sys.stdin.readline())
    os.nice(_NICENESS)
    with holding(request["lock"]):
        _run(request)


@contextmanager
def holding(lock: int) -> Iterator[None]:
    """
    Keep the lock of builds, held from before this process began, to the end of the block and no longer.

    Whatever this process starts in its turn must not keep it; an interpreter with torch in it takes a second to end,
    in which the next build would be refused.
    """
    held = [lock]

    def forget() -> None:
        while held:
            os.close(held.pop())

    os.set_inheritable(lock, False)
    os.register_at_fork(after_in_child=forget)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
        forget()


def _run(request: dict[str, Any]) -> None:
    settings = Settings(**request["settings"])
    book = JobBook(Path(settings.index_dir))
    record = book.get(request["job"])
    if record is None:
        raise SystemExit(f"there is no job {request['job']}")
    worker = Worker(book, record, real_build)

    def wait_for_the_end() -> None:
        # Not through sys.stdin, whose lock a waiting thread would keep while the interpreter ends.
        while os.read(0, 4_096):
            pass
        worker.leave_alone()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    worker.run(settings)


if __name__ == "__main__":
    main()
