"""Fitting with a judge, and holding a calibration against the judge that there is."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from index.fuse import FusionConfig
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.calibration import (
    CalibrationFile,
    ModelPart,
    abstain_model,
    read_calibration,
    settings_sha256,
    write_calibration,
)
from service.calibration_fit import Example, Examples, Side, fit_calibration
from service.decision_features import SimilarityFeature
from service.errors import CalibrationInvalid

JUDGE = "b" * 64


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    """Return a small library."""
    write_tiny_snapshot(IndexDir(tmp_path / "index"))
    with open_snapshot(IndexDir(tmp_path / "index")) as opened:
        yield opened


def fitted(snapshot: Snapshot, judge_sha256: str = JUDGE) -> CalibrationFile:
    """Return a fit on made-up questions that the judge tells apart and similarity does not."""
    source = random.Random(0)
    rows = []
    for i in range(120):
        side: Side = "answerable" if i % 2 else "near" if i % 4 else "far"
        log_odds = source.gauss(2.0 if side == "answerable" else -2.0, 1.5)
        similarity = 0.1 if side == "far" else source.uniform(0.4, 0.8)
        passages = (((log_odds, similarity, similarity), side == "answerable"),)
        judged = ((log_odds, log_odds), passages) if judge_sha256 else ((), ())
        rows.append(Example("lib", side, (similarity,), True, *judged))
    manifest = snapshot.manifest
    model = ModelPart(name=manifest.model.name, fingerprint=manifest.model.fingerprint)
    settings = settings_sha256(manifest, FusionConfig())
    return fit_calibration(Examples(tuple(rows), (), (SimilarityFeature(),), model, settings, judge_sha256))


def test_a_judge_that_can_tell_is_believed(snapshot: Snapshot) -> None:
    """This ensures that near questions are told apart by the judge's word, and every passage gets a probability."""
    found = fitted(snapshot)

    assert found.judged is not None
    with_judge, without = found.judged.metrics["auroc/near"], found.metrics["auroc/near"]
    assert with_judge is not None
    assert without is not None
    assert with_judge.value > 0.9 > without.value
    assert found.judged.passage.weights["judge"] > 0.5


def test_without_a_judge_nothing_is_fitted_for_one(snapshot: Snapshot) -> None:
    """This ensures that a calibration made with the judge turned off says so by having no such part."""
    assert fitted(snapshot, "").judged is None


def test_both_fits_are_kept_in_one_file(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that a file read back gives the model with the judge, and the one without it as its fallback."""
    path = tmp_path / "own.json"
    write_calibration(path, fitted(snapshot))

    model, warnings = abstain_model(path, snapshot.manifest, judge_sha256=JUDGE)
    plain, _ = abstain_model(path, snapshot.manifest)

    assert warnings == ()
    assert model.judge_sha256 == JUDGE
    assert model.without_judge == plain
    assert model.passage is not None
    assert (plain.judge_sha256, plain.without_judge, plain.passage) == ("", None, None)


@pytest.mark.parametrize(("fitted_with", "expected"), [("c" * 64, "with another judge"), ("", "without a judge")])
def test_another_judge_is_not_asked(snapshot: Snapshot, tmp_path: Path, fitted_with: str, expected: str) -> None:
    """This ensures that weights never meet log-odds of a judge that they were not fitted with, and health says why."""
    path = tmp_path / "own.json"
    write_calibration(path, fitted(snapshot, fitted_with))

    model, warnings = abstain_model(path, snapshot.manifest, judge_sha256=JUDGE)

    assert model.judge_sha256 == ""
    assert expected in warnings[0]
    assert "citewell calibrate" in warnings[0]


def test_a_calibration_from_before_there_was_a_judge_is_read(snapshot: Snapshot, tmp_path: Path) -> None:
    """This ensures that an operator's file keeps working after an upgrade."""
    path = tmp_path / "own.json"
    write_calibration(path, fitted(snapshot, ""))
    value = json.loads(path.read_text())
    del value["judged"]
    path.write_text(json.dumps(value))

    assert read_calibration(path)[0].judged is None


@pytest.mark.parametrize("field", ["answer", "topic", "passage"])
def test_damaged_weights_of_the_judged_part_are_named(snapshot: Snapshot, tmp_path: Path, field: str) -> None:
    """This ensures that a weight that is missing is found before anything is decided with it."""
    path = tmp_path / "own.json"
    write_calibration(path, fitted(snapshot))
    value = json.loads(path.read_text())
    value["judged"][field]["weights"].popitem()
    path.write_text(json.dumps(value))

    with pytest.raises(CalibrationInvalid) as caught:
        read_calibration(path)

    assert f"field judged.{field}.weights" in caught.value.where
