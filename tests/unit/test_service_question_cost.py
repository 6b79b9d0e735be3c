"""
What one question may cost, counted: nothing here depends on how busy the machine is.

A bound that fails says that a question reads, searches or embeds more than before. `tests/bench/bench_cost.py` tells
what that takes, and `tests/contract/test_question_time.py` holds the whole against the bare encoder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from index.catalogue import Catalogue
from index.dense import DenseIndex
from index.evidence_vectors import EvidenceVectors
from index.hits import RankedHits
from index.lexical import LexicalIndex
from index.model import Float32
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_document, tiny_passages, write_tiny_snapshot
from service import text_fragment
from service.answering import answer_question, parse_question
from service.runtime import board_for, policy_for
from service.settings import Settings

SUBJECTS = ("naloxone", "methadone", "buprenorphine", "withdrawal", "overdose", "counselling", "hepatitis", "sleep")
QUESTION = "How long does withdrawal from methadone last?"
LONG = " ".join(
    f"On day {i} I asked about {SUBJECTS[i % 8]} and about {SUBJECTS[(i + 3) % 8]}. What does that do to sleep?"
    for i in range(9)
)


@pytest.fixture(scope="module", params=[12, 120], ids=["small library", "large library"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> IndexDir:
    """Return the index of so many documents with eight passages each."""
    folder = tmp_path_factory.mktemp("index")
    documents = [
        tiny_document(
            f"d{i}.md",
            f"About {SUBJECTS[i % 8]} {i}",
            {
                f"Part {j}": [f"Day {j} of {SUBJECTS[(i + j) % 8]} lasts {i} hours. It is number {i * j} of them."]
                for j in range(8)
            },
            url=f"https://example.org/{i}",
        )
        for i in range(request.param)
    ]
    write_tiny_snapshot(IndexDir(folder), tuple((document, tiny_passages(document)) for document in documents))
    return IndexDir(folder)


@pytest.fixture
def snapshot(library: IndexDir) -> Iterator[Snapshot]:
    """Open it anew, so that nothing is held yet."""
    with open_snapshot(library) as opened:
        yield opened


class CountingEncoder(HashingEmbedder):
    """Counts the texts that are embedded."""

    n_texts = 0

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """Return what the other one does."""
        self.n_texts += len(texts)
        return super().encode_queries(texts)


def cost_of(question: str, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, top_k: int = 5) -> Counter[str]:
    """Answer a question, with everything read once before by another one, and return how often each thing was done."""
    counts: Counter[str] = Counter()

    def count(owner: object, name: str, what: str, amount: int | None = 1) -> None:
        inner = getattr(owner, name)

        def counted(*args: object, **options: object) -> object:
            found = inner(*args, **options)
            counts[what] += len(found) if amount is None else amount  # type: ignore[arg-type]
            return found

        monkeypatch.setattr(owner, name, counted)

    settings = Settings(min_confidence=0.0)
    policy, board, encoder = policy_for(settings, snapshot), board_for(settings), CountingEncoder()
    answer_question(parse_question("warm up"), snapshot, encoder, policy, notices=board)
    encoder.n_texts = 0
    count(Catalogue, "_all", "statements")
    count(Catalogue, "_read_passages", "passages read", None)
    count(DenseIndex, "search", "dense searches")
    count(DenseIndex, "similarities", "rows scored", None)
    count(EvidenceVectors, "_score", "evidence readings")
    count(LexicalIndex, "_fetch", "lexical searches")
    count(LexicalIndex, "analyze", "texts analysed")
    count(RankedHits, "_hit", "hits made")
    count(text_fragment, "_iter_ends", "quotes looked for")
    answer = answer_question(parse_question(question, top_k=top_k), snapshot, encoder, policy, notices=board)
    counts["texts embedded"] = encoder.n_texts
    counts["shown"] = len(answer.passages)
    return counts


MOST = {
    "statements": 8,
    "passages read": 18,
    "dense searches": 1,
    "evidence readings": 1,
    "lexical searches": 1,
    "texts analysed": 4,
    "hits made": 18,
    "quotes looked for": 30,
    "texts embedded": 1,
}


def test_a_question_does_no_more_than_it_needs(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a question's work is bounded, and by the same bounds in a library ten times the size."""
    found = cost_of(QUESTION, snapshot, monkeypatch)

    assert found["shown"] == 5
    assert {name: found[name] for name in MOST if found[name] > MOST[name]} == {}
    # Two times the candidates of each index, and what is looked at for ties.
    assert found["rows scored"] <= 2 * (200 + 16) + 200


def test_everything_that_is_bounded_is_counted(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that no bound holds because what it counts was renamed: each thing is done at least once."""
    found = cost_of(QUESTION, snapshot, monkeypatch)

    assert [name for name in MOST if found[name] < 1] == []


def test_a_long_message_embeds_few_texts(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a message of many sentences costs a handful of runs of the model, notices included."""
    found = cost_of(LONG, snapshot, monkeypatch)

    assert found["texts embedded"] <= 4 + 2
    assert found["dense searches"] == found["evidence readings"] == 1
    assert found["statements"] <= MOST["statements"]


def test_the_same_question_again_reads_nothing(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that what many people ask is not read from the disk for each of them."""
    cost_of(QUESTION, snapshot, monkeypatch)

    with pytest.MonkeyPatch.context() as patch:
        found = cost_of(QUESTION, snapshot, patch)

    assert (found["statements"], found["passages read"]) == (0, 0)
