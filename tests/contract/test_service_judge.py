"""The judge over HTTP: what a reply and health say of it, with it and without it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_support import tiny_client
from starlette.testclient import TestClient

from index.fuse import FusionConfig
from index.judge import SHIPPED, open_judge
from index.snapshot import open_snapshot
from index.store import IndexDir
from index.testing import write_tiny_snapshot
from service.calibration import ModelPart, settings_sha256, write_calibration
from service.calibration_fit import Example, Examples, Side, fit_calibration
from service.decision_features import SimilarityFeature
from service.judging import open_judging

QUESTION = {"question": "How soon after the last dose does withdrawal begin?"}


def write_own_calibration(folder: Path) -> Path:
    """Write a calibration that was fitted with the shipped judge, for the small library's model."""
    write_tiny_snapshot(IndexDir(folder / "index"))
    source = random.Random(0)
    rows = []
    for i in range(80):
        side: Side = "answerable" if i % 2 else "near"
        value = source.gauss(1.0 if i % 2 else -1.0, 1.0)
        rows.append(Example("lib", side, (0.5,), True, (value, value), (((value, 0.5, 0.5), bool(i % 2)),)))
    with open_snapshot(IndexDir(folder / "index")) as snapshot:
        manifest = snapshot.manifest
    model = ModelPart(name=manifest.model.name, fingerprint=manifest.model.fingerprint)
    settings = settings_sha256(manifest, FusionConfig())
    sha256 = open_judge(SHIPPED).sha256
    path = folder / "own.json"
    write_calibration(path, fit_calibration(Examples(tuple(rows), (), (SimilarityFeature(),), model, settings, sha256)))
    return path


@pytest.fixture
def calibration(tmp_path: Path) -> Path:
    """Return such a file; the small library lies beside it."""
    return write_own_calibration(tmp_path)


@pytest.fixture
def client(tmp_path: Path, calibration: Path) -> Iterator[TestClient]:
    """Serve the small library with the judge."""
    with tiny_client(tmp_path, is_built=False, calibration=calibration) as served:
        yield served


def test_the_first_passages_say_how_likely_they_answer(client: TestClient) -> None:
    """This ensures that a reply tells the judge's word on each of the first passages, and null on later ones."""
    reply = client.post("/v1/ask", json=QUESTION | {"top_k": 5}).json()

    told = [passage["answers"] for passage in reply["passages"]]
    assert all(0.0 <= value <= 1.0 for value in told[:3])
    assert told[3:] == [None] * (len(told) - 3)


def test_health_names_the_judge_in_use(client: TestClient) -> None:
    """This ensures that an operator sees that there is a judge, which one, and that it keeps up."""
    judge = client.get("/v1/health").json()["judge"]

    assert judge == {"in_use": True, "sha256": open_judge(SHIPPED).sha256, "missed": 0}


def test_the_setting_turns_it_off(tmp_path: Path, calibration: Path) -> None:
    """This ensures that questions are then decided without it, and that the reply and health say so."""
    with tiny_client(tmp_path, is_built=False, calibration=calibration, judge=False) as client:
        passages = client.post("/v1/ask", json=QUESTION).json()["passages"]
        health = client.get("/v1/health").json()

    assert {passage["answers"] for passage in passages} == {None}
    assert health["judge"] == {"in_use": False, "sha256": "", "missed": 0}


def test_a_judge_without_time_is_counted(tmp_path: Path, calibration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that a question gets its answer when the judge is late, and that health warns."""
    judging, _ = open_judging(True, 1.0)
    assert judging is not None
    monkeypatch.setattr(judging, "budget_s", 0.0)
    monkeypatch.setattr(judging, "n_missed", 0)
    with tiny_client(tmp_path, is_built=False, calibration=calibration) as client:
        reply = client.post("/v1/ask", json=QUESTION)
        health = client.get("/v1/health").json()

    assert reply.status_code == 200
    assert {passage["answers"] for passage in reply.json()["passages"]} == {None}
    assert health["judge"]["missed"] >= 1
    assert any("without the judge" in warning for warning in health["warnings"])


def test_a_damaged_judge_stops_nobody(tmp_path: Path, calibration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that without a usable judge questions are answered, and health names the file and what to do."""
    monkeypatch.setattr(
        "service.runtime.open_judging", lambda is_on, budget: open_judging(is_on, budget, tmp_path / "x")
    )
    with tiny_client(tmp_path, is_built=False, calibration=calibration) as client:
        reply = client.post("/v1/ask", json=QUESTION)
        health = client.get("/v1/health").json()

    assert reply.status_code == 200
    assert health["ready"] is True
    assert health["judge"]["in_use"] is False
    assert any("install Citewell again" in warning for warning in health["warnings"])
