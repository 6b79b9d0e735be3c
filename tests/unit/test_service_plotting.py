"""Drawing an evaluation."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from service.answering import AnswerPolicy
from service.errors import RequestInvalid
from service.evaluation_report import EvaluationReport, Outcome, Returned
from service.plotting import check_plotting, draw_report


def report(n: int) -> EvaluationReport:
    """Return a report of answerable and far questions whose confidence is right."""
    outcomes = []
    for i in range(n):
        confidence, is_relevant = i / n, i > n / 2
        outcomes.append(
            Outcome(
                id=str(i),
                kind="fact" if is_relevant else "unanswerable_far",
                group="answerable" if is_relevant else "far",
                text="",
                returned=(Returned("a", 0, 1, is_relevant, True, False),),
                n_relevant=1,
                gold_documents=(),
                confidence=confidence,
                is_answered=confidence >= 0.5,
                is_agreed=None,
                marked_share=None,
                n_notices=0,
                took_ms=1.0,
            )
        )
    return EvaluationReport("q", "0" * 64, "s", "t", "m", AnswerPolicy(), False, tuple(outcomes), ())


@pytest.mark.parametrize("n", [0, 1, 40])
def test_a_png_is_drawn(tmp_path: Path, n: int) -> None:
    """This ensures that a report gives a picture, also where there is nothing to draw."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "plot.png"

    draw_report(report(n), path)

    assert path.read_bytes().startswith(b"\x89PNG\r\n")


def test_without_matplotlib_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This ensures that an optional library that is absent is said with what to install, before any work."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(RequestInvalid) as caught:
        check_plotting()

    assert "citewell[plot]" in caught.value.fix
    with pytest.raises(RequestInvalid):
        draw_report(report(1), tmp_path / "plot.png")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """This ensures that a wrong path is an error of ours."""
    pytest.importorskip("matplotlib")

    with pytest.raises(RequestInvalid, match="can't be written"):
        draw_report(report(4), tmp_path / "no folder" / "plot.png")


def test_the_report_holds_the_diagram_and_the_error() -> None:
    """This ensures that the JSON and the tables have what the picture shows."""
    found = report(40)

    values = found.to_json()

    calibration = values["calibration"]
    assert isinstance(calibration, dict)
    assert [b["n"] for b in calibration["reliability"]] == [4] * 10
    assert calibration["error"]["n"] == 40
    assert values["policy"] == {
        "min_confidence": 0.5,
        "n_nearest": AnswerPolicy().n_nearest,
        "max_per_document": AnswerPolicy().max_per_document,
        "preferred": [],
        "fusion": values["policy"]["fusion"],  # type: ignore[index]
        "calibration_sha256": "",
    }
