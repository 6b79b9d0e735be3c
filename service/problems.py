"""
One table from errors to HTTP statuses and exit codes, and how errors are shown. Knows no route and no command.

Nothing here shows what came in: not the offending value, not an unknown field's name, not an exception's text.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from index import errors as index_errors
from ingest import errors as ingest_errors
from ingest.errors import AppError
from service import errors as service_errors
from service.answer import Notice
from service.errors import RequestInvalid
from service.schemas import NoticeOut

PROBLEM_MEDIA_TYPE = "application/problem+json"
EXIT_FAILURE = 1
EXIT_USAGE = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of error is shown."""

    status: int
    title: str
    exit_code: int = EXIT_FAILURE


@dataclass(frozen=True, slots=True)
class Problem:
    """One error as a user of HTTP or of the command line gets it."""

    status: int
    code: str
    title: str
    detail: str
    fix: str
    headers: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()

    def as_json(self, request_id: str, docs_url: str = "") -> dict[str, object]:
        """Return the members of an `application/problem+json` document; `notices` is one only where some are due."""
        members: dict[str, object] = {
            "type": f"{docs_url}#{self.code}" if docs_url else f"urn:citewell:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "fix": self.fix,
            "request_id": request_id,
        }
        if self.notices:
            members["notices"] = [NoticeOut.from_notice(notice).model_dump(mode="json") for notice in self.notices]
        return members


RULES: dict[type[AppError], Rule] = {
    AppError: Rule(500, "Something failed"),
    # Reading the library.
    ingest_errors.SourceError: Rule(422, "A source can't be read"),
    ingest_errors.UnreadableSource: Rule(422, "A source can't be opened"),
    ingest_errors.UnsupportedSource: Rule(415, "No reader for this kind of source"),
    ingest_errors.MalformedSource: Rule(422, "A source is damaged or not what its name says"),
    ingest_errors.ProtectedSource: Rule(422, "A source needs a password"),
    ingest_errors.NoTextLayer: Rule(422, "A source has no text"),
    ingest_errors.SourceTooLarge: Rule(413, "A source is too large"),
    ingest_errors.LibraryError: Rule(422, "The library can't be read"),
    ingest_errors.CorpusMissing: Rule(404, "There is no library", EXIT_USAGE),
    ingest_errors.LibraryMalformed: Rule(422, "library.toml is not valid"),
    ingest_errors.CorpusNotWritable: Rule(507, "The library can't be written"),
    # Keeping the index.
    index_errors.IndexFault: Rule(500, "The index failed"),
    index_errors.NoSnapshot: Rule(503, "Nothing has been indexed yet"),
    index_errors.SnapshotCorrupt: Rule(503, "The index is damaged"),
    index_errors.SnapshotUnsupported: Rule(503, "The index was written by another version"),
    index_errors.ModelUnusable: Rule(503, "The embedding model can't be used"),
    index_errors.JudgeUnusable: Rule(503, "The judge can't be used"),
    index_errors.ModelMismatch: Rule(503, "Index and service have different models"),
    index_errors.WriterBusy: Rule(409, "Another build is running"),
    index_errors.StorageFailed: Rule(507, "The disk failed"),
    index_errors.BuildRefused: Rule(422, "Nothing to publish"),
    index_errors.WorkersFailed: Rule(503, "A worker of the build failed"),
    index_errors.ExtraMissing: Rule(501, "Not installed", EXIT_USAGE),
    index_errors.DocumentStillThere: Rule(409, "The document is still in the library"),
    index_errors.DocumentUnknown: Rule(404, "No such document"),
    index_errors.FilterUnknown: Rule(422, "Unknown filter", EXIT_USAGE),
    index_errors.EngineFault: Rule(503, "The index failed"),
    index_errors.EngineUnreachable: Rule(503, "The index can't be reached"),
    index_errors.EngineRefused: Rule(503, "The index refuses"),
    index_errors.CollectionMissing: Rule(503, "The index lost a part"),
    index_errors.EngineMissing: Rule(503, "The engine is not installed", EXIT_USAGE),
    # Asking.
    service_errors.RequestFault: Rule(400, "The request failed", EXIT_USAGE),
    service_errors.QuestionEmpty: Rule(422, "There is no question", EXIT_USAGE),
    service_errors.QuestionTooLong: Rule(422, "The question is too long", EXIT_USAGE),
    service_errors.QuestionUnreadable: Rule(422, "The question is not text", EXIT_USAGE),
    service_errors.RequestInvalid: Rule(422, "The request is not valid", EXIT_USAGE),
    service_errors.BodyTooLarge: Rule(413, "The request is too large", EXIT_USAGE),
    service_errors.MediaTypeUnsupported: Rule(415, "Unsupported content type", EXIT_USAGE),
    service_errors.BodyTooSlow: Rule(408, "The request was too slow", EXIT_USAGE),
    service_errors.RateLimited: Rule(429, "Too many questions"),
    service_errors.TooBusy: Rule(503, "Too many people are asking"),
    service_errors.TimedOut: Rule(503, "It took too long"),
    service_errors.NotFound: Rule(404, "Not found"),
    service_errors.PassageWithdrawn: Rule(410, "The passage was withdrawn"),
    service_errors.MethodNotAllowed: Rule(405, "Method not allowed", EXIT_USAGE),
    service_errors.TokenNeeded: Rule(401, "A token is needed"),
    service_errors.TokenExpired: Rule(401, "The token has expired"),
    service_errors.AccessDenied: Rule(403, "Not allowed with this token"),
    service_errors.NameRefused: Rule(422, "That name can't be used"),
    service_errors.NameTaken: Rule(409, "That name is taken"),
    service_errors.PreconditionFailed: Rule(412, "The document has changed"),
    service_errors.SnapshotGone: Rule(404, "There is no such snapshot"),
    service_errors.SnapshotUnusable: Rule(409, "That snapshot can't be served"),
    service_errors.ExaminationFailed: Rule(500, "The document could not be looked at"),
    service_errors.SettingsInvalid: Rule(500, "A setting is not valid", EXIT_USAGE),
    service_errors.QuestionsInvalid: Rule(422, "The file of questions is not valid", EXIT_USAGE),
    service_errors.LexiconInvalid: Rule(500, "The lexicon is not valid", EXIT_USAGE),
    service_errors.CalibrationInvalid: Rule(500, "The calibration is not valid", EXIT_USAGE),
    service_errors.FloorsInvalid: Rule(422, "The file of floors is not valid", EXIT_USAGE),
    service_errors.GateRefused: Rule(422, "The new index is worse than the floors allow"),
    service_errors.NoticesInvalid: Rule(500, "The notices are not valid", EXIT_USAGE),
    service_errors.CitationMismatch: Rule(500, "A quote could not be proven"),
}

# Everything that nobody foresaw: the code and the request id are all that leaves the process.
UNEXPECTED = Problem(
    500,
    "internal_error",
    "Internal error",
    "Something failed that should not.",
    "Try again; if it stays, give the request id to whoever runs this service.",
)


def rule_for(error: AppError) -> Rule:
    """Return the rule of the error's own class, or of the nearest base that has one."""
    return next(RULES[kind] for kind in type(error).__mro__ if kind in RULES)


def problem_from(error: AppError) -> Problem:
    """
    Return an error as a problem.

    `where` is shown for what the client can mend; for what the operator must mend it may name paths of the server,
    and goes to the log alone.
    """
    rule = rule_for(error)
    place = f"{error.where}: " if error.where and rule.status < 500 else ""
    headers = getattr(error, "headers", {})
    return Problem(rule.status, error.code, rule.title, f"{place}{error.what}", error.fix, headers)


def frames_of(error: BaseException) -> list[str]:
    """
    Return where an exception came from, `file.py:line function`, innermost last.

    Nothing else of an exception may be logged: its text, its notes and its locals may hold the question.
    """
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{'/'.join(PurePath(f.filename).parts[-2:])}:{f.lineno} {f.name}" for f in frames[-12:]]


_EXPECTED = {
    "missing": "is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "must be a string",
    "string_unicode": "must be text without lone surrogates",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of ordinary size",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "date_type": 'must be a date such as "2015-01-31"',
    "date_parsing": 'must be a date such as "2015-01-31"',
    "date_from_datetime_parsing": 'must be a date such as "2015-01-31"',
    "date_from_datetime_inexact": 'must be a date such as "2015-01-31"',
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "too_long": "must have at most {max_length} entries",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "json_invalid": "is not valid JSON in UTF-8",
}
# Of an error's context only these reach the sentence; they come from the schema, never from the request.
_FROM_SCHEMA = ("min_length", "max_length", "ge", "le", "expected")


def request_invalid(errors: Sequence[Mapping[str, Any]], place: str, known: Sequence[str], fix: str) -> RequestInvalid:
    """
    Turn pydantic's findings into one error.

    Args:
        errors: as `ValidationError.errors()` gives them; `input`, `msg` and most of `ctx` are left behind.
        place: what was looked at: "body", "query", "form".
        known: names of fields that exist; other names in a finding's location come from the client and stay unsaid.
    """
    sentences = []
    for error in errors[:5]:
        context = {name: value for name, value in (error.get("ctx") or {}).items() if name in _FROM_SCHEMA}
        pattern = _EXPECTED.get(str(error["type"]), "is not valid")
        try:
            expected = pattern.format(**context)
        except KeyError:
            expected = "is not valid"
        sentences.append(f"{_location(tuple(error['loc']), place, known)} {expected}")
    return RequestInvalid("; ".join(sentences), where=place, fix=fix)


def _location(loc: tuple[int | str, ...], place: str, known: Sequence[str]) -> str:
    parts = loc[1:] if loc[:1] == (place,) else loc
    safe = [str(part) if isinstance(part, int) or part in known else "(unknown)" for part in parts]
    return ".".join(safe) or "it"
