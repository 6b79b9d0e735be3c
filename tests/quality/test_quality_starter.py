"""Quality floors on an index of corpus/ with the real model; `tests/quality/gate.py` measures and pins."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_gate() -> ModuleType:
    """Load gate.py by its path: tests are no package, so there is no name to import it by."""
    name = "citewell_quality_gate"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("gate.py"))
        assert spec is not None
        assert spec.loader is not None
        # Before it runs: dataclasses look their module up while they are being defined.
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


gate: Any = load_gate()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the evaluation of the starter questions; building takes a minute, so once for all tests."""
    found: dict[str, Any] = gate.measure(tmp_path_factory.mktemp("starter-index"))
    return found


def test_starter_floors_are_pinned_for_these_very_files(report: dict[str, Any]) -> None:
    """This ensures that a change of questions, corpus or model is pinned in the same commit."""
    found = gate.to_baseline(report, gate.fingerprint_folder(gate.CORPUS))

    assert gate.find_changes(gate.read_baseline(), found) == []


def test_starter_quality_holds(report: dict[str, Any]) -> None:
    """This ensures that no measure fell below its floor by more than one question."""
    found = gate.to_baseline(report, gate.fingerprint_folder(gate.CORPUS))

    assert gate.find_regressions(gate.read_baseline(), found) == []


def test_starter_labels_all_lie_in_the_index(report: dict[str, Any]) -> None:
    """This ensures that every question of the starter set counts, whatever is pinned."""
    assert report["labels"]["problems"] == []


def test_starter_answers_are_verbatim_and_free_of_furniture(report: dict[str, Any]) -> None:
    """This ensures that the two promises hold on every passage returned, whatever is pinned."""
    assert report["returned"]["n"] > 0
    assert report["returned"]["verbatim_share"] == 1.0
    assert report["returned"]["furniture_share"] == 0.0
