"""
Errors of asking. None of them ever holds a question's text.

    AppError (ingest.errors)
    └── RequestFault
        ├── QuestionEmpty        nothing to answer: empty, white space, or no letter or digit
        ├── QuestionTooLong      more characters than `max_question_chars`
        ├── QuestionUnreadable   lone surrogates or control characters
        ├── RequestInvalid       a field is missing, of the wrong type, out of range or unknown
        ├── BodyTooLarge         the request body passes the cap
        ├── MediaTypeUnsupported the body is not JSON (or, for the page, not a form)
        ├── BodyTooSlow          the request body did not arrive in time
        ├── RateLimited          this client asked too often
        ├── TooBusy              all threads are taken, and the places for waiting
        ├── TimedOut             no answer in time: something hangs
        ├── NotFound             no such route, document or passage
        ├── PassageWithdrawn     a passage that was published once and is gone
        ├── MethodNotAllowed     the route exists, the method does not
        ├── TokenNeeded          no token, or one that is not known
        │   └── TokenExpired     a known token whose last day has passed
        ├── AccessDenied         a token for reading on a route for administering
        ├── NameRefused          a document's name that must not be written
        ├── NameTaken            a document's name that another one has but for case or form
        ├── PreconditionFailed   the document is not in the state that If-Match or If-None-Match names
        ├── SnapshotGone         the snapshot to go back to does not exist
        ├── SnapshotUnusable     the snapshot to go back to is damaged, of another format or another model
        ├── ExaminationFailed    the process that looks at an uploaded document died or took too long
        ├── SettingsInvalid      a setting is malformed, or two contradict each other
        ├── QuestionsInvalid     a file of labelled questions is malformed
        ├── CalibrationInvalid   a calibration can't be fitted, read, or used with this index
        ├── FloorsInvalid        a file of quality floors is malformed, or was pinned on other questions
        ├── GateRefused          a new index falls below the quality floors; nothing is published
        ├── LexiconInvalid       the lexicon is malformed or contradicts itself
        ├── NoticesInvalid       the notices are malformed, or the weights for detecting danger are unusable
        └── CitationMismatch     a quote is not in its document: a 500, never a wrong quote
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from ingest.errors import AppError


class RequestFault(AppError):
    """
    Base of everything that a request or a command can get wrong.

    Args:
        headers: header fields that go with it over HTTP, lower case, such as "retry-after".
    """

    code = "request_fault"

    def __init__(self, what: str, *, where: str = "", fix: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(what, where=where, fix=fix)
        self.headers: Mapping[str, str] = headers or {}


class QuestionEmpty(RequestFault):
    """There is nothing to answer."""

    code = "question_empty"


class QuestionTooLong(RequestFault):
    """The question passes the cap."""

    code = "question_too_long"


class QuestionUnreadable(RequestFault):
    """The question holds characters that are no text."""

    code = "question_unreadable"


class RequestInvalid(RequestFault):
    """A field is missing, of the wrong type, out of range or unknown."""

    code = "request_invalid"


class BodyTooLarge(RequestFault):
    """The request body passes the cap."""

    code = "body_too_large"


class MediaTypeUnsupported(RequestFault):
    """The body has a content type that the route does not take."""

    code = "media_type_unsupported"


class BodyTooSlow(RequestFault):
    """The request body did not arrive in time."""

    code = "body_too_slow"


class RateLimited(RequestFault):
    """This client asked more often than the operator allows."""

    code = "rate_limited"


class TooBusy(RequestFault):
    """All threads are taken, and all places for waiting."""

    code = "too_busy"


class TimedOut(RequestFault):
    """There was no answer in time: something hangs."""

    code = "timed_out"


class NotFound(RequestFault):
    """There is nothing at that address."""

    code = "not_found"


class PassageWithdrawn(RequestFault):
    """A passage was published once; its document, or that part of it, is gone. `since`: the day, None if not known."""

    code = "passage_withdrawn"

    def __init__(self, what: str, *, where: str = "", fix: str, since: date | None = None) -> None:
        self.since = since
        super().__init__(what, where=where, fix=fix)


class MethodNotAllowed(RequestFault):
    """The route exists, the method does not."""

    code = "method_not_allowed"


class TokenNeeded(RequestFault):
    """The request brings no token, or one that is not known; which of the two is not said."""

    code = "token_needed"


class TokenExpired(TokenNeeded):
    """The token is known and its last day has passed."""

    code = "token_expired"


class AccessDenied(RequestFault):
    """The token allows reading and not administering."""

    code = "access_denied"


class NameRefused(RequestFault):
    """A document of that name must not be written, or can't be in the library."""

    code = "name_refused"


class NameTaken(RequestFault):
    """Another document has that name but for case, accents or compatibility forms."""

    code = "name_taken"


class PreconditionFailed(RequestFault):
    """The document is not in the state that the request names; somebody else was faster."""

    code = "precondition_failed"


class SnapshotGone(RequestFault):
    """The snapshot to go back to does not exist, or does no longer."""

    code = "snapshot_gone"


class SnapshotUnusable(RequestFault):
    """The snapshot to go back to can't be served; the live one stays."""

    code = "snapshot_unusable"


class ExaminationFailed(RequestFault):
    """The process that looks at a document died or took too long; nothing was stored."""

    code = "examination_failed"


class SettingsInvalid(RequestFault):
    """A setting is malformed, or two contradict each other."""

    code = "settings_invalid"


class QuestionsInvalid(RequestFault):
    """A file of labelled questions is malformed."""

    code = "questions_invalid"


class LexiconInvalid(RequestFault):
    """The lexicon is malformed or contradicts itself."""

    code = "lexicon_invalid"


class CalibrationInvalid(RequestFault):
    """A calibration can't be fitted, can't be read, or does not belong to this index's model."""

    code = "calibration_invalid"


class FloorsInvalid(RequestFault):
    """A file of quality floors is missing or malformed, or was pinned on other questions."""

    code = "floors_invalid"


class GateRefused(RequestFault):
    """A new index falls below the quality floors; nothing was published."""

    code = "gate_refused"


class NoticesInvalid(RequestFault):
    """The crisis notices are malformed, or danger can't be detected for want of weights."""

    code = "notices_invalid"


class CitationMismatch(RequestFault):
    """A quote is not, word for word, in its document; nothing is answered."""

    code = "citation_mismatch"
