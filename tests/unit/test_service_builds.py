"""Builds asked for over HTTP: the process that builds, its record, and whoever follows it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from admin_support import waiting_process, write_corpus

from index.build import PHASES, BuildConfig, BuildReport, build_index
from index.errors import StorageFailed
from index.jobs import JobBook, JobRecord
from index.store import IndexDir
from index.testing import HashingEmbedder
from service import build_child, builds
from service.build_child import Build, Worker
from service.builds import Builds
from service.errors import NotFound
from service.settings import Settings

Progress = Callable[[str, int, int], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a small library."""
    return Settings(corpus=write_corpus(tmp_path / "corpus"), index_dir=tmp_path / "index")


def run(settings: Settings, build: Build, **options: bool) -> JobRecord:
    """Run one build as its process does; return the record that it leaves."""
    book = JobBook(settings.index_dir)
    record, lock = book.begin(options)
    try:
        return Worker(book, record, build).run(settings)
    finally:
        os.close(lock)


def hashing_build(settings: Settings, config: BuildConfig, on_progress: Progress) -> BuildReport:
    return build_index(settings.corpus, settings.index_dir, HashingEmbedder(), config, on_progress)


def test_report_ends_up_in_the_record(settings: Settings) -> None:
    """This ensures that what the build did is in the record, and the index is live."""
    record = run(settings, hashing_build)

    assert record.state == "succeeded"
    assert record.report is not None
    assert record.report["n_documents"] == 2
    assert record.report["snapshot_id"] == IndexDir(settings.index_dir).current_id()
    assert JobBook(settings.index_dir).get(record.id) == record


def test_failed_file_is_in_the_report(settings: Settings) -> None:
    """This ensures that a file that can't be read stops nothing and is named with its reason."""
    (settings.corpus / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")

    record = run(settings, hashing_build)

    assert record.state == "succeeded"
    assert record.report is not None
    assert [failure["path"] for failure in record.report["failures"]] == ["broken.pdf"]


def test_refusing_failures_keeps_the_old_index(settings: Settings) -> None:
    """This ensures that nothing is published on request when a file can't be read, and that it is named."""
    (settings.corpus / "broken.pdf").write_bytes(b"%PDF-1.7 and nothing else")

    record = run(settings, hashing_build, refuse_failures=True)

    assert record.state == "failed"
    assert record.error is not None
    assert (record.error.code, "broken.pdf" in record.error.what) == ("build_refused", True)
    assert IndexDir(settings.index_dir).current_id() is None


def test_refusing_failures_publishes_what_has_none(settings: Settings) -> None:
    """This ensures that the option costs nothing when all is well."""
    assert run(settings, hashing_build, refuse_failures=True).state == "succeeded"


def test_gate_of_the_operator_is_asked(settings: Settings, tmp_path: Path) -> None:
    """This ensures that `admin_gate` holds for builds over HTTP, from its files on."""
    (tmp_path / "q.jsonl").write_text("nonsense\n")

    record = run(settings.model_copy(update={"admin_gate": tmp_path / "q.jsonl"}), hashing_build)

    assert record.state == "failed"
    assert record.error is not None
    assert record.error.code == "questions_invalid"


def test_error_is_said_with_its_fix(settings: Settings) -> None:
    """This ensures that a foreseen error is in the record as everywhere else."""
    record = run(settings.model_copy(update={"corpus": settings.corpus / "absent"}), hashing_build)

    assert record.error is not None
    assert (record.state, record.error.code) == ("failed", "corpus_missing")
    assert record.error.fix


def test_surprise_is_said_without_its_text(settings: Settings) -> None:
    """This ensures that an unforeseen error names its type and place, and nothing that it says."""

    def crash(*_: object) -> BuildReport:
        raise RuntimeError("secret text")

    record = run(settings, crash)

    assert record.error is not None
    assert (record.state, record.error.code) == ("failed", "internal_error")
    assert "RuntimeError" in record.error.what
    assert "secret" not in record.model_dump_json()


def test_cancelled_build_stops_at_its_next_step(settings: Settings) -> None:
    """This ensures that a build that somebody cancels publishes nothing and leaves no half snapshot."""
    book = JobBook(settings.index_dir)

    def build(settings: Settings, config: BuildConfig, on_progress: Progress) -> BuildReport:
        book.ask_to_cancel(book.recent()[0].id)
        return hashing_build(settings, config, on_progress)

    record = run(settings, build)

    assert (record.state, record.error and record.error.code) == ("cancelled", "build_cancelled")
    assert IndexDir(settings.index_dir).current_id() is None
    assert list((settings.index_dir / "snapshots").iterdir()) == []


@pytest.mark.parametrize("moment", ["publish", "tidy"])
def test_published_build_is_not_called_cancelled(
    settings: Settings, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This ensures that word to stop which comes when the index is live already is too late, and the record true."""
    left_alone = threading.Event()
    monkeypatch.setattr(build_child, "_LEFT_ALONE_S", 0.0)
    monkeypatch.setattr(build_child.os, "_exit", lambda _code: left_alone.set())
    book = JobBook(settings.index_dir)

    def build(settings: Settings, config: BuildConfig, on_progress: Progress) -> BuildReport:
        def progress(phase: str, done: int, total: int) -> None:
            if phase == moment and done == total:
                book.ask_to_cancel(book.recent()[0].id)
                worker.leave_alone()
            on_progress(phase, done, total)

        return hashing_build(settings, config, progress)

    record, lock = book.begin({})
    worker = Worker(book, record, build)
    ended = worker.run(settings)
    os.close(lock)

    assert left_alone.wait(5)
    assert ended.state == "succeeded"
    assert ended.report is not None
    assert ended.report["snapshot_id"] == IndexDir(settings.index_dir).current_id()


def test_report_tells_changes_in_bounded_lists(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a first build of thousands makes a small record, and that changes are lists of their own."""
    monkeypatch.setattr("index.jobs.MAX_LISTED", 1)

    record = run(settings, hashing_build)

    assert record.report is not None
    assert record.report["added"] == ["guides/naloxone.md"]
    assert record.report["left_out"]["added"] == 1
    assert (record.report["moved"], record.report["n_unchanged"]) == ([], 0)
    assert "changes" not in record.report


def test_build_without_its_server_stops(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a build ends when the server is gone, as interrupted; if it hangs, it is ended."""
    exits: list[int] = []
    monkeypatch.setattr(build_child, "_LEFT_ALONE_S", 0.01)
    monkeypatch.setattr(build_child.os, "_exit", exits.append)
    book = JobBook(settings.index_dir)
    record, lock = book.begin({})
    worker = Worker(book, record, hashing_build)

    worker.leave_alone()
    ended = worker.run(settings)
    os.close(lock)
    deadline = time.monotonic() + 5
    while not exits and time.monotonic() < deadline:
        time.sleep(0.01)

    assert ended.state == "interrupted"
    assert exits == [75]


def test_progress_is_throttled(settings: Settings) -> None:
    """This ensures that a phase of thousands of steps writes a few records, and each phase at least one."""

    def build(_settings: Settings, _config: BuildConfig, on_progress: Progress) -> BuildReport:
        for phase in ("read", "embed"):
            for done in range(2_000):
                on_progress(phase, done, 2_000)
        return replace(EMPTY, n_documents=1)

    record = run(settings, build)

    assert record.state == "succeeded"
    assert 5 <= record.revision < 60


EMPTY = BuildReport("", 0, 0, 0, 0, 0, (), (), ())


def test_full_disk_does_not_stop_for_the_progress(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that progress that can't be written is left out and the build goes on."""
    real, n_written = JobBook.change, 0

    def change(self: JobBook, record: JobRecord, **changes: object) -> JobRecord:
        nonlocal n_written
        if "phase" in changes:
            n_written += 1
            raise StorageFailed("full", where="x", fix="y")
        return real(self, record, **changes)

    monkeypatch.setattr(JobBook, "change", change)

    record = run(settings, hashing_build)

    assert n_written > 0
    assert record.state == "succeeded"


def test_failed_start_is_a_failed_build(settings: Settings) -> None:
    """This ensures that a process that can't be started is said, and the next build can begin."""

    def spawn(*_: object) -> subprocess.Popen[bytes]:
        raise OSError(11, "Resource temporarily unavailable")

    failing = Builds(settings, spawn)
    record = failing.start(refuse_failures=False)

    assert record.state == "failed"
    assert failing.start(refuse_failures=False).state == "failed"


def test_tokens_are_not_told_to_the_building_process(settings: Settings) -> None:
    """This ensures that no hash of a token leaves the serving process."""
    lines: list[bytes] = []

    def spawn(_command: list[str], line: bytes, lock: int) -> subprocess.Popen[bytes]:
        lines.append(line)
        raise OSError(11, "no more")

    Builds(settings.model_copy(update={"admin_tokens": ("a" * 64,)}), spawn).start(refuse_failures=False)

    assert b"a" * 64 not in lines[0]
    assert b'"corpus"' in lines[0]


def test_every_phase_has_words_for_people() -> None:
    """This ensures that the admin page names each phase of a build, in their order, and no other."""
    text = (Path(builds.__file__).parent / "web" / "admin_views.js").read_text("utf-8")
    table = text[text.index("const PHASES =") :].partition("});")[0]

    assert tuple(re.findall(r"^  (\w+): \"[A-Z][\w ]+\",$", table, re.MULTILINE)) == PHASES


def test_unknown_build_is_not_found(settings: Settings) -> None:
    """This ensures that an id of no build says where to look."""
    with pytest.raises(NotFound):
        Builds(settings).find("20260601T093000Z-00000000")


def test_stopping_ends_what_was_started(settings: Settings) -> None:
    """This ensures that a server that stops does not leave its build running."""
    started = Builds(settings, waiting_process)
    record = started.start(refuse_failures=False)
    before = started.find(record.id).state

    started.stop()

    assert (before, started.find(record.id).state) == ("queued", "interrupted")


def collect(followed: Builds, job_id: str, after: int) -> list[JobRecord | None]:
    async def gather() -> list[JobRecord | None]:
        with anyio.fail_after(10):
            return [record async for record in followed.follow(job_id, after)]

    return anyio.run(gather)


def test_follower_sees_the_end(settings: Settings) -> None:
    """This ensures that a follower of a build that has ended gets its last state, whatever it has seen, and no more."""
    record = run(settings, hashing_build)

    for after in (0, record.revision, 999):
        assert collect(Builds(settings), record.id, after) == [record]


def test_follower_hears_a_sign_of_life(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a silent phase does not look like a broken connection, and that only news is sent."""
    monkeypatch.setattr(builds, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(builds, "HEARTBEAT_S", 0.05)
    book = JobBook(settings.index_dir)
    record, lock = book.begin({})

    async def gather() -> list[JobRecord | None]:
        heard: list[JobRecord | None] = []
        async for news in Builds(settings).follow(record.id, after=1):
            heard.append(news)
            if len(heard) == 2:
                os.close(lock)
        return heard

    heard = anyio.run(gather)

    assert heard[:2] == [None, None]
    assert heard[-1] is not None
    assert heard[-1].state == "interrupted"


def test_follower_is_let_go_when_the_service_ends(settings: Settings) -> None:
    """This ensures that an open stream does not keep a process from ending; the build is looked at no more."""
    book = JobBook(settings.index_dir)
    record, lock = book.begin({})
    answers = iter([False, False, True])

    async def gather() -> list[JobRecord | None]:
        with anyio.fail_after(5):
            followed = Builds(settings).follow(record.id, 0, lambda: next(answers))
            return [news async for news in followed]

    heard = anyio.run(gather)
    os.close(lock)

    assert [news and news.state for news in heard] == ["queued"]


def test_follower_of_a_deleted_build_ends(settings: Settings) -> None:
    """This ensures that a record that is pruned ends the stream instead of an error."""
    assert collect(Builds(settings), "20260601T093000Z-00000000", 0) == []


def test_lock_is_free_as_soon_as_the_build_has_ended(settings: Settings) -> None:
    """This ensures that the next build is taken at once, also while what the building process forked lives on."""
    book = JobBook(settings.index_dir)
    _, lock = book.begin({})
    copy = os.dup(lock)

    with build_child.holding(lock):
        pass
    _, second = book.begin({})

    os.close(copy)
    os.close(second)
