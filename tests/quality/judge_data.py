"""
Make question and passage pairs for the judge: does this passage answer that question? Reproducible, fixed seed.

    citewell build MEDQUAD_FOLDER --index-dir IX
    python tests/quality/judge_data.py IX OUT.jsonl --hold-out QUESTIONS.jsonl [--per-aspect 320] [--show 3]

Passages come from an index, as Citewell's own splitter cut them, of documents that are about one subject each and have
sections with the headings that `judge/aspects.toml` names. Documents that QUESTIONS.jsonl is labelled in, and all that
share a subject's name with one, are in the part `test`; one in twenty of the others in `valid`; the rest in `train`.

A line of OUT is one question with its passages:

    {"part", "aspect", "wording": "trained" | "held_out", "question",
     "passages": [{"label": 1 | 0, "kind", "title", "headings", "sentences", "best", "answer"}, ...]}

`best` is the sentence that the index ranks first for the question, `answer` the one that answers or null.

| kind | is |
|---|---|
| answer | a passage of the subject's document with a sentence that answers (label 1; all others 0) |
| same_section | stands under the same heading as an answer and says nothing on the aspect |
| same_document | of the subject's document, the likest to the question that says nothing on the aspect |
| elsewhere | answers the same of another subject, where possible of one with a similar name |
| lacking | the likest passage of a document in which nothing is said on the aspect |
| retrieved | what the index itself ranks first for the question among documents of other subjects |

Nothing of the folder is part of the project: the output goes where it is told to, and is not committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from judge_nearest import IndexNearest
from judge_questions import Aspect, Frames, Slot, ask, read_aspects, street_names
from near_unanswerable import _is_covered, _name

from index.encoder import open_encoder
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from ingest.model import Passage
from service.lexicon import read_lexicon
from service.questions import read_questions

LEXICON = Path(__file__).resolve().parents[2] / "corpus" / "lexicon.toml"
SEED = 0
MAX_SUBJECT_CHARS = 60
VALID_SHARE = 20  # one document in so many
# Of the questions. Passages of other subjects are told apart by similarity already: more of them only cost time.
RETRIEVED_SHARE = 0.25
ELSEWHERE_SHARE = 0.5
SLOT_FACTOR = 8  # a relation holds as many questions as so many aspects
HELD_OUT_SHARE = 0.5  # of the questions on test documents; on others 0.1
N_LIKEST = 3
# Of prose of these libraries 0.03 to 0.2 of the words have a capital, of tables and lists of links 0.4 and more: they
# name an aspect's words and answer nothing. One in nine of the answers that the patterns find is such a list.
MOST_CAPITALS = 0.35
_WORD = re.compile(r"[A-Za-z][\w'-]*")


@dataclass(frozen=True, slots=True)
class Pair:
    """One passage beside a question."""

    label: int
    kind: str
    ordinal: int
    answer: int | None = None  # the sentence that answers


@dataclass(frozen=True, slots=True)
class Group:
    """One question and its passages."""

    part: str
    aspect: str
    is_held_out: bool
    question: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """One document: its title as the subject of questions, its part of the data, its passages by ordinal."""

    title: str
    part: str
    passages: dict[int, Passage] = field(repr=False)

    @property
    def name(self) -> str:
        """Return the title's words, for comparing subjects."""
        return _name(self.title)


class Nearest(Protocol):
    """Ranks passages for a question, best first."""

    def __call__(self, question: str, among: Sequence[int] | None, depth: int) -> list[int]:
        """Return ordinals, of those in `among` or of all."""


def says(aspect: Aspect, passage: Passage, slot: Slot | None = None) -> str:
    """
    Return "answers", "silent", or "maybe" where the patterns can't tell.

    A sentence that is itself a question answers nothing: many of these texts repeat the heading as one.
    """
    heading = passage.heading_path[-1].lower() if passage.heading_path else ""
    touches = slot.found if slot else aspect.touches
    answers = slot.found if slot else aspect.answers
    assert touches is not None
    assert answers is not None
    if not touches.search(passage.text):
        return "silent"
    is_on_it = heading in aspect.headings or not aspect.headings
    pattern = answers if is_on_it else aspect.anywhere
    if pattern is None or not is_prose(passage.text):
        return "maybe"
    return "answers" if any(pattern.search(sentence) for sentence in _statements(passage)) else "maybe"


def is_prose(text: str) -> bool:
    """Tell prose from tables and lists of links, which are made of names."""
    words = _WORD.findall(text)
    return sum(word[0].isupper() for word in words) <= MOST_CAPITALS * len(words)


def _statements(passage: Passage) -> Iterator[str]:
    return (sentence for sentence in sentences(passage) if not sentence.endswith("?"))


def sentences(passage: Passage, without: int | None = None) -> list[str]:
    """Return the texts of a passage's sentences, all but the one left out."""
    return [
        passage.text[start - passage.start : end - passage.start]
        for i, (start, end) in enumerate(passage.sentences)
        if i != without
    ]


def answering_sentence(aspect: Aspect, passage: Passage, slot: Slot | None) -> int | None:
    """Return the first sentence of an answer that matches the aspect's patterns."""
    heading = passage.heading_path[-1].lower() if passage.heading_path else ""
    is_on_it = heading in aspect.headings or not aspect.headings
    pattern = slot.found if slot else aspect.answers if is_on_it else aspect.anywhere
    for i, sentence in enumerate(sentences(passage)):
        if pattern is not None and not sentence.endswith("?") and pattern.search(sentence):
            return i
    return None


class Maker:
    """Makes the groups of one library; the same for the same library, aspects and seed."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        frames: Frames,
        nearest: Nearest,
        names: dict[str, tuple[str, ...]],
        seed: int,
    ) -> None:
        self._subjects = list(subjects)
        self._frames = frames
        self._nearest = nearest
        self._names = names
        self._source = random.Random(seed)
        self._passages = {o: p for subject in subjects for o, p in subject.passages.items()}
        self._owner = {o: i for i, subject in enumerate(subjects) for o in subject.passages}

    def groups(self, aspect: Aspect, per_aspect: int) -> Iterator[Group]:
        """Yield up to `per_aspect` questions that a passage answers and half as many that none does."""
        slots: tuple[Slot | None, ...] = aspect.slots or (None,)
        each = max(4, per_aspect * SLOT_FACTOR // len(slots)) if aspect.slots else per_aspect
        for slot in slots:
            yield from self._about(aspect, slot, each)

    def _about(self, aspect: Aspect, slot: Slot | None, n: int) -> Iterator[Group]:
        said = {o: says(aspect, p, slot) for o, p in self._passages.items()}
        having = [i for i, s in enumerate(self._subjects) if any(said[o] == "answers" for o in s.passages)]
        covered = {self._subjects[i].name for i in having}
        lacking = [
            i
            for i, s in enumerate(self._subjects)
            if all(said[o] == "silent" for o in s.passages) and not _is_covered(s.name, covered)
        ]
        # Every test document counts; of the others so many.
        for i in self._drawn(having, n):
            yield self._answered(aspect, slot, i, having, said)
        for i in self._drawn(lacking, n // 2):
            yield self._lacking(aspect, slot, i)

    def _drawn(self, found: Sequence[int], n: int) -> list[int]:
        parts: dict[str, list[int]] = defaultdict(list)
        for i in found:
            parts[self._subjects[i].part].append(i)
        shares = {"train": n, "valid": n // 10, "test": n // 5}
        return [i for part in shares for i in self._source.sample(parts[part], min(shares[part], len(parts[part])))]

    def _ask(self, aspect: Aspect, slot: Slot | None, subject: Subject) -> tuple[str, bool]:
        share = HELD_OUT_SHARE if subject.part == "test" else 0.1
        is_held_out = self._source.random() < share
        wording = ask(
            aspect, subject.title, self._source, self._frames, slot=slot, names=self._names, held_out=is_held_out
        )
        return wording.text, is_held_out

    def _answered(
        self, aspect: Aspect, slot: Slot | None, i: int, having: Sequence[int], said: dict[int, str]
    ) -> Group:
        subject = self._subjects[i]
        question, is_held_out = self._ask(aspect, slot, subject)
        answer = self._source.choice([o for o in subject.passages if said[o] == "answers"])
        silent = [o for o in subject.passages if said[o] == "silent"]
        heading = self._passages[answer].heading_path
        pairs = [Pair(1, "answer", answer, answering_sentence(aspect, self._passages[answer], slot))]
        beside = [o for o in silent if self._passages[o].heading_path == heading]
        if beside:
            pairs.append(Pair(0, "same_section", self._source.choice(beside)))
        others = [o for o in silent if o not in {pair.ordinal for pair in pairs}]
        if others:
            likest = self._nearest(question, others, N_LIKEST)
            pairs.append(Pair(0, "same_document", self._source.choice(likest)))
        elsewhere = self._elsewhere(subject, having, said)
        if elsewhere is not None:
            pairs.append(Pair(0, "elsewhere", elsewhere))
        pairs += self._retrieved(question, subject)
        return Group(subject.part, aspect.name, is_held_out, question, tuple(pairs))

    def _lacking(self, aspect: Aspect, slot: Slot | None, i: int) -> Group:
        subject = self._subjects[i]
        question, is_held_out = self._ask(aspect, slot, subject)
        likest = self._nearest(question, list(subject.passages), N_LIKEST)
        pairs = [Pair(0, "lacking", o) for o in likest[:2]]
        return Group(subject.part, aspect.name, is_held_out, question, (*pairs, *self._retrieved(question, subject)))

    def _elsewhere(self, subject: Subject, having: Sequence[int], said: dict[int, str]) -> int | None:
        """Return a passage that answers the same of another subject of the same part, best of a like-named one."""
        words = {word for word in subject.name.split() if len(word) > 3}
        if self._source.random() >= ELSEWHERE_SHARE:
            return None
        drawn = self._source.sample(list(having), min(len(having), 400))
        others = [
            s
            for s in map(self._subjects.__getitem__, drawn)
            if s.part == subject.part and not _same(s.name, subject.name)
        ]
        alike = [s for s in others if words & set(s.name.split())]
        pool = alike if alike and self._source.random() < 0.7 else others
        if not pool:
            return None
        other = self._source.choice(pool)
        return self._source.choice([o for o in other.passages if said[o] == "answers"])

    def _retrieved(self, question: str, subject: Subject) -> list[Pair]:
        if self._source.random() >= RETRIEVED_SHARE:
            return []
        for ordinal in self._nearest(question, None, 20):
            other = self._subjects[self._owner[ordinal]] if ordinal in self._owner else None
            if other is not None and other.part == subject.part and not _same(other.name, subject.name):
                return [Pair(0, "retrieved", ordinal)]
        return []


def _same(name: str, other: str) -> bool:
    return f" {name} " in f" {other} " or f" {other} " in f" {name} "


def part_of(document_id: str, title: str, held_ids: set[str], held_names: set[str]) -> str:
    """Return the part of the data that a document belongs to: one subject never stands in two."""
    name = _name(title)
    if document_id in held_ids or name in held_names:
        return "test"
    return "valid" if hashlib.sha256(name.encode()).digest()[0] % VALID_SHARE == 0 else "train"


def read_subjects(snapshot: Snapshot, held_ids: set[str]) -> list[Subject]:
    """Return the documents of a snapshot whose titles can be the subject of a question."""
    documents = {d.id: d.metadata.title for d in snapshot.catalogue.iter_documents()}
    held_names = {_name(documents[i]) for i in held_ids if i in documents}
    passages: dict[str, dict[int, Passage]] = defaultdict(dict)
    for first in range(0, snapshot.manifest.counts.passages, 2000):
        last = min(first + 2000, snapshot.manifest.counts.passages)
        for stored in snapshot.catalogue.passages(range(first, last)):
            passages[stored.passage.document_id][stored.ordinal] = stored.passage
    return [
        Subject(title, part_of(document_id, title, held_ids, held_names), passages[document_id])
        for document_id, title in documents.items()
        if len(title) <= MAX_SUBJECT_CHARS and passages[document_id]
    ]


def to_passage(passage: Passage, best: int, answer: int | None = None, without: int | None = None) -> dict[str, object]:
    """Return a passage's part of a line; `best` counts without the sentence that is left out."""
    context = [passage.context] if passage.context else []
    return {
        "title": passage.title,
        "headings": [*passage.heading_path[1:], *context],
        "sentences": sentences(passage, without),
        "best": best,
        "answer": answer,
    }


def to_row(group: Group, passages: dict[int, Passage], nearest: IndexNearest) -> dict[str, object]:
    """Return the line of one group."""
    rows = []
    for pair in group.pairs:
        best = nearest.best_sentence(group.question, pair.ordinal)
        row: dict[str, object] = {"label": pair.label, "kind": pair.kind}
        rows.append(row | to_passage(passages[pair.ordinal], best, pair.answer))
    wording = "held_out" if group.is_held_out else "trained"
    return {
        "part": group.part,
        "aspect": group.aspect,
        "wording": wording,
        "question": group.question,
        "passages": rows,
    }


def summary(groups: Iterable[Group]) -> list[str]:
    """Return the counts, by part and kind and by aspect."""
    kinds: Counter[tuple[str, str]] = Counter()
    aspects: Counter[tuple[str, int]] = Counter()
    questions: Counter[tuple[str, bool]] = Counter()
    for group in groups:
        questions[group.part, group.is_held_out] += 1
        for pair in group.pairs:
            kinds[group.part, pair.kind] += 1
            aspects[group.aspect, pair.label] += 1
    lines = [
        f"{part:6} questions, wordings {'held out' if h else 'trained'}: {n}" for (part, h), n in questions.items()
    ]
    lines += [f"{part:6} {kind:14} {n}" for (part, kind), n in sorted(kinds.items())]
    names = sorted({name for name, _ in aspects})
    return [*lines, *(f"{name:28} answers {aspects[name, 1]:6}  not {aspects[name, 0]:6}" for name in names)]


def main(arguments: list[str] | None = None) -> int:
    """Write the groups and print the counts; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make question and passage pairs for the judge.")
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("out", type=Path, help="file to write, outside the project")
    parser.add_argument(
        "--hold-out", type=Path, required=True, help="labelled questions; their documents are for tests"
    )
    parser.add_argument("--per-aspect", type=int, default=320, help="most answered training questions of an aspect")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--show", type=int, default=0, help="print so many examples of each kind")
    options = parser.parse_args(arguments)
    held = {label.document_id for q in read_questions(options.hold_out).questions for label in (*q.gold, *q.also)}
    aspects, frames = read_aspects()
    groups: list[Group] = []
    with open_snapshot(IndexDir(options.index_dir)) as snapshot:
        encoder = open_encoder(options.index_dir, snapshot.manifest.model.fingerprint)
        subjects = read_subjects(snapshot, held)
        nearest = IndexNearest(snapshot, encoder)
        maker = Maker(subjects, frames, nearest, street_names(read_lexicon(LEXICON)), options.seed)
        for aspect in aspects:
            groups += maker.groups(aspect, options.per_aspect)
            sys.stderr.write(f"\r{aspect.name:30} {len(groups)} questions")
        passages = {ordinal: passage for subject in subjects for ordinal, passage in subject.passages.items()}
        with options.out.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(to_row(group, passages, nearest), ensure_ascii=False) + "\n" for group in groups)
    sys.stdout.write("\n" + "\n".join(summary(groups)) + "\n")
    _show(groups, passages, options.show)
    return 0


def _show(groups: Sequence[Group], passages: dict[int, Passage], n: int) -> None:
    shown: Counter[str] = Counter()
    for group in random.Random(SEED).sample(list(groups), len(groups)):
        for pair in group.pairs:
            if shown[pair.kind] < n:
                shown[pair.kind] += 1
                text = " ".join(passages[pair.ordinal].text.split())[:300]
                sys.stdout.write(f"\n[{pair.kind}, {group.aspect}] {group.question}\n  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
