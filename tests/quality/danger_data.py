"""
What the models of `service/danger.py` are fitted on: hand-written phrases and messages, and what is made of them.

Every text carries the number of the hand-written one it came from; a fold of cross-validation holds all or nothing of a
number, so no form of a held-out text was ever seen.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from danger_perturb import TRAIN, perturb

from service.danger import KINDS, split_windows

FOLDER = Path(__file__).resolve().parent / "danger"
SAFE = len(KINDS)
N_FOLDS = 3
# Sources of long messages are counted from here.
_STORIES = 1_000_000
_SLOT = re.compile(r"\{(\w+)\}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
# What people write around a message is no danger, but these words alone may be.
_CRIES = ("help", "please help", "ayuda")


@dataclass(frozen=True, slots=True)
class Phrase:
    """
    One labelled text.

    `kind` is one of KINDS or "safe"; `source` counts the hand-written text it came from, -1 for the grammar's; `form`
    says what was done to it: written, window, composed, or the name of a change.
    """

    text: str
    kind: str
    group: str
    language: str
    source: int = -1
    form: str = "written"

    @property
    def label(self) -> int:
        """Return its column."""
        return KINDS.index(self.kind) if self.kind in KINDS else SAFE


def fold_of(source: int) -> int:
    """Return the fold of cross-validation that a hand-written text and everything made of it belongs to."""
    return int.from_bytes(hashlib.sha256(str(source).encode()).digest()[:4]) % N_FOLDS


def read_lines(name: str) -> list[dict[str, str]]:
    """Return the rows of one file of the folder."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


def read_phrases(name: str) -> list[Phrase]:
    """Return the hand-written phrases of "train" or "test"."""
    rows = [row for side in ("danger", "safe") for row in read_lines(f"{name}-{side}")]
    return [Phrase(**row, source=number) for number, row in enumerate(rows)]


def read_stories() -> list[Phrase]:
    """Return long hand-written messages; in most dangerous ones, what shows the danger stands in double brackets."""
    rows = [row for name in ("train-stories", "train-messages") for row in read_lines(name)]
    return [Phrase(**row, source=_STORIES + number) for number, row in enumerate(rows)]


def plain(story: Phrase) -> Phrase:
    """Return a story without the brackets."""
    return replace(story, text=story.text.replace("[[", "").replace("]]", ""))


def told(stories: Sequence[Phrase]) -> Iterator[Phrase]:
    """Yield each story whole, as written and changed, and its windows, as far as their label is certain."""
    for marked in stories:
        story = plain(marked)
        yield story
        forms = perturb(story.text, story.language, TRAIN, "story")
        for name in ("bare", "typos", "bare_typos"):
            if name in forms:
                yield replace(story, text=forms[name], form=name)
        yield from _windows(story, _shown(marked))


def _shown(marked: Phrase) -> list[str]:
    """Return the words that show the danger."""
    start = marked.text.find("[[")
    return marked.text[start + 2 : marked.text.find("]]")].split() if start >= 0 else []


def _windows(story: Phrase, shown: Sequence[str]) -> Iterator[Phrase]:
    if story.label != SAFE and not shown:
        return  # the danger is spread: no window alone shows it for certain
    for text in split_windows(story.text)[1:]:
        share = len(set(shown) & set(text.split())) / len(set(shown)) if shown else 0.0
        window = replace(story, text=text, form="window")
        if not shown or " ".join(shown)[:-1] in text or share > 0.8:
            yield window
        elif share < 0.2:
            yield replace(window, kind="safe")


def composed(phrases: Sequence[Phrase], stories: Sequence[Phrase], seed: int) -> Iterator[Phrase]:
    """Yield each short phrase that is more than an ordinary question inside a harmless story of its own fold."""
    harmless: dict[tuple[int, str], list[Phrase]] = {}
    for story in stories:
        if story.label == SAFE:
            harmless.setdefault((fold_of(story.source), story.language), []).append(story)
    dice = random.Random(seed)
    for phrase in phrases:
        if phrase.group == "ordinary" and dice.random() > 0.5:
            continue
        around = dice.choice(harmless[fold_of(phrase.source), phrase.language])
        sentences = _SENTENCE.split(around.text)
        at = dice.randrange(len(sentences) + 1)
        said = phrase.text if phrase.text[-1] in ".?!" else f"{phrase.text}."
        # The stories end by asking. Half of these messages don't, dangerous or not: it proves nothing here.
        kept = sentences[:-1] if dice.random() < 0.5 else sentences
        at = min(at, len(kept))
        text = " ".join([*kept[:at], said[:1].upper() + said[1:], *kept[at:]])
        if len(split_windows(text)) > 1:
            yield replace(phrase, text=text, form="composed")


def data_sha256() -> str:
    """Return the SHA-256 over everything that the models are fitted on."""
    files = [*sorted(FOLDER.glob("train-*.jsonl")), FOLDER / "grammar.toml"]
    files += [Path(__file__), Path(__file__).with_name("danger_perturb.py")]
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def changed(phrases: Sequence[Phrase], seed: str) -> Iterator[Phrase]:
    """Yield each phrase and its changed forms, as they are trained on."""
    for phrase in phrases:
        yield phrase
        for name, text in perturb(phrase.text, phrase.language, TRAIN, seed).items():
            yield replace(phrase, text=text, form=name)


def generate(n: int, seed: int) -> list[Phrase]:
    """Return phrases from the grammar, no two alike."""
    grammar: dict[str, Any] = tomllib.loads((FOLDER / "grammar.toml").read_text("utf-8"))
    dice, slots, forms = random.Random(seed), grammar["slots"], grammar["forms"]
    weights, seen, phrases = [form["weight"] for form in forms], set[str](), list[Phrase]()
    while len(phrases) < n:
        form = dice.choices(forms, weights)[0]
        text = dice.choice(form["texts"])
        while found := _SLOT.search(text):
            text = text[: found.start()] + dice.choice(slots[found[1]]) + text[found.end() :]
        text = re.sub(r"\s+([,.?])", r"\1", " ".join(text.split())).strip(" ,")
        if text.lower() not in seen:
            seen.add(text.lower())
            phrases.append(Phrase(text, form["kind"], form.get("group", form["kind"]), form["language"]))
    return phrases


def lightly_changed(phrase: Phrase, number: int) -> Phrase:
    """Return a phrase of the grammar, a little more than half of the time in a changed form."""
    dice = random.Random(number)
    forms = list(perturb(phrase.text, phrase.language, TRAIN, f"g{number}").values())
    return replace(phrase, text=dice.choice(forms) if forms and dice.random() > 0.45 else phrase.text)


def frame_phrases() -> list[Phrase]:
    """Return what is put around messages, alone and without danger."""
    return [
        Phrase(text, "safe", "frame", language)
        for side in (TRAIN.before, TRAIN.after)
        for language, texts in side.items()
        for text in texts
        if text not in _CRIES
    ]
