"""The judge beside a question: what is decided with it, without it, and what health says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_judge import write_judge

from index.judge import open_judge
from index.model import Hit
from index.search import Retrieval
from ingest.model import Passage
from service.abstain import AbstainModel
from service.decision_features import JudgeFeatures, Look, RetrievalFeatures, SimilarityFeature
from service.judging import Judging, open_judging
from service.logistic import Logistic


class Terms:
    """A lexical index of one passage that holds every term."""

    n = 1

    def analyze(self, text: str) -> list[str]:
        """Return the words."""
        return text.lower().split()

    def document_frequency(self, terms: list[str]) -> list[int]:
        """Return one for each."""
        return [1] * len(terms)


def look(n_passages: int = 3) -> Look:
    """Return a question with so many passages, each longer than the one before."""
    texts = ["word " * (2 * i + 1) for i in range(n_passages)]
    passages = tuple(
        Passage(f"p{i}", "d.md", 0, len(t.strip()), t.strip(), "", (), ((0, len(t.strip())),))
        for i, t in enumerate(texts)
    )
    hits = tuple(Hit(i, i + 1, 0.5, 0.4, 0.4, 0.4, None, 0) for i in range(n_passages))
    return Look("typed", "asked", (), Retrieval(hits, 0.0, 0.0), passages, Terms())


@pytest.fixture
def judging(tmp_path: Path) -> Judging:
    """Return a judge that likes long passages, with time enough."""
    return Judging(open_judge(write_judge(tmp_path / "judge.onnx", scale=1.0)), 60.0)


def test_the_first_passages_are_judged(judging: Judging) -> None:
    """This ensures that each passage gets its own log-odds, in order."""
    assert judging.judged(look()).log_odds == (2.0, 4.0, 6.0)


def test_a_late_judge_is_not_waited_for(judging: Judging) -> None:
    """This ensures that a question is decided without the judge where its time is over, and that health tells."""
    late = Judging(judging.judge, 0.0)

    found = [late.judged(look()) for _ in range(2)]

    assert [one.log_odds for one in found] == [(), ()]
    assert "2 questions were decided without the judge" in late.warnings()[0]
    assert judging.warnings() == ()


@pytest.mark.parametrize("value", [float("nan"), "no number", RuntimeError("out of memory")])
def test_a_judge_that_fails_is_passed_over(judging: Judging, monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    """This ensures that a fault of the judge costs nobody an answer."""

    class Broken:
        def run(self, *_: object) -> list[list[object]]:
            if isinstance(value, Exception):
                raise value
            return [[value]]

    monkeypatch.setattr(judging.judge, "_session", Broken())

    assert judging.judged(look()).log_odds == ()
    assert judging.n_missed == 1


def test_features_are_the_best_and_the_first() -> None:
    """This ensures that the decision sees the likeliest passage and the one ranked first, and zeros without a judge."""
    features = JudgeFeatures()

    assert features.features(Look("q", "q", (), look().retrieval, look().passages, Terms(), (-1.0, 2.0))) == (2.0, -1.0)
    assert features.features(look()) == (0.0, 0.0)


def test_what_the_judge_has_not_read_is_decided_without_it() -> None:
    """This ensures that weights fitted with a judge are never used on a question that it did not read."""
    plain = AbstainModel((RetrievalFeatures(),), Logistic(0.0, (0.0,) * 8), None, 0.2)
    judged = AbstainModel(
        (SimilarityFeature(), JudgeFeatures()),
        Logistic(0.0, (0.0, 1.0, 0.0)),
        None,
        0.7,
        passage=Logistic(0.0, (1.0, 0.0, 0.0)),
        judge_sha256="1" * 64,
        without_judge=plain,
    )

    with_judge = judged.decide(Look("q", "q", (), look().retrieval, look().passages, Terms(), (4.0, 0.0, -4.0)))
    without = judged.decide(look())

    assert with_judge.confidence == pytest.approx(0.982, abs=0.001)
    assert [round(p, 2) for p in with_judge.answers] == [0.98, 0.5, 0.02]
    assert (with_judge.operating_point, without.operating_point) == (0.7, 0.2)
    assert without == plain.decide(look())
    assert without.answers == ()


def test_a_missing_judge_is_a_warning(tmp_path: Path) -> None:
    """This ensures that a damaged installation answers and says why it has no judge; turned off, it says nothing."""
    judging, warnings = open_judging(True, 1.0, tmp_path / "none.onnx")

    assert judging is None
    assert "decided without the judge" in warnings[0]
    assert open_judging(False, 1.0) == (None, ())
