"""Lint: what is missing or malformed, by file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ingest.library import open_library
from ingest.lint import RECOMMENDED, LintFinding, lint

TODAY = date(2024, 6, 1)
COMPLETE = """
title: T
publisher: P
published: 2020-01-01
url: https://example.org
source_type: charity
license: CC BY 4.0
language: en
"""


def _lint(root: Path, front: str = COMPLETE, toml: str = "") -> list[LintFinding]:
    (root / "a.md").write_text(f"---{front}---\n\n# Head\n\nSome text.\n")
    (root / "library.toml").write_text(toml)
    return lint(open_library(root), TODAY)


def test_a_complete_library_has_no_findings(tmp_path: Path) -> None:
    """This ensures that lint can be silent."""
    assert _lint(tmp_path) == []


@pytest.mark.parametrize("field", RECOMMENDED)
def test_a_missing_field_is_advice(tmp_path: Path, field: str) -> None:
    """This ensures that each recommended field is asked for by name."""
    front = "\n".join(line for line in COMPLETE.split("\n") if not line.startswith(f"{field}:"))

    [finding] = _lint(tmp_path, front)

    assert (finding.path, finding.field, finding.problem, finding.is_error) == ("a.md", field, "is missing", False)
    assert field in finding.fix


@pytest.mark.parametrize("field", ["title", "license", "disclosure", "authors"])
def test_a_required_field_that_is_missing_is_an_error(tmp_path: Path, field: str) -> None:
    """This ensures that lint.required turns advice into an error, for any field."""
    front = "\n".join(line for line in COMPLETE.split("\n") if not line.startswith(f"{field}:"))

    findings = _lint(tmp_path, front, f"[lint]\nrequired = ['{field}']")

    assert [(finding.field, finding.is_error) for finding in findings] == [(field, True)]


@pytest.mark.parametrize(
    ("extra", "field", "said"),
    [
        ("reviewed: 2025-01-01", "reviewed", "future"),
        ("reviewed: 2019-12-31", "reviewed", "before it was published"),
        ("review_due: 2024-05-31", "review_due", "was due on 2024-05-31"),
        ("reviewed: 2023-01-01\nreview_due: 2022-01-01", "review_due", "before its last review"),
    ],
)
def test_dates_are_judged(tmp_path: Path, extra: str, field: str, said: str) -> None:
    """This ensures that dates that contradict each other or the calendar are found."""
    [finding] = _lint(tmp_path, f"{COMPLETE}{extra}\n")

    assert finding.field == field
    assert said in finding.problem


def test_a_review_due_today_is_in_time(tmp_path: Path) -> None:
    """This ensures that a date is overdue from the next day on."""
    assert _lint(tmp_path, f"{COMPLETE}review_due: 2024-06-01\n") == []


def test_files_that_fail_are_errors(tmp_path: Path) -> None:
    """This ensures that lint shows what a build would refuse, ignore or warn about, sorted by file."""
    (tmp_path / "b.txt").write_bytes(b"%PDF-1.4")
    (tmp_path / "c.xls").write_bytes(b"x")
    (tmp_path / "d.md").symlink_to("/etc/hostname")

    findings = _lint(tmp_path, f"{COMPLETE}reviewed: soon\n", "[documents.'z.md']\ntitle = 'Z'")

    assert [(finding.path, finding.is_error) for finding in findings] == [
        ("a.md", False),
        ("b.txt", True),
        ("c.xls", False),
        ("d.md", True),
        ("library.toml", False),
    ]
    assert "reviewed = 'soon'" in findings[0].problem
    assert "z.md" in findings[4].problem
    assert str(findings[1]).startswith("b.txt: is not text")


def test_a_stated_other_is_not_missing(tmp_path: Path) -> None:
    """This ensures that an editor who says that a source is of no listed type is not told that the type is missing."""
    (tmp_path / "a.txt").write_text("Words to quote.\n")
    (tmp_path / "library.toml").write_text('[defaults]\nsource_type = "other"\n[lint]\nrequired = ["source_type"]\n')

    findings = lint(open_library(tmp_path))

    assert [f for f in findings if f.field == "source_type"] == []
