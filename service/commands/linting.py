"""`citewell lint`: what is missing or malformed in a library, by file."""

from __future__ import annotations

from dataclasses import asdict

from ingest.library import open_library
from ingest.lint import lint
from service.commands.output import print_json, print_line, print_note
from service.lexicon import open_lexicon
from service.problems import EXIT_FAILURE
from service.runtime import board_for
from service.settings import Settings


def run_lint(settings: Settings, *, as_json: bool) -> int:
    """Print what is to be mended; returns 1 when any of it is an error."""
    findings = lint(open_library(settings.corpus))
    if (board := board_for(settings)) is not None:
        findings += board.lint()
    open_lexicon(settings.lexicon)  # raises what is to be mended in it
    n_errors = sum(finding.is_error for finding in findings)
    if as_json:
        print_json({"findings": [asdict(f) for f in findings], "n_errors": n_errors})
    else:
        for finding in findings:
            print_line(f"{'error' if finding.is_error else 'advice'}: {finding}")
        print_note(f"{n_errors} errors, {len(findings) - n_errors} pieces of advice")
    return EXIT_FAILURE if n_errors else 0
