"""
Labelled questions: reading the file and placing its labels in documents. Asks nothing and measures nothing.

One JSON object a line. A label names its document and the stretch of it that answers, in one of two ways:

    {"id": "q1", "question": "...", "kind": "fact", "gold": [{"document": "a.md", "quote": "exact words"}], "also": []}
    {"id": "q2", "question": "...", "qtype": "causes", "document": "a.md", "start": 120, "end": 480}

`also` holds stretches that are acceptable beside the gold. An empty `gold` says that nothing answers. `doc` is read
as `document`; an item of `gold` may give `start` and `end` instead of `quote`; other fields are ignored.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.errors import QuestionsInvalid

# The kinds that a measure of its own looks at; any other name is a row of the table and no more.
UNANSWERABLE_NEAR = "unanswerable_near"  # on the library's subject, and nothing in it answers
UNANSWERABLE_FAR = "unanswerable_far"  # on another subject
MULTI = "multi"  # takes several documents to answer
CRISIS = "crisis"  # danger to life: a notice is due
CRISIS_NOT = "crisis_not"  # sounds like danger and is none: no notice is due
OTHER_LANGUAGE = "other_language"  # in a language that the model does not know: to be refused as such
BOILERPLATE = "boilerplate"  # asks for page furniture
WITHOUT_KIND = "unspecified"

MAX_FILE_BYTES = 64 * 1024 * 1024  # a thousand questions take 0.3 MB
_FORMS = 'see `citewell eval --help` for the two forms: "gold" as document and quote, or "document", "start", "end"'
# Characters without width that an extraction adds or drops; `str.isspace` does not count them.
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")


@dataclass(frozen=True, slots=True)
class Label:
    """One stretch of a document: a quote to be found, or (with `quote` "") the offsets `[start, end)`."""

    document_id: str
    quote: str = field(default="", repr=False)
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class LabelledQuestion:
    """One line of the file. No label at all says that nothing answers."""

    id: str
    line: int  # from 1
    text: str = field(repr=False)  # never in a log, an error or a traceback
    kind: str
    gold: tuple[Label, ...] = ()
    also: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The questions in the file's order, and the SHA-256 of its bytes."""

    name: str
    sha256: str
    questions: tuple[LabelledQuestion, ...]


class _Row(BaseModel):
    """What the two forms share. The text of a question is never part of an error."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class _LabelRow(_Row):
    document: str = Field(min_length=1, validation_alias=AliasChoices("document", "doc"))
    quote: str | None = None
    start: int | None = Field(default=None, ge=0)
    end: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _one_form(self) -> _LabelRow:
        offsets = self.start is not None and self.end is not None
        if (self.quote is None) != offsets or (self.start is None) != (self.end is None):
            raise ValueError('takes either "quote" or both "start" and "end"')
        if self.quote is not None and not squeezed(self.quote)[0]:
            raise ValueError("the quote is empty")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self

    def to_label(self) -> Label:
        """Return the label as the rest of the service knows it."""
        return Label(self.document, self.quote or "", self.start or 0, self.end or 0)


class _QuestionRow(_Row):
    id: str | None = Field(default=None, min_length=1, max_length=200)
    question: str = Field(min_length=1)
    kind: str | None = Field(default=None, min_length=1, max_length=100)
    qtype: str | None = Field(default=None, min_length=1, max_length=100)
    gold: list[_LabelRow] | None = None
    also: list[_LabelRow] = []


def read_questions(path: Path) -> QuestionFile:
    """
    Read a file of labelled questions.

    A line without "id" is called "line 7"; without "kind" it has its "qtype", without both "unspecified".

    Raises:
        QuestionsInvalid: the file is missing, empty, too large or not UTF-8, or a line is malformed; it names the line
            and the field.
    """
    data = _read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        # `from None`: the decoder's error holds the bytes, and they are questions.
        raise QuestionsInvalid("not UTF-8", where=f"{path}, line {number}", fix="save the file as UTF-8") from None
    questions: list[LabelledQuestion] = []
    lines_by_id: dict[str, int] = {}
    # Not splitlines(): a question may hold U+2028, which is no line end in JSON lines.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        question = _parse_line(line, number, path)
        earlier = lines_by_id.setdefault(question.id, number)
        if earlier != number:
            raise QuestionsInvalid(
                f'the id "{question.id}" is already that of line {earlier}',
                where=f"{path}, line {number}, field id",
                fix="give each question an id of its own",
            )
        questions.append(question)
    if not questions:
        raise QuestionsInvalid("holds no question", where=str(path), fix=_FORMS)
    return QuestionFile(path.name, hashlib.sha256(data).hexdigest(), tuple(questions))


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        fix = "name a readable file of labelled questions, one JSON object a line"
        raise QuestionsInvalid(f"unreadable ({error.strerror})", where=str(path), fix=fix) from error
    if len(data) > MAX_FILE_BYTES:
        raise QuestionsInvalid(f"larger than {MAX_FILE_BYTES} bytes", where=str(path), fix="split the file")
    return data


def _parse_line(line: str, number: int, path: Path) -> LabelledQuestion:
    where = f"{path}, line {number}"
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        # The column, never the text around it: that may be the question. `from None` for the same reason.
        column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise QuestionsInvalid("not JSON", where=where + column, fix="write one JSON object a line") from None
    if not isinstance(value, dict):
        raise QuestionsInvalid("not a JSON object", where=where, fix=_FORMS)
    try:
        row = _QuestionRow.model_validate(value)
        own = _LabelRow.model_validate(value) if row.gold is None else None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = str(first["msg"]).removeprefix("Value error, ")
        raise QuestionsInvalid(what, where=f"{where}, field {place}" if place else where, fix=_FORMS) from None
    gold = tuple(item.to_label() for item in ([own] if own is not None else row.gold or []))
    also = tuple(item.to_label() for item in row.also)
    kind = row.kind or row.qtype or WITHOUT_KIND
    if kind in (UNANSWERABLE_NEAR, UNANSWERABLE_FAR) and (gold or also):
        raise QuestionsInvalid(
            f'kind "{kind}" says that nothing answers, and there are labels',
            where=f"{where}, field gold",
            fix="empty gold and also, or name another kind",
        )
    return LabelledQuestion(row.id or f"line {number}", number, row.question, kind, gold, also)


def find_quote(text: str, quote: str) -> list[tuple[int, int]]:
    """
    Return every place of a quote in a text as `[start, end)`, ascending; [] when it is not there.

    Exact places where there are any, otherwise those equal but for white space and characters without width: a quote
    taken from the source file differs so from the reading text of an HTML page or a PDF. All places, because a label
    without offsets can't say which of two equal sentences it means.
    """
    exact = _places(text, quote)
    if exact:
        return [(place, place + len(quote)) for place in exact]
    words, origin = squeezed(text)
    wanted, _ = squeezed(quote)
    return [(origin[place], origin[place + len(wanted) - 1] + 1) for place in _places(words, wanted)]


def squeezed(text: str) -> tuple[str, list[int]]:
    """Return a text without white space and characters without width, and for each kept character its offset."""
    origin = [i for i, character in enumerate(text) if not (character.isspace() or character in _INVISIBLE)]
    return "".join(text[i] for i in origin), origin


def _places(text: str, wanted: str) -> list[int]:
    places: list[int] = []
    place = text.find(wanted) if wanted else -1
    while place >= 0:
        places.append(place)
        place = text.find(wanted, place + len(wanted))
    return places
