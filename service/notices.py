"""
The operator's crisis notices, from `notices.toml`: read, checked, chosen for a question. Never a word from a document.

The file's own head says what its fields mean. What counts as danger is decided in `service.danger`; a notice is chosen
before retrieval and without it. A number whose check has expired is not shown: the worldwide wording stands alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from index.model import QueryEncoder
from ingest.lint import LintFinding
from service.answer import Notice, NoticeLink
from service.danger import KINDS, Danger, DangerModel, assess, read_model
from service.errors import NoticesInvalid
from service.notice_language import language_of

Kind = Literal["overdose", "suicide", "severe_withdrawal", "child_poisoning", "violence"]
Language = Literal["en", "es"]
LANGUAGES: tuple[Language, ...] = ("en", "es")
CRISIS = "crisis"  # Notice.kind of every one of them
_FIX = "mend that field; the head of corpus/notices.toml explains them"
_MOST_BYTES = 500_000
# Verified for longer than this is verified once and forgotten.
_LONGEST = timedelta(days=366)
_EXPIRES_SOON = timedelta(days=30)
# What a page could take for something else than words.
_MARKUP = re.compile(
    r"[<>{}`\\]|javascript:|data:|&#|[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", re.IGNORECASE
)
# In a text, a number would outlive its check; times of day and minutes have at most two digits together.
_NUMBER = re.compile(r"\d{3,}|(?:\d[\s().-]{0,2}){5,}")
_HREF = re.compile(r"(?:tel|sms):\+?[0-9]{2,15}|https://[a-z0-9.-]+\.[a-z]{2,}(?:[/?#][^\s\"'<>\\]*)?", re.IGNORECASE)
_COUNTRY = r"^[A-Z]{2}$"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class _LinkIn(_Strict):
    label: _Line
    href: str


class _NoticeIn(_Strict):
    id: _Id
    kind: Kind
    language: Language
    title: _Line
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
    links: list[_LinkIn] = []
    verified_on: date
    expires: date


class _ContactIn(_Strict):
    id: _Id
    country: Annotated[str, StringConstraints(pattern=_COUNTRY)]
    kinds: Annotated[list[Kind], Field(min_length=1)]
    label: Annotated[dict[Language, _Line], Field(min_length=1)]
    href: str
    source: str
    verified_on: date
    expires: date


class _File(_Strict):
    notices: list[_NoticeIn]
    contacts: list[_ContactIn] = []


@dataclass(frozen=True, slots=True)
class Text:
    """One notice's wording in one language; holds without any number."""

    id: str
    kind: str
    language: str
    title: str
    text: str
    links: tuple[NoticeLink, ...]
    verified_on: date
    expires: date


@dataclass(frozen=True, slots=True)
class Contact:
    """One country's number or page for some kinds, with the page that states it; `labels` by language."""

    id: str
    country: str
    kinds: frozenset[str]
    labels: dict[str, str]
    href: str
    source: str
    verified_on: date
    expires: date


@dataclass(frozen=True, eq=False)
class NoticeBoard:
    """
    The notices of a running process, checked. Compared by identity; safe to use from many threads.

    `today` is the day that expiry is judged by; None takes the clock at every question, as a process outlives days.
    """

    texts: tuple[Text, ...]
    contacts: tuple[Contact, ...]
    country: str
    language: str
    model: DangerModel
    today: date | None = None
    path: str = "notices.toml"

    @staticmethod
    def load(path: Path, country: str = "", language: str = "en", today: date | None = None) -> NoticeBoard:
        """
        Read the operator's notices and the weights for detecting danger.

        Args:
            country: ISO 3166 code of the contacts to show, "" for none.

        Raises:
            NoticesInvalid: unreadable, not TOML, an unknown field, kind or language, a duplicate, a date that is none
                or stands before the one it must follow, markup, a number in a text, a link that is not tel, sms or
                https; names the line or the entry.
        """
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise _invalid(f"is larger than {_MOST_BYTES} bytes", str(path), "remove entries")
            text = path.read_text("utf-8-sig")
        except OSError as error:
            fix = "make it readable, or change the setting `notices`"
            raise _invalid(f"can't be read ({error.strerror})", str(path), fix) from error
        except UnicodeDecodeError as error:
            raise _invalid("is not UTF-8", str(path), "save it as UTF-8 text") from error
        texts, contacts = parse_notices(text, str(path))
        return NoticeBoard(texts, contacts, country.upper(), language, read_model(), today, path.name)

    def choose(self, question_text: str, encoder: QueryEncoder | None) -> tuple[Notice, ...]:
        """
        Return the notices that a message calls for, the most urgent first; () where it shows no danger.

        Never raises, whatever the text: where the encoder fails, the text alone decides. A message in Spanish or in
        English without doubt is answered in its language, any other in the language that was set.
        """
        danger = self._assess(question_text, encoder)
        if not danger.is_danger:
            return ()
        language = language_of(question_text) or self.language
        notices = (self.notice_of(kind, language) for kind in danger.kinds)
        return tuple(notice for notice in notices if notice is not None)

    def _assess(self, text: str, encoder: QueryEncoder | None) -> Danger:
        try:
            return assess(text, encoder, self.model)
        except Exception:  # noqa: BLE001  nothing that an encoder can do may keep a notice from somebody in danger
            return assess(text, None, self.model)

    def notice_of(self, kind: str, language: str) -> Notice | None:
        """Return the notice of one kind with what is verified today; None where the operator wrote none."""
        found = [text for text in self.texts if text.kind == kind]
        # A notice in another language is better than none.
        found.sort(key=lambda text: (text.language != language, text.language != self.language, text.language != "en"))
        if not found:
            return None
        text, today = found[0], self._today()
        contacts = [c for c in self.contacts if c.country == self.country and kind in c.kinds and c.expires > today]
        links = [NoticeLink(_label(contact, text.language), contact.href) for contact in contacts]
        links += text.links if text.expires > today else ()
        # As old as the oldest thing that it shows.
        verified_on = min([text.verified_on, *(contact.verified_on for contact in contacts)])
        return Notice(CRISIS, text.id, text.title, text.text, tuple(links), verified_on, text.language)

    def _today(self) -> date:
        return self.today or datetime.now(UTC).date()

    def expired(self, today: date | None = None) -> tuple[str, ...]:
        """Return what must be verified again: ids of contacts, and of texts with their language."""
        day = today or self._today()
        texts = [f"{text.id} ({text.language})" for text in self.texts if text.expires <= day]
        return (*texts, *(contact.id for contact in self.contacts if contact.expires <= day))

    def lint(self, today: date | None = None) -> list[LintFinding]:
        """Return what an operator should mend although the file can be used; expired entries are errors."""
        day = today or self._today()
        return list(self._findings(day))

    def _findings(self, day: date) -> Iterator[LintFinding]:
        for language in LANGUAGES:
            for kind in KINDS:
                if not any(text.kind == kind and text.language == language for text in self.texts):
                    problem = f"no notice for {kind} in {language}"
                    is_error = language == self.language
                    yield LintFinding(self.path, "notices", problem, "write one", is_error)
        entries: list[tuple[str, date, date]] = [
            *((f"{text.id} ({text.language})", text.verified_on, text.expires) for text in self.texts),
            *((contact.id, contact.verified_on, contact.expires) for contact in self.contacts),
        ]
        for name, verified_on, expires in entries:
            if expires <= day:
                fix = "verify it, then set verified_on and expires"
                yield LintFinding(self.path, name, f"expired on {expires}, its links are not shown", fix, True)
            elif expires <= day + _EXPIRES_SOON:
                yield LintFinding(self.path, name, f"expires on {expires}", "verify it soon", False)
            if verified_on > day:
                yield LintFinding(self.path, name, f"verified on {verified_on}, in the future", "correct the day", True)
            if expires - verified_on > _LONGEST:
                fix = "let it expire within a year"
                yield LintFinding(self.path, name, "valid for more than a year", fix, False)
        if self.country and not any(contact.country == self.country for contact in self.contacts):
            problem = f"no contacts for the country {self.country}: the worldwide wording is shown"
            yield LintFinding(self.path, "contacts", problem, "add contacts, or correct the setting `country`", False)

    def warnings(self) -> tuple[str, ...]:
        """Return what health should show: all that lint calls an error, and a country without contacts."""
        return tuple(
            f"notices: {finding.field}: {finding.problem} ({finding.fix})"
            for finding in self._findings(self._today())
            if finding.is_error or finding.field == "contacts"
        )


def notices_only(question_text: str, board: NoticeBoard | None, encoder: QueryEncoder | None) -> tuple[Notice, ...]:
    """Return the notices for a message where nothing else can be answered; () without a board."""
    return () if board is None else board.choose(question_text, encoder)


@lru_cache(maxsize=8)
def open_notices(path: Path, country: str = "", language: str = "en") -> tuple[NoticeBoard | None, tuple[str, ...]]:
    """
    Return the notices of a running process and what is to be said when there are none; read once.

    Raises:
        NoticesInvalid: as `NoticeBoard.load`.
    """
    if not path.exists():
        return None, (f"there are no crisis notices at {path}: nothing is shown to somebody in danger",)
    return NoticeBoard.load(path, country, language), ()


def parse_notices(text: str, where: str = "notices") -> tuple[tuple[Text, ...], tuple[Contact, ...]]:
    """
    Return the texts and contacts that a TOML text holds; `NoticeBoard.load` without the file.

    Raises:
        NoticesInvalid: as there.
    """
    try:
        fields = _File.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise _unfit(error, where) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5,000 digits, a thousand brackets
        raise _invalid(f"is not valid TOML: {error}", where, "mend that line") from error
    texts = tuple(
        Text(**{**dict(n), "links": tuple(NoticeLink(link.label, link.href) for link in n.links)})
        for n in fields.notices
    )
    contacts = tuple(
        Contact(
            c.id,
            c.country,
            frozenset(c.kinds),
            {str(k): v for k, v in c.label.items()},
            c.href,
            c.source,
            c.verified_on,
            c.expires,
        )
        for c in fields.contacts
    )
    _check_texts(texts, where)
    _check_contacts(contacts, where)
    return texts, contacts


def _check_texts(texts: Sequence[Text], where: str) -> None:
    seen: set[tuple[str, str]] = set()
    for number, text in enumerate(texts, start=1):
        place = f"{where}, notice {number} ({text.id}, {text.language})"
        for shown in (text.title, text.text, *(link.label for link in text.links)):
            _check_words(shown, place)
        for shown in (text.title, text.text):
            if _NUMBER.search(shown):
                fix = 'write "your local emergency number" and put the number under [[contacts]], where it can expire'
                raise _invalid("a number in the text", place, fix)
        for link in text.links:
            _check_href(link.href, place)
            if not link.href.lower().startswith("https://"):
                raise _invalid("a number as a link of a text", place, "put it under [[contacts]]")
        for key in {(text.kind, text.language), (f"id {text.id}", text.language)}:
            if key in seen:
                raise _invalid(f"a second notice for {key[0]} in {text.language}", place, "keep one of the two")
            seen.add(key)
        _check_dates(text.verified_on, text.expires, place)


def _check_contacts(contacts: Sequence[Contact], where: str) -> None:
    seen: set[str] = set()
    for number, contact in enumerate(contacts, start=1):
        place = f"{where}, contact {number} ({contact.id})"
        for label in contact.labels.values():
            _check_words(label, place)
        _check_href(contact.href, place)
        if not contact.source.startswith("https://") or not _HREF.fullmatch(contact.source):
            raise _invalid("the source is not an https address", place, "name the page that states it")
        if contact.id in seen:
            raise _invalid("a second contact with this id", place, "keep one of the two, or rename it")
        seen.add(contact.id)
        _check_dates(contact.verified_on, contact.expires, place)


def _check_words(shown: str, place: str) -> None:
    if _MARKUP.search(shown):
        raise _invalid("markup or a control character in a text", place, "write plain words")


def _check_href(href: str, place: str) -> None:
    if not _HREF.fullmatch(href):
        raise _invalid("a link that is not tel, sms or https", place, 'write "tel:" and digits, or an https address')


def _check_dates(verified_on: date, expires: date, place: str) -> None:
    if expires <= verified_on:
        raise _invalid(f"expires on {expires}, verified on {verified_on}", place, "let it expire after it was verified")


def _label(contact: Contact, language: str) -> str:
    return contact.labels.get(language) or contact.labels.get("en") or next(iter(contact.labels.values()))


def _unfit(error: ValidationError, where: str) -> NoticesInvalid:
    """Name the first thing that does not fit, by entry and field."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    if len(place) > 1 and place[1].isdigit():
        place = [f"{place[0].removesuffix('s')} {int(place[1]) + 1}", *place[2:]]
    message = str(first["msg"])
    if first["type"] == "extra_forbidden":
        message = f"there is no field {place[-1]!r}"
    return _invalid(message[:1].lower() + message[1:], f"{where}, {', '.join(place)}", _FIX)


def _invalid(what: str, where: str, fix: str) -> NoticesInvalid:
    return NoticesInvalid(what, where=where, fix=fix)
