"""Making questions and pairs for the judge, and the parts of its training that need no model."""

from __future__ import annotations

import importlib
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.model import Passage
from ingest.sentences import sentence_spans
from service.lexicon import parse_lexicon
from service.questions import UNANSWERABLE_NEAR, read_questions

FOLDER = Path(__file__).parents[1] / "quality"
sys.path.insert(0, str(FOLDER))
try:
    questions: Any = importlib.import_module("judge_questions")
    data: Any = importlib.import_module("judge_data")
    judge_model: Any = importlib.import_module("judge_model")
    training: Any = importlib.import_module("train_judge")
finally:
    sys.path.remove(str(FOLDER))

ASPECTS, FRAMES = questions.read_aspects()
BY_NAME = {aspect.name: aspect for aspect in ASPECTS}


def passage(text: str, heading: str = "Overview", title: str = "Blue fever") -> Passage:
    """Return a passage of a document on one subject."""
    spans = tuple(sentence_spans(text))
    return Passage("id", f"{title}.md", 0, len(text), text, title, (title, heading), spans)


def subject(title: str, part: str, first: int, *texts: tuple[str, str]) -> Any:
    """Return a document of (heading, text) passages with ordinals from `first` on."""
    passages = {first + i: passage(text, heading, title) for i, (heading, text) in enumerate(texts)}
    return data.Subject(title, part, passages)


def library() -> list[Any]:
    """Return documents of which some say how they are treated."""
    subjects = []
    for i in range(8):
        texts = [("Overview", f"It is a rare condition of the skin number {i}."), ("Overview", "Nails look odd.")]
        if i % 2:
            texts.append(("Treatment", "It is treated with rest and antibiotics."))
            texts.append(("Treatment", "Nobody knows more."))
        subjects.append(subject(f"Fever{i} syndrome", "test" if i == 7 else "train", 10 * i, *texts))
    return subjects


def nearest(question: str, among: Sequence[int] | None, depth: int) -> list[int]:
    """Rank by ordinal."""
    return sorted(among)[:depth] if among is not None else [0, 10, 20, 30, 40, 50, 60, 70][:depth]


def groups_of(aspect: str, seed: int = 0) -> list[Any]:
    """Return what is made of the library on one aspect."""
    return list(data.Maker(library(), FRAMES, nearest, {}, seed).groups(BY_NAME[aspect], 40))


def test_there_are_forty_aspects_of_twelve_wordings() -> None:
    """This ensures that the questions are as varied as was asked for, and no wording stands on both sides."""
    plain = [aspect for aspect in ASPECTS if not aspect.slots]

    assert len(plain) >= 40
    assert all(len({*a.wordings, *a.held_out}) >= 12 for a in ASPECTS)
    assert not {w for a in ASPECTS for w in a.wordings} & {w for a in ASPECTS for w in a.held_out}


@pytest.mark.parametrize(
    ("aspect", "heading", "text", "expected"),
    [
        ("dose", "Treatment", "Adults take 20 mg a day.", "answers"),
        ("dose", "Treatment", "The skin looks red.", "silent"),
        ("how common", "Frequency", "It affects 1 in 20,000 newborns.", "answers"),
        ("how common", "Treatment", "It affects 1 in 20,000 newborns.", "maybe"),
        ("inheritance", "Overview", "It is inherited in an autosomal recessive pattern.", "answers"),
        ("symptoms", "Symptoms", "What are the symptoms of it?", "maybe"),
        ("cost", "Overview", "Insurance pays for it.", "answers"),
        ("travel and driving", "Overview", "Some people have a cough.", "silent"),
        ("children", "Treatment", "Links: Children's Hospital of Oslo. Registry for Children with Fever.", "maybe"),
    ],
)
def test_what_a_sentence_says(aspect: str, heading: str, text: str, expected: str) -> None:
    """This ensures that a passage counts as an answer, as silent, or as neither, by its sentences and its heading."""
    said = data.says(BY_NAME[aspect], passage(text, heading))

    assert expected == said


def test_a_slot_is_answered_only_in_its_sections() -> None:
    """This ensures that naming a symptom under another heading is no clear answer, and not naming it is silence."""
    relation = BY_NAME["causes symptom"]
    slot = next(slot for slot in relation.slots if "seizures" in slot.say)

    said = [
        data.says(relation, passage("Some have seizures.", "Symptoms"), slot),
        data.says(relation, passage("Some have seizures.", "Research"), slot),
        data.says(relation, passage("Some have a cough.", "Symptoms"), slot),
    ]

    assert said == ["answers", "maybe", "silent"]


def test_each_kind_of_negative_is_made() -> None:
    """This ensures that wrong passages come from the same section, the same document, other and lacking documents."""
    groups = groups_of("treatment")

    kinds = {pair.kind for group in groups for pair in group.pairs}

    assert {"answer", "same_section", "same_document", "elsewhere", "lacking"} <= kinds


def test_labels_follow_the_patterns() -> None:
    """This ensures that what is labelled as an answer says it, and that negatives of the subject are silent."""
    passages = {o: p for s in library() for o, p in s.passages.items()}

    for pair in (pair for group in groups_of("treatment") for pair in group.pairs):
        said = data.says(BY_NAME["treatment"], passages[pair.ordinal])
        assert (pair.kind == "answer") == (pair.label == 1)
        assert pair.kind not in ("answer", "elsewhere") or said == "answers"
        assert pair.kind not in ("same_section", "same_document", "lacking") or said == "silent"


def test_no_group_crosses_a_part() -> None:
    """This ensures that no passage of a held-out document is trained on."""
    part = {o: s.part for s in library() for o in s.passages}

    crossing = [g for g in groups_of("treatment") if any(part[pair.ordinal] != g.part for pair in g.pairs)]

    assert crossing == []


def test_the_same_seed_makes_the_same_groups() -> None:
    """This ensures that the data can be made again, and that another seed makes other data."""
    assert groups_of("treatment") == groups_of("treatment")
    assert groups_of("treatment", 1) != groups_of("treatment")


def test_one_subject_stands_in_one_part() -> None:
    """This ensures that a second document of a held-out subject is held out as well."""
    parts = [data.part_of(i, title, {"a.md"}, {"blue fever"}) for i, title in (("a.md", "X"), ("b.md", "Blue Fever"))]

    assert parts == ["test", "test"]


def test_held_out_wordings_stay_apart() -> None:
    """This ensures that a question for training never has a held-out wording or frame, nor the other way round."""
    aspect = BY_NAME["cost"]
    source = random.Random(3)
    trained = [questions.ask(aspect, "qqq", source, FRAMES).text.lower() for _ in range(200)]
    held = [questions.ask(aspect, "qqq", source, FRAMES, held_out=True).text.lower() for _ in range(200)]

    lines = [line.replace("{}", "qqq").lower().rstrip("?.!") for line in (*aspect.held_out, *FRAMES.held_out_before)]
    others = [line.replace("{}", "qqq").lower().rstrip("?.!") for line in (*aspect.wordings, *FRAMES.before)]

    assert not [q for q in trained if any(line in q for line in lines)]
    assert not [q for q in held if any(line in q for line in others)]


def test_a_street_name_may_stand_for_the_subject() -> None:
    """This ensures that questions also name a subject as people do who know it by another name."""
    lexicon = parse_lexicon(
        'version = 1\nentries = [{ name = "smack", kind = "slang", means = "heroin", source = "test" }]\n'
    )
    names = questions.street_names(lexicon)
    source = random.Random(0)

    asked = [questions.ask(BY_NAME["what it is"], "Heroin", source, FRAMES, names=names).text for _ in range(40)]

    assert any("smack" in text for text in asked)
    assert any("heroin" in text.lower() for text in asked)


def test_a_misspelling_changes_one_word() -> None:
    """This ensures that a slip leaves the rest of the question as it is."""
    question = "which treatment helps with Blue fever"

    slipped = questions.misspell_one(question, "Blue fever", random.Random(1))

    changed = [a for a, b in zip(question.split(), slipped.split(), strict=True) if a != b]
    assert len(changed) == 1


@pytest.mark.parametrize("change", [{"wordings": ["{}"]}, {"held_out": ["no subject"] * 3}, {"answers": None}])
def test_incomplete_aspects_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """This ensures that an aspect with few wordings, a wording without its subject or no patterns is noticed."""
    row: dict[str, Any] = {"name": "x", "answers": "a", "touches": "a"}
    row |= {"wordings": [f"{i} {{}}" for i in range(9)], "held_out": [f"h{i} {{}}" for i in range(3)]} | change
    lines = [f"{name} = {json.dumps(value)}" for name, value in row.items() if value is not None]
    file = tmp_path / "aspects.toml"
    file.write_text("[[aspects]]\n" + "\n".join(lines) + "\n[frames]\n", "utf-8")

    with pytest.raises(ValueError, match="x"):
        questions.read_aspects(file)


def test_minimal_pairs_are_complete() -> None:
    """This ensures that there are a hundred pairs of at least five kinds, each with two different passages."""
    rows = [json.loads(line) for line in (FOLDER / "judge" / "minimal-pairs.jsonl").read_text("utf-8").splitlines()]

    assert len({row["id"] for row in rows}) == len(rows) >= 100
    assert {"number", "negation", "drug", "relation", "comparison"} == {row["kind"] for row in rows}
    assert all(row["answers"] != row["not"] and row["question"] for row in rows)


def test_further_unanswerable_questions_are_new() -> None:
    """This ensures that the further near questions read as such and are none of the starter library's own."""
    own = {q.text.lower() for q in read_questions(FOLDER / "starter-questions.jsonl").questions}

    further = read_questions(FOLDER / "judge" / "near-starter.jsonl").questions

    assert {q.kind for q in further} == {UNANSWERABLE_NEAR}
    assert len({q.text.lower() for q in further} - own) == len(further) >= 50


def test_layers_are_spread() -> None:
    """This ensures that a smaller judge keeps the first and the last layer."""
    assert judge_model.kept_layers(6, 6) == [0, 1, 2, 3, 4, 5]
    assert judge_model.kept_layers(3, 6) == [0, 2, 5]


def test_training_reads_no_held_out_question(tmp_path: Path) -> None:
    """This ensures that neither test documents, held-out wordings nor left-out aspects are trained on."""
    rows = [
        {"part": part, "aspect": aspect, "wording": wording, "question": f"{part} {aspect} {wording}", "passages": [{}]}
        for part in ("train", "valid", "test")
        for aspect in ("cost", "diet")
        for wording in ("trained", "held_out")
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    read = training.read_groups([file], training.Options(leave_out=("diet",)))

    assert [group["question"] for group in read] == ["train cost trained"]


def test_batches_hold_every_question_once() -> None:
    """This ensures that sorting by length loses and repeats nothing, and that the order repeats."""
    groups = [{"n": i, "passages": [{"sentences": ["x" * (i % 7)]}]} for i in range(1100)]
    options = training.Options(batch=16)

    cut = list(training.batches(groups, options))

    assert list(range(1100)) == sorted(group["n"] for batch in cut for group in batch)
    assert cut == list(training.batches(groups, options))
