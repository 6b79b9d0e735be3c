"""
Names of the same thing, from the operator's `lexicon.toml`: read, checked, found in a question. Query side only.

The file's own head says what its fields mean. Nothing here touches a document or an index.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.errors import LexiconInvalid

_MOST_BYTES = 2_000_000
_MOST_NAME_WORDS = 6
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# What a page or a shell could take for something else than words; nothing in a name needs it.
_MARKUP = re.compile(r"[<>{}`\\]|javascript:|&#|[\x00-\x1f\x7f]", re.IGNORECASE)

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class NameKind(StrEnum):
    """What sort of name it is; `SHOWN` ones may be repeated to the person who asked."""

    BRAND = "brand"
    GENERIC = "generic"
    CLASS = "class"
    ABBREVIATION = "abbreviation"
    SLANG = "slang"
    STIGMATISING = "stigmatising"


SHOWN = frozenset({NameKind.BRAND, NameKind.GENERIC})


@dataclass(frozen=True, slots=True)
class Entry:
    """One name and the neutral wording that it stands for; `search` is what is looked for besides the name."""

    name: str
    kind: NameKind
    means: str
    search: str
    source: str
    exact_case: bool = False


@dataclass(frozen=True, slots=True)
class NameMatch:
    """An entry found in a text, by words: the words `[first, last)` of it."""

    entry: Entry
    first: int
    last: int


@dataclass(frozen=True, eq=False)
class Lexicon:
    """
    What an operator's lexicon holds, checked. Compared by identity.

    `distinct`: groups of look-alike names that are never taken for each other. `shorthand`: typed words and what they
    are short for, lower case.
    """

    entries: tuple[Entry, ...] = ()
    distinct: tuple[tuple[str, ...], ...] = ()
    shorthand: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _by_words(self) -> dict[tuple[str, ...], Entry]:
        return {words_of(entry.name): entry for entry in self.entries}

    @cached_property
    def _longest(self) -> int:
        return max((len(words) for words in self._by_words), default=0)

    @cached_property
    def concepts(self) -> dict[str, str]:
        """Return for every one-word name, lower case, what it is in the end a name of; look-alikes name themselves."""
        found = {words[0]: self.concept(entry) for words, entry in self._by_words.items() if len(words) == 1}
        for entry in self.entries:
            words = words_of(entry.search)
            if entry.kind in SHOWN and len(words) == 1:
                found.setdefault(words[0], words[0])
        for group in self.distinct:
            for name in group:
                if len(words := words_of(name)) == 1:
                    found.setdefault(words[0], words[0])
        return found

    @cached_property
    def medicines(self) -> frozenset[str]:
        """Return the one-word names among `concepts` that are no slang and no label."""
        spoken = {words_of(e.name) for e in self.entries if e.kind not in SHOWN}
        return frozenset(name for name in self.concepts if (name,) not in spoken)

    def concept(self, entry: Entry) -> str:
        """Return what an entry is in the end a name of, lower case."""
        while (following := self._by_words.get(words_of(entry.means))) is not None:
            entry = following
        return " ".join(words_of(entry.search))

    def match(self, words: Sequence[str]) -> list[NameMatch]:
        """Return the names among the words of a text, the longest at each place, none overlapping, in order."""
        folded = [fold(word) for word in words]
        found: list[NameMatch] = []
        first = 0
        while first < len(words):
            match = self._longest_at(words, folded, first)
            if match is not None:
                found.append(match)
            first = match.last if match else first + 1
        return found

    def _longest_at(self, words: Sequence[str], folded: Sequence[str], first: int) -> NameMatch | None:
        for last in range(min(first + self._longest, len(words)), first, -1):
            entry = self._by_words.get(tuple(folded[first:last]))
            if entry is not None and (not entry.exact_case or " ".join(words[first:last]) == entry.name):
                return NameMatch(entry, first, last)
        return None


class _EntryFields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: _Text
    kind: Annotated[NameKind, Field(strict=False)]
    means: _Text
    source: _Text
    search: _Text | None = None
    exact_case: bool = False


class _LexiconFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    entries: list[_EntryFields] = []
    distinct: list[list[_Text]] = []
    shorthand: dict[str, _Text] = {}


def fold(word: str) -> str:
    """Return a word as names are compared: lower case, straight apostrophe."""
    return word.casefold().replace("’", "'")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a name, folded; a hyphen separates words."""
    return tuple(fold(match.group()) for match in _WORD.finditer(text))


def iter_words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word of a text as typed, with its offsets."""
    for match in _WORD.finditer(text):
        yield match.group(), match.start(), match.end()


def read_lexicon(path: Path) -> Lexicon:
    """
    Read and check a lexicon.

    Raises:
        LexiconInvalid: unreadable, no TOML, an unknown field or kind, a name given twice, a circle, look-alikes with
            one meaning, or markup; names the line or the entry.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _invalid(f"is larger than {_MOST_BYTES} bytes", str(path), "remove entries")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise _invalid(
            f"can't be read ({error.strerror})", str(path), "make it readable or change `lexicon`"
        ) from error
    except UnicodeDecodeError as error:
        raise _invalid("is not UTF-8", str(path), "save it as UTF-8 text") from error
    return parse_lexicon(text, str(path))


@lru_cache(maxsize=4)
def open_lexicon(path: Path) -> tuple[Lexicon | None, tuple[str, ...]]:
    """
    Return the lexicon of a running process and what an operator should know about it; read once.

    A missing file is no lexicon: spelling is still repaired, and names stand for themselves.

    Raises:
        LexiconInvalid: as `read_lexicon`.
    """
    if not path.exists():
        return None, (f"there is no lexicon at {path}: brand and street names are not understood",)
    return read_lexicon(path), ()


def parse_lexicon(text: str, where: str = "lexicon") -> Lexicon:
    """
    Return the lexicon that a TOML text holds; `read_lexicon` without the file.

    Raises:
        LexiconInvalid: as `read_lexicon`.
    """
    try:
        fields = _LexiconFile.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise _unfit(error, text, where) from error
    except (ValueError, RecursionError) as error:  # no TOML, a number of 5,000 digits, a thousand brackets
        raise _invalid(f"is not valid TOML: {error}", where, "mend that line") from error
    entries = tuple(Entry(e.name, e.kind, e.means, e.search or e.means, e.source, e.exact_case) for e in fields.entries)
    lexicon = Lexicon(
        entries,
        tuple(tuple(group) for group in fields.distinct),
        {fold(word): meaning for word, meaning in fields.shorthand.items()},
    )
    _check_texts(fields, text, where)
    _check_names(entries, text, where)
    _check_circles(entries, text, where)
    _check_distinct(lexicon, text, where)
    return lexicon


def _check_texts(fields: _LexiconFile, text: str, where: str) -> None:
    values = [v for e in fields.entries for v in (e.name, e.means, e.search, e.source) if v is not None]
    values += [name for group in fields.distinct for name in group]
    values += [part for pair in fields.shorthand.items() for part in pair]
    for value in values:
        if _MARKUP.search(value):
            raise _invalid("markup or a control character in a text", _at(text, where, value), "write plain words")
    for value in [e.name for e in fields.entries] + [w for e in fields.entries for w in (e.means, e.search or e.means)]:
        if not 1 <= len(words_of(value)) <= _MOST_NAME_WORDS:
            fix = "write the name as people type it"
            raise _invalid(f"not of 1 to {_MOST_NAME_WORDS} words", _at(text, where, value), fix)
    for word in fields.shorthand:
        if len(words_of(word)) != 1:
            raise _invalid("shorthand that is not one word", _at(text, where, word), "write one word")


def _check_names(entries: Sequence[Entry], text: str, where: str) -> None:
    seen: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        words = words_of(entry.name)
        if words in seen:
            raise _invalid(
                f'the name stands for "{seen[words].means}" and again for "{entry.means}"',
                _at(text, where, entry.name, last=True),
                "keep one of the two",
            )
        seen[words] = entry


def _check_circles(entries: Sequence[Entry], text: str, where: str) -> None:
    following = {words_of(e.name): words_of(e.means) for e in entries}
    for entry in entries:
        words, steps = words_of(entry.name), 0
        while words in following and steps <= len(entries):
            words, steps = following[words], steps + 1
        if steps > len(entries):
            fix = "let the wording be one that is no name of this"
            raise _invalid("the meaning leads back to the name", _at(text, where, entry.name), fix)


def _check_distinct(lexicon: Lexicon, text: str, where: str) -> None:
    concepts = lexicon.concepts
    for group in lexicon.distinct:
        meanings: dict[str, str] = {}
        for name in group:
            words = words_of(name)
            # Brands of one substance may look alike without harm; a substance's own name may stand for no other.
            meaning = concepts.get(" ".join(words), " ".join(words))
            other = meanings.setdefault(meaning, name)
            is_substance = meaning in (" ".join(words), " ".join(words_of(other)))
            if other != name and is_substance:
                raise _invalid(
                    f'"{other}" and "{name}" are set apart and mean the same',
                    _at(text, where, name),
                    "take one of them out of that group, or mend the entry",
                )


def _unfit(error: ValidationError, text: str, where: str) -> LexiconInvalid:
    """Name the first thing that does not fit, by entry and field."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    shown = ", ".join([f"entry {int(place[1]) + 1}", *place[2:]] if place[:1] == ["entries"] and place[1:] else place)
    message = str(first["msg"])
    if first["type"] == "extra_forbidden":
        shown = f"{shown} ({_at(text, where, place[-1]).rpartition(', ')[2]})"
        message = f"there is no field {place[-1]!r}"
    elif place[-1:] == ["kind"]:
        message = f"the kinds are {', '.join(NameKind)}"
    return _invalid(message, f"{where}, {shown}", "mend that field; the head of corpus/lexicon.toml explains them")


def _at(text: str, where: str, value: str, *, last: bool = False) -> str:
    """Return the file with the line on which a value stands; without it where the value is written with escapes."""
    found = text.rfind(value) if last else text.find(value)
    return where if found < 0 else f"{where}, line {text.count(chr(10), 0, found) + 1}"


def _invalid(what: str, where: str, fix: str) -> LexiconInvalid:
    return LexiconInvalid(what, where=where, fix=fix)
