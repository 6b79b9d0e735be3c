"""
Questions as people write them, from `judge/aspects.toml`: wordings, chatty frames, misspellings, street names. Pure.

`Wording.is_held_out` says whether any part of a question (its wording, its frame) is kept apart from training.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from misspell import slip

from service.lexicon import Lexicon

ASPECTS_FILE = Path(__file__).resolve().parent / "judge" / "aspects.toml"
# Shares of all questions; a long message is never disfigured further than by small letters.
FRAMED, MISSPELT, SMALL = 0.3, 0.12, 0.25
_LONG_WORD = re.compile(r"\b[a-z]{5,}\b")
_FEWEST_WORDINGS, _FEWEST_HELD_OUT = 9, 3


@dataclass(frozen=True, slots=True)
class Slot:
    """One thing that a relation may ask for: how people put it, and how documents do."""

    say: tuple[str, ...]
    found: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Aspect:
    """
    One thing that is asked of a subject; `judge/aspects.toml` explains the patterns.

    A relation has slots, and then no patterns of its own: the slot's stands for them.
    """

    name: str
    headings: frozenset[str]
    answers: re.Pattern[str] | None
    anywhere: re.Pattern[str] | None
    touches: re.Pattern[str] | None
    wordings: tuple[str, ...]
    held_out: tuple[str, ...]
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True, slots=True)
class Frames:
    """Sentences that people write before and after a question."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    held_out_before: tuple[str, ...]
    held_out_after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wording:
    """A question as somebody would send it."""

    text: str
    is_held_out: bool


def read_aspects(path: Path = ASPECTS_FILE) -> tuple[tuple[Aspect, ...], Frames]:
    """
    Read the aspects, relations after them, and the frames.

    Raises:
        ValueError: an aspect without enough wordings, a wording without its subject or slot, a name given twice.
    """
    data = tomllib.loads(path.read_text("utf-8"))
    rows = [*data["aspects"], *data.get("relations", [])]
    aspects = tuple(_aspect(row) for row in rows)
    if len({aspect.name for aspect in aspects}) != len(aspects):
        raise ValueError(f"{path}: two aspects of one name")
    return aspects, Frames(**{name: tuple(lines) for name, lines in data["frames"].items()})


def _aspect(row: dict[str, Any]) -> Aspect:
    wordings, held_out = tuple(row["wordings"]), tuple(row["held_out"])
    if len(set(wordings)) < _FEWEST_WORDINGS or len(set(held_out)) < _FEWEST_HELD_OUT or set(wordings) & set(held_out):
        raise ValueError(
            f"{row['name']}: {_FEWEST_WORDINGS} wordings and {_FEWEST_HELD_OUT} others held out are needed"
        )
    needed = ("{}", "{slot}") if "slots" in row else ("{}",)
    if any(part not in wording for wording in wordings + held_out for part in needed):
        raise ValueError(f"{row['name']}: a wording without {' or '.join(needed)}")
    slots = tuple(Slot(tuple(slot["say"]), _pattern(slot["found"])) for slot in row.get("slots", []))
    patterns = {name: _pattern(row[name]) if name in row else None for name in ("answers", "anywhere", "touches")}
    if not slots and not (patterns["answers"] and patterns["touches"]):
        raise ValueError(f"{row['name']}: needs answers and touches, or slots")
    return Aspect(
        row["name"], frozenset(row.get("headings", ())), **patterns, wordings=wordings, held_out=held_out, slots=slots
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def street_names(lexicon: Lexicon) -> dict[str, tuple[str, ...]]:
    """Return meaning in lower case -> the other names it goes by."""
    names: dict[str, list[str]] = {}
    for name, meaning in lexicon.concepts.items():
        if name.casefold() != meaning.casefold():
            names.setdefault(meaning.casefold(), []).append(name)
    return {meaning: tuple(others) for meaning, others in names.items()}


def ask(
    aspect: Aspect,
    subject: str,
    source: random.Random,
    frames: Frames,
    *,
    slot: Slot | None = None,
    names: dict[str, tuple[str, ...]] | None = None,
    held_out: bool = False,
) -> Wording:
    """
    Return one question on an aspect of a subject.

    Args:
        names: of a subject in lower case, other names; half of its questions take one.
        held_out: take wordings and frames that are kept apart from training.
    """
    others = (names or {}).get(subject.casefold(), ())
    if others and source.random() < 0.5:
        subject = source.choice(others)
    wording = source.choice(aspect.held_out if held_out else aspect.wordings)
    said = source.choice(slot.say) if slot else ""
    question = wording.replace("{slot}", said).replace("{}", subject)
    question = question[0].upper() + question[1:] if wording[0] == "{" and source.random() < 0.5 else question
    chance = source.random()
    if chance < FRAMED:
        question = _framed(question, subject, source, frames, held_out)
    elif chance < FRAMED + MISSPELT:
        question = misspell_one(question, subject, source)
    if source.random() < SMALL:
        question = question.lower().rstrip("?.!")
    return Wording(question, held_out)


def misspell_one(question: str, subject: str, source: random.Random) -> str:
    """Return a question with one slip in one of its longer words, mostly not the subject's own."""
    spans = [m.span() for m in _LONG_WORD.finditer(question)]
    inside = question.find(subject)
    outside = [s for s in spans if inside < 0 or not inside <= s[0] < inside + len(subject)]
    pool = outside if outside and source.random() < 0.7 else spans
    if not pool:
        return question
    start, end = source.choice(pool)
    word = question[start:end]
    return question[:start] + word[0] + slip(word[1:], source) + question[end:]


def dressed(question: str, subject: str, source: random.Random, frames: Frames) -> str:
    """Return a question in a frame that is trained on, in small letters, or as it is."""
    if source.random() < FRAMED / 3:
        question = _framed(question, subject, source, frames, False)
    return question.lower().rstrip("?.!") if source.random() < SMALL else question


def _framed(question: str, subject: str, source: random.Random, frames: Frames, held_out: bool) -> str:
    before = frames.held_out_before if held_out else frames.before
    after = frames.held_out_after if held_out else frames.after
    parts: Sequence[str] = (
        *source.sample(before, source.choice((1, 1, 2))),
        question,
        *source.sample(after, source.choice((0, 1))),
    )
    return " ".join(part.replace("{}", subject) for part in parts)
