"""
What is missing or malformed in a library, by file, for the people who keep it. Judges metadata, not prose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from ingest.errors import SourceError
from ingest.library import LIBRARY_FILE, Library
from ingest.model import Document, Metadata
from ingest.read import NO_TITLE, read_document

# Worth asking for in every library: an answer shows them beside the quote (promise 8).
RECOMMENDED = ("title", "publisher", "published", "url", "source_type", "license", "language")


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing to mend: in which file, which field ("" for the file as a whole), what is wrong, what to do."""

    path: str
    field: str
    problem: str
    fix: str
    is_error: bool

    def __str__(self) -> str:
        """Return one line."""
        place = f"{self.path}: {self.field}" if self.field else self.path
        return f"{place}: {self.problem} ({self.fix})"


def lint(library: Library, today: date | None = None) -> list[LintFinding]:
    """
    Return what is missing or malformed, sorted by file; reads every document.

    A field in `lint.required` that is missing is an error, as is a file that can't be read; the rest are advice.

    Args:
        today: the day against which dates are judged; None is the day of the call.
    """
    today = today or date.today()  # editors mean the calendar on their wall
    findings = [LintFinding(LIBRARY_FILE, "", warning, "correct the path", False) for warning in library.warnings]
    findings += [_of_error(error) for error in library.failures]
    findings += [
        LintFinding(path, "", "no reader takes this kind of file", "convert it, or move it out of the corpus", False)
        for path in library.ignored
    ]
    for file in library.files():
        try:
            document = read_document(library, file)
        except SourceError as error:
            findings.append(_of_error(error))
            continue
        says_type = "source_type" in {**library.defaults, **library.fields_of(file.path)}
        findings += lint_document(document, library.required, today, says_type=says_type)
    return sorted(findings, key=lambda finding: (finding.path, not finding.is_error, finding.field, finding.problem))


def lint_document(
    document: Document, required: tuple[str, ...], today: date, *, says_type: bool = False
) -> list[LintFinding]:
    """
    Return what is missing or malformed in one document.

    Args:
        says_type: library.toml sets its source_type, so that "other" is a statement and not the lack of one.
    """
    path = document.source.path
    has_title = not any(warning.startswith(NO_TITLE) for warning in document.warnings)
    findings = [
        LintFinding(path, "", warning, "correct the file, or set the field in library.toml", False)
        for warning in document.warnings
        if not warning.startswith(NO_TITLE)
    ]
    for name in dict.fromkeys((*required, *RECOMMENDED)):
        is_missing = not has_title if name == "title" else getattr(document.metadata, name) == getattr(_NOTHING, name)
        is_missing = is_missing and not (name == "source_type" and says_type)
        if is_missing:
            fix = f'set {name} in the file, under [defaults] or under [documents."{path}"] in {LIBRARY_FILE}'
            findings.append(LintFinding(path, name, "is missing", fix, name in required))
    return findings + list(_date_findings(path, document.metadata, today))


_NOTHING = Metadata()


def _of_error(error: SourceError) -> LintFinding:
    return LintFinding(error.where, "", error.what, error.fix, True)


def _date_findings(path: str, metadata: Metadata, today: date) -> Iterator[LintFinding]:
    for name in ("published", "reviewed"):
        day: date | None = getattr(metadata, name)
        if day is not None and day > today:
            yield LintFinding(path, name, f"{day} lies in the future", "correct the date", False)
    published, reviewed, due = metadata.published, metadata.reviewed, metadata.review_due
    if published and reviewed and published > reviewed:
        problem = f"reviewed on {reviewed}, before it was published on {published}"
        yield LintFinding(path, "reviewed", problem, "correct one of the dates", False)
    if due and reviewed and due < reviewed:
        problem = f"due on {due}, before its last review on {reviewed}"
        yield LintFinding(path, "review_due", problem, "set the day of the next review", False)
    elif due and due < today:
        yield LintFinding(path, "review_due", f"a review was due on {due}", "review it and set the dates anew", False)
