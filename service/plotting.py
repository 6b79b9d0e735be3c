"""Draws an evaluation into a PNG. The only module that imports matplotlib, which is optional (`citewell[plot]`)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from service.errors import RequestInvalid
from service.evaluation_report import EvaluationReport

_SIZE_INCHES = (11.0, 5.0)
_DOTS_PER_INCH = 120


def check_plotting() -> None:
    """
    Make sure that drawing is possible, before the work that is to be drawn.

    Raises:
        RequestInvalid: matplotlib is not installed.
    """
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise RequestInvalid(
            "drawing takes matplotlib, which is not installed", where="--plot", fix="pip install 'citewell[plot]'"
        ) from error


def draw_report(report: EvaluationReport, path: Path) -> None:
    """
    Draw the reliability diagram and the risk by coverage beside each other.

    Raises:
        RequestInvalid: matplotlib is not installed, or the file can't be written.
    """
    check_plotting()
    # Not pyplot: it keeps figures alive and looks for a screen.
    figure: Any = import_module("matplotlib.figure").Figure(figsize=_SIZE_INCHES, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_reliability(left, report)
    _draw_risk(right, report)
    try:
        figure.savefig(path, dpi=_DOTS_PER_INCH, format="png")
    except OSError as error:
        fix = "name a PNG file in a folder that can be written"
        raise RequestInvalid(f"can't be written ({error.strerror})", where=str(path), fix=fix) from error


def _draw_reliability(axes: Any, report: EvaluationReport) -> None:
    bins, error = report.reliability(), report.calibration_error()
    axes.plot([0, 1], [0, 1], linestyle=":", color="grey", label="perfect")
    axes.plot([b.confidence for b in bins], [b.share_true for b in bins], marker="o", label="measured")
    shown = "" if error is None else f" (expected error {error.value:.3f} [{error.low:.3f}, {error.high:.3f}])"
    axes.set_title(f"Reliability{shown}", fontsize=10)
    axes.set_xlabel("stated confidence, mean of a bin")
    axes.set_ylabel("share that is answerable")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper left", fontsize=8)


def _draw_risk(axes: Any, report: EvaluationReport) -> None:
    points = report.all_risk_points()
    axes.plot([p.coverage for p in points], [p.risk for p in points], drawstyle="steps-post")
    answered = [p for p in points if p.threshold >= report.policy.threshold]
    if answered:
        axes.plot(answered[-1].coverage, answered[-1].risk, marker="o", color="black", label="operating point")
        axes.legend(loc="upper left", fontsize=8)
    axes.set_title("Risk by coverage", fontsize=10)
    axes.set_xlabel("share of questions answered")
    axes.set_ylabel("share of these whose first passage is wrong")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
