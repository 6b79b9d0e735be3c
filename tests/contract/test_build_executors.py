"""One suite for every executor: the same index, the same failures, and a clear end when a worker dies."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from dying_embedder import DyingCounter, DyingEmbedder

from index.build import BuildConfig, BuildReport, build_index
from index.errors import WorkersFailed
from index.executor import ALONE_S, BuildExecutor, LocalExecutor
from index.ray_executor import RayExecutor
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.verify import verify_snapshot

ROOT = Path(__file__).parents[2]
FILES = ("catalogue.sqlite", "dense.faiss", "evidence.npy", "evidence_starts.npy", "carried.sqlite")


class Kept:
    """An executor that outlives its build: starting Ray takes seconds."""

    def __init__(self, executor: BuildExecutor) -> None:
        self.executor = executor
        self.n_workers, self.is_alone = executor.n_workers, executor.is_alone
        self.embed = executor.embed
        self.submit = executor.submit

    def close(self) -> None:
        """Stay."""


@pytest.fixture(scope="module")
def ray() -> Iterator[Kept]:
    with pytest.MonkeyPatch.context() as patch:
        # Workers start with the environment of the process that starts Ray, not with its sys.path.
        patch.setenv("PYTHONPATH", f"{ROOT}:{ROOT / 'tests'}")
        executor = RayExecutor()
    yield Kept(executor)
    executor.close()


@pytest.fixture(params=["processes", "ray"])
def others(request: pytest.FixtureRequest) -> Callable[[], BuildExecutor]:
    """Return what makes an executor whose work is done in other processes."""
    if request.param == "ray":
        kept = request.getfixturevalue("ray")
        return lambda: kept
    return partial(LocalExecutor, n_workers=2, alone_s=0.0)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Return the starter library with files that fail, and a banner that documents share."""
    folder = tmp_path / "corpus"
    shutil.copytree(ROOT / "corpus", folder)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 no more")
    (folder / "empty.md").write_text("")
    for number in range(6):
        (folder / f"shared{number}.md").write_text(f"Our bright new home\n\nDocument {number} has its own words.\n")
    return folder


def built(corpus: Path, index_dir: Path, make: Callable[[], BuildExecutor]) -> tuple[BuildReport, dict[str, bytes]]:
    report = build_index(corpus, index_dir, HashingEmbedder(), BuildConfig(make_executor=make))
    folder = IndexDir(index_dir).snapshot_path(report.snapshot_id)
    return report, {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


def comparable(report: BuildReport) -> BuildReport:
    """Return a report without what depends on the clock."""
    return replace(
        report, snapshot_id="", previous_id="", seconds={}, embedding_passages_per_s=0.0, peak_memory_bytes=0, model_s=0
    )


def test_the_index_is_the_same_byte_for_byte(corpus: Path, tmp_path: Path, others: Callable[[], BuildExecutor]) -> None:
    """This ensures that who does the work never shows: rows, vectors, failures, warnings, and after an edit too."""
    alone, expected = built(corpus, tmp_path / "alone", partial(LocalExecutor, alone_s=1e9))
    report, found = built(corpus, tmp_path / "others", others)
    for number in range(3):
        (corpus / f"shared{number}.md").unlink()
    alone_again, expected_again = built(corpus, tmp_path / "alone", partial(LocalExecutor, alone_s=1e9))
    report_again, found_again = built(corpus, tmp_path / "others", others)

    assert [f.path for f in report.failures] == ["broken.pdf", "empty.md"]
    assert comparable(report) == comparable(alone)
    assert found == expected
    assert comparable(report_again) == comparable(alone_again)
    assert found_again == expected_again


def test_a_worker_that_dies_for_good_leaves_the_old_index(
    corpus: Path, tmp_path: Path, others: Callable[[], BuildExecutor]
) -> None:
    """This ensures that losing workers is one clear error, with nothing of the new build live."""
    live = built(corpus, tmp_path / "index", LocalExecutor)[0].snapshot_id
    (corpus / "new.md").write_text("# New\n\nOne more document.\n")
    deaths = tmp_path / "deaths"
    deaths.mkdir()

    with pytest.raises(WorkersFailed) as caught:
        build_index(corpus, tmp_path / "index", DyingCounter(deaths, 100), BuildConfig(make_executor=others))

    assert "as it was before" in caught.value.fix
    assert list(deaths.iterdir())
    with open_snapshot(IndexDir(tmp_path / "index")) as snapshot:
        assert (snapshot.id, verify_snapshot(snapshot).is_sound) == (live, True)


def test_ray_does_the_work_of_a_lost_worker_again(corpus: Path, tmp_path: Path, ray: Kept) -> None:
    """This ensures that a worker killed in the middle of a build costs time and nothing else."""
    expected = built(corpus, tmp_path / "alone", LocalExecutor)[1]
    deaths = tmp_path / "deaths"
    deaths.mkdir()

    report = build_index(corpus, tmp_path / "index", DyingEmbedder(deaths, 1), BuildConfig(make_executor=lambda: ray))

    folder = IndexDir(tmp_path / "index").snapshot_path(report.snapshot_id)
    assert len(list(deaths.iterdir())) == 1
    assert {name: (folder / name).read_bytes() for name in expected} == expected


def test_a_small_library_starts_no_process(corpus: Path, tmp_path: Path) -> None:
    """This ensures that nobody waits for processes that have nothing to do."""
    made: list[LocalExecutor] = []

    def make() -> LocalExecutor:
        made.append(LocalExecutor(alone_s=100 * ALONE_S))
        return made[0]

    built(corpus, tmp_path / "index", make)

    assert made[0]._pool is None
