"""What the fitting tool prints beside the calibration: a library's own operating point."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "quality"))

from fit_calibration import at_share

from service.calibration import ModelPart
from service.calibration_fit import Example, Examples
from service.decision_features import SimilarityFeature

N = 200


def examples(judge_sha256: str) -> Examples:
    """Return two libraries whose near questions only the judge tells; the second library's similarities are lower."""
    source = np.random.default_rng(0)
    rows = [
        Example(library, side, (level + 0.1 * source.random(),), judged=(judged, judged))
        for library, level in (("high", 0.7), ("low", 0.5))
        for side, judged in (("answerable", 4.0), ("near", -4.0))
        for _ in range(N)
    ]
    model = ModelPart.model_construct()
    return Examples(tuple(rows), (), (SimilarityFeature(),), model, "", judge_sha256)  # type: ignore[arg-type]  a str


def test_a_judge_that_tells_leaves_no_near_question_answered() -> None:
    """This ensures that both fits are told of, for all libraries and each, and that shares are of what they name."""
    found = dict(line.rsplit("near ", 1) for line in at_share(examples("a")) if "by itself" in line)
    together = [line for line in at_share(examples("a")) if "all" in line]

    assert [name for name, share in found.items() if float(share) == 0.0] == [
        "with it: high by itself: ",
        "with it: low by itself: ",
    ]
    # Similarity alone takes near questions for answerable ones.
    assert all(float(share) > 0.8 for name, share in found.items() if name.startswith("without"))
    assert "answerable of high 1.000" in together[0]
    assert "near 0.000" in together[1]


def test_without_a_judge_one_fit_is_told_of() -> None:
    """This ensures that questions asked without a judge are not said to be judged."""
    assert all(line.startswith("without the judge: ") for line in at_share(examples("")))
