"""`citewell calibrate`: from labelled questions to a calibration file."""

from __future__ import annotations

from pathlib import Path

from service.calibration import CalibrationFile, write_calibration
from service.calibration_fit import fit_calibration, record_examples
from service.commands.asking import opened
from service.commands.output import print_json, print_note, print_table, progress
from service.questions import read_questions
from service.runtime import policy_for
from service.settings import Settings


def run_calibrate(questions: list[Path], out: Path, settings: Settings, *, as_json: bool) -> int:
    """Fit on labelled questions asked of the current index and write the file; returns the exit code."""
    files = [read_questions(path) for path in questions]
    # A calibration that no longer fits must not keep anybody from making a new one.
    settings = settings.model_copy(update={"calibration": None})
    with opened(settings) as (snapshot, encoder), progress("asking") as on_progress:
        examples = record_examples(files, snapshot, encoder, policy_for(settings, snapshot), on_progress)
    calibration = fit_calibration(examples).model_copy(update={"query_encoder": settings.query_encoder})
    write_calibration(out, calibration)
    if as_json:
        print_json(calibration.model_dump())
    else:
        _print_calibration(calibration)
    print_note(f"{out} is written; use it with the setting calibration, such as CITEWELL_CALIBRATION={out}")
    return 0


def _print_calibration(calibration: CalibrationFile) -> None:
    counts = [(d.file, str(d.n_answerable), str(d.n_near), str(d.n_far), str(d.n_skipped)) for d in calibration.data]
    print_table(("questions", "answerable", "near", "far", "neither"), counts)
    weights = [(name, f"{value:.3f}") for name, value in calibration.answer.weights.items()]
    print_table(("feature", "weight"), weights)
    measures = [
        (name, str(e.n if e else 0), f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" if e else "–")
        for name, e in calibration.metrics.items()
    ]
    print_table(("on held-out folds", "n", "value"), measures)
    print_table(("operating point", ""), [(f"{calibration.operating_point:.4f}", "")])
