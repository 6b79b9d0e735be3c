"""Records of builds: one at a time, readable by everybody, true after a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index.errors import WriterBusy
from index.jobs import KEPT_JOBS, MAX_LISTED, JobBook, bounded_report
from index.store import IndexDir

MOMENT = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def book(tmp_path: Path) -> JobBook:
    """Return the records of an index folder that does not exist yet."""
    return JobBook(tmp_path / "index", clock=lambda: MOMENT)


def finish(book: JobBook, state: str = "succeeded", **changes: object) -> str:
    """Run a build to its end; return its id."""
    record, lock = book.begin({})
    book.change(record, state=state, **changes)
    os.close(lock)
    return record.id


def test_build_is_seen_from_its_beginning(book: JobBook) -> None:
    """This ensures that a record is there, queued, as soon as a build was asked for."""
    record, lock = book.begin({"refuse_failures": True})

    assert book.get(record.id) == record
    assert (record.state, record.number, record.options) == ("queued", 1, {"refuse_failures": True})
    assert record.created_at == "2026-06-01T09:30:00Z"
    os.close(lock)


def test_changes_raise_the_revision(book: JobBook) -> None:
    """This ensures that a follower can tell new from old, and that only an end has a time of its own."""
    record, lock = book.begin({})

    running = book.change(record, state="running", phase="read", done=1, total=3)
    done = book.change(running, state="succeeded", report={"n_documents": 3})
    os.close(lock)

    assert [r.revision for r in (record, running, done)] == [1, 2, 3]
    assert (running.finished_at, done.finished_at) == (None, "2026-06-01T09:30:00Z")
    assert book.get(record.id) == done


def test_second_build_is_told_of_the_first(book: JobBook) -> None:
    """This ensures that one build runs at a time and that the other one is named."""
    record, lock = book.begin({})

    with pytest.raises(WriterBusy, match=record.id):
        book.begin({})
    os.close(lock)

    assert len(book.recent()) == 1


def test_build_on_the_command_line_counts(book: JobBook, tmp_path: Path) -> None:
    """This ensures that whoever else writes the index is named, and the lock of builds is free afterwards."""
    with IndexDir(tmp_path / "index").lock(), pytest.raises(WriterBusy, match=f"process {os.getpid()}"):
        book.begin({})

    _, lock = book.begin({})
    os.close(lock)


def test_record_without_its_process_is_interrupted(book: JobBook) -> None:
    """This ensures that a build whose process is gone is said to be interrupted, the same at each look."""
    record, lock = book.begin({})
    running = book.change(record, state="running", phase="embed")
    assert book.get(record.id) == running

    os.close(lock)

    found = book.get(record.id)
    assert found is not None
    assert (found.state, found.error and found.error.code) == ("interrupted", "build_interrupted")
    assert found == book.get(record.id) == book.recent()[0]


def test_lock_decides_and_not_the_process_id(book: JobBook) -> None:
    """This ensures that a record is interrupted although its process lives on, once it let go of the lock."""
    record, lock = book.begin({})
    os.close(lock)
    other, other_lock = book.begin({})

    states = {r.id: r.state for r in book.recent()}

    assert states == {record.id: "interrupted", other.id: "queued"}
    assert json.loads((book.path / f"{record.id}.json").read_bytes())["state"] == "interrupted"
    os.close(other_lock)


def test_lock_is_kept_by_a_process_that_inherits_it(book: JobBook) -> None:
    """This ensures that a build goes on being one after the worker that started it has closed its own descriptor."""
    record, lock = book.begin({})
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(lock,),
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdout.readline()
    os.close(lock)

    alive = book.get(record.id)
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    dead = book.get(record.id)

    assert alive is not None
    assert dead is not None
    assert (alive.state, dead.state) == ("queued", "interrupted")


def test_newest_are_kept(book: JobBook) -> None:
    """This ensures that the folder stays small, that order is that of asking, and that leftovers go."""
    book.path.mkdir(parents=True)
    (book.path / ".x.json.1234.tmp").write_text("half")
    ids = [finish(book) for _ in range(KEPT_JOBS + 3)]

    assert [record.id for record in book.recent()] == ids[:2:-1]
    assert len(list(book.path.iterdir())) == KEPT_JOBS + 1


def test_word_to_cancel_is_heard(book: JobBook) -> None:
    """This ensures that any process can ask the building one to stop."""
    record, lock = book.begin({})
    before = book.is_cancelled(record.id)

    JobBook(book.path.parent).ask_to_cancel(record.id)

    assert (before, book.is_cancelled(record.id)) == (False, True)
    os.close(lock)


@pytest.mark.parametrize("content", [b"", b"{", b'{"id": "x"}', b"\xff\x00"])
def test_damaged_record_hides_nothing_else(book: JobBook, content: bytes) -> None:
    """This ensures that a record that can't be read costs itself alone."""
    first, second = finish(book), finish(book)
    (book.path / f"{first}.json").write_bytes(content)

    assert book.get(first) is None
    assert [record.id for record in book.recent()] == [second]


@pytest.mark.parametrize("job_id", ["", "x", "../LOCK", "20260601T093000Z-00000000", "a" * 10_000, "\0"])
def test_other_ids_are_nothing(book: JobBook, job_id: str) -> None:
    """This ensures that an id never becomes a path of something else."""
    finish(book)

    assert book.get(job_id) is None


def test_clear_forgets_all_that_ended(book: JobBook) -> None:
    """This ensures that reports, which name documents, can be deleted, and a build under way stays."""
    finish(book)
    record, lock = book.begin({})

    book.clear()

    assert [r.id for r in book.recent()] == [record.id]
    os.close(lock)


def test_report_is_bounded() -> None:
    """This ensures that a build that fails on thousands of files makes a small record that says so."""
    report = bounded_report({"failures": tuple(range(MAX_LISTED + 5)), "n": 1, "seconds": {"read": 1.0}})

    assert len(report["failures"]) == MAX_LISTED
    assert report["left_out"] == {"failures": 5}
    assert (report["n"], report["seconds"]) == (1, {"read": 1.0})
