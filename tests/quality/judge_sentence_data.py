"""
Make question and passage pairs from single sentences, beside those of `judge_data.py` and in the same form.

    python tests/quality/judge_sentence_data.py IX OUT.jsonl --hold-out QUESTIONS.jsonl [--per-document 4] [--show 3]

| kind | is |
|---|---|
| answer | the passage with the sentence that the question was made from (label 1; all others 0) |
| cut | the same passage without that sentence |
| same_document | of the same document, the likest to the question in which no sentence holds most of its words |
| retrieved | what the index ranks first for it in other documents and in which no sentence does |
| crossed | the likest passages to a question put together from two sentences of their document |

A sentence that stands in two documents, but for their subjects, is boilerplate and asks nothing. Parts are as in
`judge_data.py`, and so are the frames and slips that a part of the questions gets.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from judge_data import SEED, Subject, is_prose, read_subjects, sentences, to_passage
from judge_nearest import IndexNearest
from judge_questions import Frames, dressed, misspell_one, read_aspects
from judge_sentences import Asked, crossed, questions_of

from index.encoder import open_encoder
from index.lexical import analyze
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.questions import read_questions

# A sentence that holds so large a share of a question's words may answer it.
HOLDS = 0.6
N_LIKEST = 3
# Fewer words of meaning ask for nothing in particular.
FEWEST_STEMS = 3
RETRIEVED_SHARE, CROSSED_SHARE = 0.3, 0.5
CROSSED_TRIES = 12
MISSPELT, PRONOUN = 0.08, 0.15
# Of all rules the one over keywords fits most sentences and teaches least.
KEYWORDS_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Row:
    """One passage beside a question, possibly without one of its sentences."""

    label: int
    kind: str
    ordinal: int
    answer: int | None = None  # the sentence that answers
    without: int | None = None


class Stems:
    """How much of a question a sentence holds; sentences are analysed once."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}

    def of(self, text: str) -> frozenset[str]:
        """Return the index terms of a text."""
        if text not in self._known:
            self._known[text] = frozenset(analyze(text))
        return self._known[text]

    def holds(self, asked: Asked, said: Sequence[str]) -> bool:
        """Tell whether one of these sentences holds most of the question's words, replaced ones or not."""
        wanted = [w for w in (self.of(asked.plain), self.of(asked.text)) if w]
        return any(len(w & self.of(sentence)) >= HOLDS * len(w) for w in wanted for sentence in said)


def _masked(sentence: str, subject: str) -> str:
    return sentence.replace(subject, "").casefold()


class SentenceMaker:
    """Makes the questions of one library; the same for the same library and seed."""

    def __init__(self, subjects: Sequence[Subject], frames: Frames, nearest: IndexNearest, seed: int) -> None:
        self._subjects, self._frames, self._nearest = subjects, frames, nearest
        self._source = random.Random(seed)
        self._stems = Stems()
        self._passages = {o: p for subject in subjects for o, p in subject.passages.items()}
        self._part = {o: subject.part for subject in subjects for o in subject.passages}
        self._count = Counter(
            text
            for subject in subjects
            for text in {_masked(t, subject.title) for p in subject.passages.values() for t in sentences(p)}
        )

    def lines(self, per_document: int) -> Iterator[dict[str, object]]:
        """Yield the questions of every document, at most so many."""
        for subject in self._subjects:
            own = self._own_sentences(subject)
            # Of a short document a few: it is about one thing.
            n = min(per_document, max(3, len(own) // 2), len(own))
            for ordinal, i, text in self._source.sample(own, n):
                asked = self._pick(questions_of(text, subject.title, self._source))
                if asked is not None:
                    yield self._line(subject, asked, self._answered(subject, asked, ordinal, i))
            yield from self._crossed(subject, own, round(CROSSED_SHARE * n))

    def _own_sentences(self, subject: Subject) -> list[tuple[int, int, str]]:
        return [
            (ordinal, i, text)
            for ordinal, passage in subject.passages.items()
            if is_prose(passage.text)
            for i, text in enumerate(sentences(passage))
            if self._count[_masked(text, subject.title)] == 1 and questions_of(text, subject.title, random.Random(0))
        ]

    def _pick(self, found: Sequence[Asked]) -> Asked | None:
        found = [a for a in found if len(self._stems.of(a.plain)) >= FEWEST_STEMS]
        good = [a for a in found if a.rule != "keywords"]
        if good and self._source.random() >= KEYWORDS_SHARE:
            # Rare rules first: most sentences can be asked with yes or no.
            other = [a for a in good if a.rule != "polar"]
            return self._source.choice(other if other and self._source.random() < 0.7 else good)
        return next((a for a in found if a.rule == "keywords"), None)

    def _answered(self, subject: Subject, asked: Asked, ordinal: int, i: int) -> list[Row]:
        rows = [Row(1, "answer", ordinal, answer=i)]
        rest = sentences(self._passages[ordinal], i)
        if rest and not self._stems.holds(asked, rest):
            rows.append(Row(0, "cut", ordinal, without=i))
        others = [o for o in subject.passages if o != ordinal]
        rows += self._silent(asked, "same_document", self._nearest(asked.text, others, N_LIKEST) if others else [])
        if self._source.random() < RETRIEVED_SHARE:
            found = self._nearest(asked.text, None, 20)
            elsewhere = [o for o in found if o not in subject.passages and self._part.get(o) == subject.part]
            rows += self._silent(asked, "retrieved", elsewhere[:5])
        return rows

    def _silent(self, asked: Asked, kind: str, ordinals: Sequence[int]) -> list[Row]:
        for ordinal in ordinals:
            if not self._stems.holds(asked, sentences(self._passages[ordinal])):
                return [Row(0, kind, ordinal)]
        return []

    def _crossed(self, subject: Subject, own: Sequence[tuple[int, int, str]], n: int) -> Iterator[dict[str, object]]:
        for _ in range(n * CROSSED_TRIES if len(own) > 1 else 0):
            (_, _, text), (_, _, other) = self._source.sample(list(own), 2)
            found = crossed(text, other, self._source)
            asked = self._source.choice(found) if found else None
            if (
                asked is None
                or len(self._stems.of(asked.plain)) < FEWEST_STEMS
                or any(self._stems.holds(asked, sentences(p)) for p in subject.passages.values())
            ):
                continue
            likest = self._nearest(asked.text, list(subject.passages), 2)
            yield self._line(subject, asked, [Row(0, "crossed", o) for o in likest])
            n -= 1
            if n <= 0:
                return

    def _line(self, subject: Subject, asked: Asked, rows: Sequence[Row]) -> dict[str, object]:
        question = self._as_written(asked.text, subject.title)
        return {
            "part": subject.part,
            "aspect": f"sentence {asked.rule}",
            "wording": "trained",
            "question": question,
            "passages": [self._passage(question, row) for row in rows],
        }

    def _as_written(self, question: str, subject: str) -> str:
        """Return a question as people send it: its subject left to be understood, a slip, small letters, a frame."""
        if self._source.random() < PRONOUN:
            question = re.sub(re.escape(subject), self._source.choice(["it", "this", "that"]), question, flags=re.I)
        if self._source.random() < MISSPELT:
            question = misspell_one(question, subject, self._source)
        return dressed(question, subject, self._source, self._frames)

    def _passage(self, question: str, row: Row) -> dict[str, object]:
        passage = self._passages[row.ordinal]
        best = self._nearest.best_sentence(question, row.ordinal, row.without)
        return {"label": row.label, "kind": row.kind} | to_passage(passage, best, row.answer, row.without)


def main(arguments: list[str] | None = None) -> int:
    """Write the questions and print the counts; returns the exit code."""
    parser = argparse.ArgumentParser(description="Make question and passage pairs from single sentences.")
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("out", type=Path, help="file to write, outside the project")
    parser.add_argument(
        "--hold-out", type=Path, required=True, help="labelled questions; their documents are for tests"
    )
    parser.add_argument("--per-document", type=int, default=4)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--show", type=int, default=0, help="print so many examples of each kind")
    options = parser.parse_args(arguments)
    held = {label.document_id for q in read_questions(options.hold_out).questions for label in (*q.gold, *q.also)}
    shown: Counter[str] = Counter()
    counts: Counter[tuple[str, str]] = Counter()
    with open_snapshot(IndexDir(options.index_dir)) as snapshot, options.out.open("w", encoding="utf-8") as file:
        encoder = open_encoder(options.index_dir, snapshot.manifest.model.fingerprint)
        nearest, frames = IndexNearest(snapshot, encoder), read_aspects()[1]
        maker = SentenceMaker(read_subjects(snapshot, held), frames, nearest, options.seed)
        for line in maker.lines(options.per_document):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            counts[str(line["part"]), str(line["aspect"])] += 1
            for row in line["passages"]:  # type: ignore[attr-defined]  # a list, as `_line` makes it
                counts[str(line["part"]), row["kind"]] += 1
                if shown[row["kind"]] < options.show and random.Random(len(counts)).random() < 0.5:
                    shown[row["kind"]] += 1
                    text = " ".join(" ".join(row["sentences"]).split())[:300]
                    sys.stdout.write(f"\n[{row['kind']}, {line['aspect']}] {line['question']}\n  {text}\n")
    sys.stdout.write("\n" + "\n".join(f"{part:6} {kind:24} {n}" for (part, kind), n in sorted(counts.items())) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
