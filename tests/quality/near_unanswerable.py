"""
Make on-topic questions that nothing answers, and answerable mates worded alike, from a folder of sectioned Markdown.

    CITEWELL_EVAL_DATA=/path/to/folder python tests/quality/near_unanswerable.py OUT.jsonl [--n 400] [--seed 0]

The folder holds Markdown documents of one subject each: a title in the front matter, and "## Headings" that name an
aspect of it, as MedQuAD's do. A question asks for one aspect of a document's subject. It is answerable (labelled by
the section's offsets) when the document has a section on that aspect; it is of kind `unanswerable_near` when neither
the document nor any other of a title that shares its name has one. Both sides draw from the same wordings in the same
numbers, so that no wording tells the sides apart.

What the labels can't know: a section on another aspect may say in passing what was asked for. Those are wrong labels
and make every figure on this set lower than it is; `--strict` leaves out subjects whose text uses a word of the aspect.

Nothing of the folder is part of the project: the output goes where it is told to, and is not committed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "CITEWELL_EVAL_DATA"
# Aspect: the headings that mean it; words of its own (for --strict); wordings of the question.
ASPECTS: dict[str, tuple[frozenset[str], str, tuple[str, ...]]] = {
    "treatment": (
        frozenset({"treatment", "treatments", "therapy"}),
        r"treat|therap|medicat|surg",
        ("What can be done to treat {}?", "how is {} treated", "Which medicines help with {}?"),
    ),
    "outlook": (
        frozenset({"outlook", "prognosis"}),
        r"outlook|prognos|surviv|life expectancy",
        ("What is the outlook for {}?", "How long do people with {} live?", "will i get better if i have {}"),
    ),
    "prevention": (
        frozenset({"prevention"}),
        r"prevent|vaccin",
        ("Can {} be prevented?", "What can I do so that I don't get {}?", "how to avoid {}"),
    ),
    "frequency": (
        frozenset({"frequency"}),
        r"\b1 in\b|per \d|incidence|prevalence|frequen|how common",
        ("How many people have {}?", "How common is {}?", "is {} rare"),
    ),
    "inheritance": (
        frozenset({"inheritance"}),
        r"inherit|genetic|famil",
        ("Does {} run in families?", "can my kids get {} from me", "Is {} inherited?"),
    ),
    "causes": (
        frozenset({"causes", "genetic changes"}),
        r"caus|mutation|due to",
        ("What causes {}?", "why do people get {}", "Where does {} come from?"),
    ),
    "symptoms": (
        frozenset({"symptoms", "signs and symptoms"}),
        r"symptom|sign",
        ("What are the signs of {}?", "how do i know if i have {}", "What does {} feel like?"),
    ),
    "tests": (
        frozenset({"exams and tests", "diagnosis"}),
        r"test|diagnos|exam",
        ("How do doctors find out whether someone has {}?", "Is there a test for {}?", "how is {} diagnosed"),
    ),
    "complications": (
        frozenset({"complications"}),
        r"complicat|lead to",
        ("What complications can {} lead to?", "what else can go wrong with {}", "What harm can {} do in the end?"),
    ),
}
_TITLE = re.compile(r'^title:\s*"?(.*?)"?\s*$', re.MULTILINE)
_HEADING = re.compile(r"^## +(.+?) *$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sectioned:
    """One document: where it lies, what it is about, its sections as (heading in lower case, start, end)."""

    path: str
    title: str
    text: str
    sections: tuple[tuple[str, int, int], ...]

    def sections_on(self, aspect: str) -> list[tuple[int, int]]:
        """Return the sections whose heading means the aspect."""
        return [(start, end) for heading, start, end in self.sections if heading in ASPECTS[aspect][0]]


def find_folder() -> Path | None:
    """Return the folder that CITEWELL_EVAL_DATA names, None without one."""
    named = os.environ.get(VARIABLE, "")
    return Path(named) if named and Path(named).is_dir() else None


def read_sectioned(path: str, text: str) -> Sectioned | None:
    """Return a document's title and sections, None when it has no title or no section."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    title = _TITLE.search(text)
    headings = list(_HEADING.finditer(text))
    if title is None or not title[1] or not headings:
        return None
    ends = [match.start() for match in headings[1:]] + [len(text)]
    sections = [(m[1].lower(), m.end(), end) for m, end in zip(headings, ends, strict=True)]
    whole = tuple((heading, start, end) for heading, start, end in sections if text[start:end].strip())
    return Sectioned(path, title[1], text, whole)


def make_questions(documents: Sequence[Sectioned], n: int, seed: int, strict: bool = False) -> list[dict[str, object]]:
    """
    Return up to `n` unanswerable questions and as many answerable ones, aspect by aspect and wording by wording alike.

    Raises:
        ValueError: no aspect has both a document with a section on it and one without.
    """
    subjects: dict[str, list[Sectioned]] = defaultdict(list)
    for document in documents:
        subjects[_name(document.title)].append(document)
    generator = random.Random(seed)
    rows: list[dict[str, object]] = []
    per_aspect = max(1, n // len(ASPECTS))
    for aspect in ASPECTS:
        having = [d for d in documents if d.sections_on(aspect)]
        names = {_name(d.title) for d in having}
        lacking = [d for d in documents if not _is_covered(_name(d.title), names) and len(d.sections) > 1]
        if strict:
            words = re.compile(ASPECTS[aspect][1], re.IGNORECASE)
            lacking = [d for d in lacking if not any(words.search(o.text) for o in subjects[_name(d.title)])]
        count = min(per_aspect, len(having), len(lacking))
        chosen = zip(generator.sample(lacking, count), generator.sample(having, count), strict=True)
        for number, (without, with_it) in enumerate(chosen):
            wordings = ASPECTS[aspect][2]
            wording = wordings[number % len(wordings)]
            rows.append(
                {
                    "id": f"near-{aspect}-{number}",
                    "question": wording.format(without.title),
                    "kind": "unanswerable_near",
                    "gold": [],
                }
            )
            gold = [{"document": with_it.path, "start": s, "end": e} for s, e in with_it.sections_on(aspect)]
            rows.append(
                {
                    "id": f"mate-{aspect}-{number}",
                    "question": wording.format(with_it.title),
                    "kind": aspect,
                    "gold": gold,
                }
            )
    if not rows:
        raise ValueError("no aspect has documents with and without a section on it")
    return rows


def _name(title: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", title.lower()))


def _is_covered(name: str, names: set[str]) -> bool:
    """Tell whether a subject of the same or a containing or contained name is among those that have the aspect."""
    words = name.split()
    parts = {" ".join(words[first:last]) for first in range(len(words)) for last in range(first + 1, len(words) + 1)}
    return bool(parts & names) or any(f" {name} " in f" {other} " for other in names)


def main(arguments: list[str] | None = None) -> int:
    """Write the questions and return the exit code; without data it says so and returns 2."""
    parser = argparse.ArgumentParser(description="Make unanswerable on-topic questions and their answerable mates.")
    parser.add_argument("out", type=Path, help="file to write, outside the project")
    parser.add_argument("--n", type=int, default=400, help="most unanswerable questions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strict", action="store_true", help="leave out subjects whose text uses a word of the aspect")
    options = parser.parse_args(arguments)
    folder = find_folder()
    if folder is None:
        sys.stderr.write(f"no data: set {VARIABLE} to a folder of sectioned Markdown documents\n")
        return 2
    found = (
        read_sectioned(path.relative_to(folder).as_posix(), path.read_text("utf-8"))
        for path in sorted(folder.rglob("*.md"))
    )
    documents = [document for document in found if document is not None]
    try:
        rows = make_questions(documents, options.n, options.seed, options.strict)
    except ValueError as error:
        sys.stderr.write(f"{folder}: {error}\n")
        return 2
    options.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    n_near = sum(row["kind"] == "unanswerable_near" for row in rows)
    sys.stdout.write(
        f"{n_near} unanswerable and {len(rows) - n_near} answerable questions of {len(documents)} documents\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
