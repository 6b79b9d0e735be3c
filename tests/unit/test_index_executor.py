"""Work sent to executors and brought back in order, and the embedding that goes on beside it. No model."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from index.embed_ahead import EmbedAhead
from index.embed_corpus import FIRST_WINDOW, CorpusVectors
from index.errors import StorageFailed, WorkersFailed
from index.executor import Job, LocalExecutor, in_order
from index.model import EmbeddingInput, PassageVectors
from index.ray_executor import RayExecutor
from index.store import IndexDir
from index.testing import HashingEmbedder
from index.vector_cache import VectorCache
from ingest.errors import MalformedSource
from service.errors import PassageWithdrawn


class Late(Future[list[int]]):
    """Done only when somebody waits for it."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__()
        self.numbers = numbers

    def result(self, timeout: float | None = None) -> list[int]:
        """Return the negative of each number."""
        return [-number for number in self.numbers]


class LateExecutor:
    """Notes what it gets and finishes nothing by itself."""

    n_workers = 2
    is_alone = False

    def __init__(self) -> None:
        self.chunks: list[int] = []

    def submit(self, function: object, jobs: Sequence[int]) -> Late:
        """Begin a chunk."""
        self.chunks.append(len(jobs))
        return Late(jobs)


def test_results_come_in_the_order_of_the_items_however_late() -> None:
    """This ensures that what is known at once waits for the work before it, and little is taken ahead meanwhile."""
    executor, taken = LateExecutor(), 0

    def items() -> Iterator[Job[int] | int]:
        nonlocal taken
        for number in range(200):
            taken += 1
            yield Job(number, 100_000) if number % 7 else -number

    found, most_ahead = [], 0
    for result in in_order(executor, list, items()):
        found.append(result)
        most_ahead = max(most_ahead, taken - len(found))

    assert found == [-number for number in range(200)]
    assert max(executor.chunks) == 3
    assert most_ahead <= 3 * 3 * 2 + 3


def test_work_alone_is_done_one_by_one() -> None:
    """This ensures that a progress bar moves and a build can stop after each document of a small library."""
    seen: list[int] = []

    def work(jobs: Sequence[int]) -> list[int]:
        seen.extend(jobs)
        return [2 * job for job in jobs]

    results = in_order(LocalExecutor(), work, (Job(number, 1) for number in range(40)))

    assert next(results) == 0
    assert seen == [0]
    assert list(results) == [2 * number for number in range(1, 40)]


def fail(jobs: Sequence[int]) -> list[int]:
    """Fail as a bug would."""
    raise ValueError(f"job {jobs[0]}")


def test_a_bug_in_a_worker_is_raised_here() -> None:
    """This ensures that an error nobody foresaw is not lost between processes."""
    executor = LocalExecutor(1, alone_s=0.0)
    try:
        with pytest.raises(ValueError, match="job 0"):
            list(in_order(executor, fail, [Job(0, 1)]))
    finally:
        executor.close()


@pytest.mark.parametrize(
    "error", [MalformedSource("broken", where="a.pdf", fix="mend it"), PassageWithdrawn("gone", fix="look elsewhere")]
)
def test_an_error_arrives_whole_from_another_process(error: MalformedSource) -> None:
    """This ensures that what failed, where and what to do survive the way between processes."""
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.__dict__, str(again)) == (type(error), error.__dict__, str(error))


def inputs(n: int) -> list[EmbeddingInput]:
    return [EmbeddingInput("Title.", f"Passage {number % 1_500} stands here.", ((0, 7),)) for number in range(n)]


class Counting(HashingEmbedder):
    """Notes what it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def embed(self, items: Sequence[EmbeddingInput], on_done: object = None) -> list[PassageVectors]:
        """Return the vectors."""
        self.seen += [item.text for item in items]
        return super().embed(items, on_done)  # type: ignore[arg-type]


def test_equal_passages_are_embedded_once_across_windows(tmp_path: Path) -> None:
    """This ensures that a text which is with the model already, or was just before, is not given to it again."""
    embedder, items = Counting(), inputs(FIRST_WINDOW + 700)
    with VectorCache.open(tmp_path / "vectors.sqlite") as cache:
        vectors = CorpusVectors(embedder, cache)

        found = list(vectors.iter_vectors(items))

    expected = HashingEmbedder().embed(items)
    assert [v.passage.tolist() for v in found] == [v.passage.tolist() for v in expected]
    assert sorted(embedder.seen) == sorted({item.text for item in items})
    assert (vectors.n_embedded, vectors.n_reused) == (1_500, len(items) - 1_500)


def test_what_fails_beside_a_build_is_raised_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a disk which fills up in the embedding thread is the build's error."""

    def full(*_: object) -> None:
        raise StorageFailed("the disk is full", where="evidence", fix="free space")

    monkeypatch.setattr("index.embed_ahead.write_evidence", full)

    with EmbedAhead(HashingEmbedder(), LocalExecutor(), IndexDir(tmp_path), tmp_path) as ahead:
        ahead.add(inputs(3))
        with pytest.raises(StorageFailed):
            ahead.finish(lambda _: None)


class Waiting(HashingEmbedder):
    """Embeds for ever, until its listener has enough of it."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()

    def embed(self, items: Sequence[EmbeddingInput], on_done: object = None) -> list[PassageVectors]:
        """Say that it began; never return."""
        self.began.set()
        while True:
            on_done(1)  # type: ignore[operator]


def test_a_build_that_stops_ends_the_model_at_its_next_batch(tmp_path: Path) -> None:
    """This ensures that cancelling or Ctrl-C does not wait for thousands of passages."""
    embedder = Waiting()
    with EmbedAhead(embedder, LocalExecutor(), IndexDir(tmp_path), tmp_path) as ahead:
        ahead.add(inputs(FIRST_WINDOW))
        began = embedder.began.wait(30)

    assert began
    assert not ahead._thread.is_alive()


def test_other_code_in_a_worker_is_refused() -> None:
    """This ensures that a node with another version does not write other bytes into the index."""
    from index.document_work import check_rules

    with pytest.raises(WorkersFailed, match="other code") as caught:
        check_rules("0" * 64)

    assert "same version" in caught.value.fix


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "127.0.0.1:http"])
def test_a_cluster_that_is_not_there_is_named_at_once(address: str) -> None:
    """This ensures that a wrong address does not keep anybody waiting for the minutes that Ray tries."""
    with pytest.raises(WorkersFailed, match="can't be reached") as caught:
        RayExecutor(address)

    assert (caught.value.where, "ray_address" in caught.value.fix) == (address, True)
