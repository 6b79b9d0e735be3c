"""The quality gate itself: what counts as a loss, and what an update may pin."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

NAME = "citewell_quality_gate"
if NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(NAME, Path(__file__).parents[1] / "quality" / "gate.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[NAME])
gate: Any = sys.modules[NAME]


def estimate(value: float, n: int = 10) -> dict[str, float]:
    """Return an estimate as a report's JSON has it."""
    return {"value": value, "low": 0.0, "high": 1.0, "n": n}


def report(hit_at_1: float = 0.8, *, far: float = 0.1, furniture: float = 0.0) -> dict[str, Any]:
    """Return as much of an evaluation's JSON as the gate reads."""
    ranking = {name: estimate(0.9) for name in gate.OVERALL_MEASURES}
    return {
        "questions": {"sha256": "q" * 64},
        "model_fingerprint": "m" * 64,
        "ranking": {"overall": ranking, "kinds": {"fact": {**ranking, "hit@1": estimate(hit_at_1)}}},
        "gold_documents@5": None,
        "abstention": {
            "auroc": {"near": estimate(0.6), "far": estimate(0.99)},
            "share_answered": {"answerable": estimate(0.9), "near": None, "far": estimate(far)},
        },
        "evidence": {"agreement": estimate(0.7), "marked_share": estimate(0.4)},
        "returned": {"verbatim_share": 1.0, "furniture_share": furniture},
        "labels": {"problems": []},
    }


def baseline(**values: float) -> Any:
    """Return what the gate would pin of such a report."""
    return gate.to_baseline(report(**values), "c" * 64)


def test_equal_measures_pass() -> None:
    """This ensures that a repeated run is no loss, and that what could not be measured is not pinned."""
    assert gate.find_regressions(baseline(), baseline()) == []
    assert "multi/gold_documents@5" not in baseline().pins


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"hit_at_1": 0.69}, ["fact/hit@1: 0.800 was pinned, 0.690 measured, slack 0.100"]),
        ({"hit_at_1": 0.7}, []),  # one question of ten
        ({"hit_at_1": 1.0}, []),
        ({"far": 0.21}, ["share_answered/far: 0.100 was pinned, 0.210 measured, slack 0.100"]),
        ({"far": 0.0}, []),
        ({"furniture": 0.001}, ["returned/furniture_share: 0.000 was pinned, 0.001 measured, slack 0.000"]),
    ],
)
def test_losses_beyond_one_question_are_named(values: dict[str, float], named: list[str]) -> None:
    """This ensures that floors hold from below, ceilings from above, and promises without slack."""
    assert gate.find_regressions(baseline(), baseline(**values)) == named


def test_a_measure_that_vanishes_is_a_loss() -> None:
    """This ensures that dropping a kind of questions does not drop its floor unseen."""
    found = baseline()
    fewer = replace(found, pins={name: pin for name, pin in found.pins.items() if name != "auroc/far"})

    assert gate.find_regressions(found, fewer) == ["auroc/far: 0.990 was pinned, it is no longer measured"]


def test_changed_files_are_named() -> None:
    """This ensures that floors measured on other questions, another corpus or model don't count."""
    found = baseline()

    changes = gate.find_changes(replace(found, corpus_sha256="d" * 64), found)

    assert len(changes) == 1
    assert changes[0].startswith("corpus/ changed (dddddddd was pinned, cccccccc is here)")
    assert gate.find_changes(None, found) == [f"nothing is pinned yet: run {gate.UPDATE}"]


def test_floors_do_not_creep_within_the_slack() -> None:
    """This ensures that an update keeps the better value of each pin unless a loss is allowed by name."""
    pinned, found = baseline(hit_at_1=0.8, far=0.1), baseline(hit_at_1=0.75, far=0.15)

    kept = gate.merge(pinned, found, allow_regression=False)
    lowered = gate.merge(pinned, found, allow_regression=True)

    assert (kept.pins["fact/hit@1"].value, kept.pins["share_answered/far"].value) == (0.8, 0.1)
    assert (lowered.pins["fact/hit@1"].value, lowered.pins["share_answered/far"].value) == (0.75, 0.15)


def test_better_values_are_pinned() -> None:
    """This ensures that an update raises floors and lowers ceilings."""
    raised = gate.merge(baseline(), baseline(hit_at_1=0.9, far=0.0), allow_regression=False)

    assert (raised.pins["fact/hit@1"].value, raised.pins["share_answered/far"].value) == (0.9, 0.0)


def test_a_baseline_is_read_as_written(tmp_path: Path) -> None:
    """This ensures that the file holds everything, and a missing one is no baseline."""
    path = tmp_path / "baseline.json"

    gate.write_baseline(baseline(), path)

    assert gate.read_baseline(path) == baseline()
    assert list(json.loads(path.read_text())["pins"]) == sorted(baseline().pins)
    assert gate.read_baseline(tmp_path / "missing.json") is None


def test_update_refuses_a_loss_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """This ensures that --update leaves the pins alone when something fell, and --allow-regression does not."""
    path = tmp_path / "baseline.json"
    monkeypatch.setattr(gate, "read_baseline", lambda: old_read(path))
    monkeypatch.setattr(gate, "write_baseline", lambda found, _: old_write(found, path))
    monkeypatch.setattr(gate, "measure", lambda folder: report(hit_at_1=0.5))
    old_write(replace(baseline(), corpus_sha256=gate.fingerprint_folder(gate.CORPUS)), path)

    refused = gate.main(["--update"])
    value_after_refusal = old_read(path).pins["fact/hit@1"].value
    allowed = gate.main(["--update", "--allow-regression"])

    assert (refused, value_after_refusal) == (1, 0.8)
    assert (allowed, old_read(path).pins["fact/hit@1"].value) == (0, 0.5)
    assert gate.main([]) == 0
    assert "nothing was pinned" in capsys.readouterr().out


def test_the_fingerprint_covers_names_and_bytes(tmp_path: Path) -> None:
    """This ensures that renaming or changing a file changes the fingerprint, and hidden files do not."""
    (tmp_path / "a.md").write_text("one")
    first = gate.fingerprint_folder(tmp_path)
    (tmp_path / ".hidden").write_text("x")
    with_hidden = gate.fingerprint_folder(tmp_path)
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    renamed = gate.fingerprint_folder(tmp_path)
    (tmp_path / "b.md").write_text("two")

    assert with_hidden == first
    assert len({first, renamed, gate.fingerprint_folder(tmp_path)}) == 3


old_read, old_write = gate.read_baseline, gate.write_baseline
