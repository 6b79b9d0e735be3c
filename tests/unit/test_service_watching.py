"""When a watched folder is built: after changes that came to rest, one build at a time, until asked to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from ingest.errors import CorpusMissing
from ingest.library import CorpusState, corpus_state
from service.watching import Outcome, changes_in, keep_built

UPLOAD = ".citewell-upload-0123456789abcdef.part"  # one that is just arriving over HTTP


def state(*names: str) -> CorpusState:
    return frozenset((name, 1, 0, 0) for name in names)


class Folder:
    """A folder whose states are given one by one; after the last one watching is asked to end."""

    def __init__(self, *states: CorpusState | Exception) -> None:
        self.stop = Event()
        self._states: Iterator[CorpusState | Exception] = iter(states)
        self._last: CorpusState = frozenset()
        self.said: list[str] = []
        self.n_waits = 0

    def look(self) -> CorpusState:
        """Return the next state."""
        found = next(self._states, None)
        if isinstance(found, Exception):
            raise found
        if found is None:
            self.stop.set()
        else:
            self._last = found
        return self._last

    def wait(self) -> None:
        """Count instead of waiting."""
        self.n_waits += 1

    def watch(self, build: Callable[[], Outcome], clock: Callable[[], float] = lambda: 0.0) -> None:
        """Watch to the last state."""
        keep_built(
            self.look,
            build,
            self.wait,
            self.stop,
            self.said.append,
            settle_s=0.0,
            retry_s=0.0,
            most_wait_s=1.0,
            clock=clock,
        )


def test_a_folder_is_built_at_once_and_after_each_change() -> None:
    """This ensures that the first build needs no change, and that an unchanged folder is not built again."""
    builds: list[int] = []
    a, b = state("a"), state("a", "b")
    folder = Folder(a, a, a, a, b, b, b)

    folder.watch(lambda: builds.append(1) or Outcome.DONE)  # type: ignore[func-returns-value]

    assert len(builds) == 2
    assert folder.n_waits >= 3


def test_a_file_that_grows_is_waited_for() -> None:
    """This ensures that a half-copied file is not built: two looks must agree first."""
    growing = [frozenset({("a", size, 0, 0)}) for size in (1, 2, 3, 3)]
    seen: list[int] = []
    folder = Folder(*growing)
    position = iter(range(99))

    def look() -> CorpusState:
        seen.append(next(position))
        return Folder.look(folder)

    keep_built(
        look,
        lambda: folder.stop.set() or Outcome.DONE,  # type: ignore[func-returns-value]
        folder.wait,
        folder.stop,
        folder.said.append,
        settle_s=0.0,
        clock=lambda: 0.0,
    )

    assert seen == [0, 1, 2, 3]


def test_a_file_that_never_rests_holds_up_nothing_for_ever() -> None:
    """This ensures that a log written into the corpus does not keep all other documents out."""
    growing = [frozenset({("a", size, 0, 0)}) for size in range(50)]
    times = iter(range(99))
    builds: list[int] = []
    folder = Folder(*growing)

    folder.watch(lambda: builds.append(1) or Outcome.DONE, lambda: float(next(times)))  # type: ignore[func-returns-value]

    assert len(builds) > 5


def test_a_busy_builder_is_waited_for() -> None:
    """This ensures that the same state is tried again until the other builder has ended."""
    outcomes = [Outcome.BUSY, Outcome.BUSY, Outcome.DONE]
    folder = Folder(*[state("a")] * 8)

    folder.watch(lambda: outcomes.pop(0))

    assert outcomes == []
    assert folder.n_waits >= 1


def test_a_failed_build_is_tried_after_the_next_change() -> None:
    """This ensures that a failure is not repeated without end, and that watching goes on."""
    builds: list[int] = []
    folder = Folder(*[state("a")] * 6, *[state("b")] * 3)

    folder.watch(lambda: builds.append(1) or Outcome.DONE)  # type: ignore[func-returns-value]

    assert len(builds) == 2


def test_a_stopped_build_ends_watching() -> None:
    """This ensures that nothing is begun after the process was asked to end."""
    builds: list[int] = []
    folder = Folder(*[state("a")] * 3, *[state("b")] * 9)

    folder.watch(lambda: builds.append(1) or Outcome.STOPPED)  # type: ignore[func-returns-value]

    assert len(builds) == 1


def test_a_folder_that_vanishes_is_said_once_and_built_when_it_is_back() -> None:
    """This ensures that a network drive that went away ends nothing."""
    gone = CorpusMissing("there is no such folder", where="corpus", fix="name an existing folder")
    builds: list[int] = []
    folder = Folder(*[state("a")] * 3, gone, gone, *[state("a")] * 4)

    folder.watch(lambda: builds.append(1) or Outcome.DONE)  # type: ignore[func-returns-value]

    assert folder.said == ["corpus: there is no such folder (name an existing folder)"]
    assert len(builds) == 2


def test_the_state_of_a_corpus_is_that_of_its_documents(tmp_path: Path) -> None:
    """This ensures that editors' temporary files, uploads under way and other kinds start no build; documents do."""
    (tmp_path / "a.md").write_text("one")
    before = corpus_state(tmp_path)

    for name in (
        ".a.md.swp",
        "a.md~",
        "#a.md#",
        "4913",
        "~$a.docx",
        "a.md.part",
        "notes.xlsx",
        ".~lock.a.docx#",
        UPLOAD,
    ):
        (tmp_path / name).write_text("temporary")
    unrelated = corpus_state(tmp_path)
    (tmp_path / "library.toml").write_text("[defaults]\n")
    configured = corpus_state(tmp_path)
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    renamed = corpus_state(tmp_path)
    (tmp_path / "b.md").chmod(0o600)
    permitted = corpus_state(tmp_path)

    assert unrelated == before
    assert len({before, configured, renamed, permitted}) == 4


def test_a_corpus_that_is_missing_has_no_state(tmp_path: Path) -> None:
    """This ensures that watching a missing folder is a documented error."""
    with pytest.raises(CorpusMissing):
        corpus_state(tmp_path / "absent")


def test_waiting_ends_with_a_change_and_when_asked(tmp_path: Path) -> None:
    """This ensures that a change is noticed without waiting for the next look, and that stopping needs none."""
    stop = Event()
    wait = changes_in(tmp_path, tmp_path / "index", stop, look_s=0.2)
    wait()  # nothing happens: the look is due

    (tmp_path / "a.md").write_text("new")
    wait()
    stop.set()
    wait()

    assert stop.is_set()
