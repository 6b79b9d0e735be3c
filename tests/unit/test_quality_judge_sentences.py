"""Questions made from the sentences that answer them."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.model import Passage
from ingest.sentences import sentence_spans

FOLDER = Path(__file__).parents[1] / "quality"
sys.path.insert(0, str(FOLDER))
try:
    making: Any = importlib.import_module("judge_sentences")
    data: Any = importlib.import_module("judge_sentence_data")
    judge_data: Any = importlib.import_module("judge_data")
    judge_questions: Any = importlib.import_module("judge_questions")
finally:
    sys.path.remove(str(FOLDER))


def asked(sentence: str, rule: str) -> set[str]:
    """Return what a rule makes of a sentence over many draws, before words are replaced."""
    found = set()
    for seed in range(60):
        found |= {a.plain for a in making.questions_of(sentence, "green fever", random.Random(seed)) if a.rule == rule}
    return found


@pytest.mark.parametrize(
    ("sentence", "rule", "expected"),
    [
        ("Warm baths can ease the itching of the skin.", "polar", "can warm baths ease the itching of the skin?"),
        ("Warm baths can reduce the itching of the skin.", "object", "What can warm baths reduce?"),
        ("Green fever is a rare illness of the skin.", "what", "What is green fever?"),
        ("The rash is treated with creams and rest.", "passive", "How is the rash treated?"),
        ("The rash lasts three to five days in most people.", "time", "How long does the rash last?"),
        ("If you feel dizzy after the bath, lie down for a while.", "if", "What should I do if you feel dizzy?"),
        ("To keep the skin from drying out, use an oily cream.", "how", "How can I keep the skin from drying out?"),
    ],
)
def test_a_rule_asks_for_what_a_sentence_says(sentence: str, rule: str, expected: str) -> None:
    """This ensures that each kind of sentence is asked for in the order of words that people use."""
    assert expected in asked(sentence, rule)


@pytest.mark.parametrize(
    "sentence",
    [
        "See also: creams, baths, oils.",
        "These are rare in the north of the country.",
        "Call now.",
        "Is it rare or not at all?",
    ],
)
def test_what_says_nothing_by_itself_is_not_asked_for(sentence: str) -> None:
    """This ensures that links, sentences that lean on others, and questions make no question."""
    assert making.questions_of(sentence, "green fever", random.Random(0)) == []


def test_you_becomes_i() -> None:
    """This ensures that a question is asked by the one who is spoken to."""
    found = {
        a.text
        for s in range(40)
        for a in making.questions_of("You should rest your legs for a day.", "x", random.Random(s))
    }

    assert any("my legs" in text for text in found)
    assert not any("your legs" in text for text in found)


def test_everyday_words_replace_a_documents() -> None:
    """This ensures that a question seldom holds just its sentence's words."""
    assert making.reworded("does the physician help", random.Random(0), 1.0) == "does the doctor help"
    assert making.reworded("does the physician help", random.Random(0), 0.0) == "does the physician help"


def test_two_halves_make_a_question_that_neither_answers() -> None:
    """This ensures that a crossed question asks of one sentence's subject what another says of its own."""
    first, second = "Warm baths can ease the itching of the skin.", "Oily creams may cause swelling of the eyelids."

    found = {a.plain.lower() for s in range(40) for a in making.crossed(first, second, random.Random(s))}

    assert any("warm baths" in text and "swelling" in text for text in found)
    assert not any("oily creams" in text for text in found)


class Nearest:
    """Ranks by ordinal and finds the first sentence likest."""

    def __call__(self, question: str, among: Sequence[int] | None, depth: int) -> list[int]:
        """Return the first ordinals."""
        return sorted(among)[:depth] if among is not None else [0, 1, 10, 11][:depth]

    def best_sentence(self, question: str, ordinal: int, without: int | None = None) -> int:
        """Return the first."""
        return 0


def library() -> list[Any]:
    """Return two documents of two passages."""
    texts = {
        "Green fever": (
            "Warm baths can ease the itching. The rash may spread to the arms.",
            "Oily creams help the skin.",
        ),
        "Blue fever": (
            "Cold drinks can lower the temperature. The cough may last for weeks.",
            "Fresh air helps the lungs.",
        ),
    }
    subjects = []
    for n, (title, parts) in enumerate(texts.items()):
        passages = {}
        for i, text in enumerate(parts):
            spans = tuple(sentence_spans(text))
            passages[10 * n + i] = Passage(f"{title}{i}", title, 0, len(text), text, title, (title,), spans)
        subjects.append(judge_data.Subject(title, "train", passages))
    return subjects


def test_labels_follow_the_sentence() -> None:
    """This ensures that only the passage with the sentence answers, and that it does not without that sentence."""
    frames = judge_questions.read_aspects()[1]
    lines = list(data.SentenceMaker(library(), frames, Nearest(), 0).lines(6))

    rows = [row for line in lines for row in line["passages"]]
    kinds = {row["kind"] for row in rows}
    assert {"answer", "cut", "same_document"} <= kinds
    assert all((row["kind"] == "answer") == (row["label"] == 1) for row in rows)
    for line in lines:
        answers = [row["sentences"][row["answer"]] for row in line["passages"] if row["label"]]
        for row in line["passages"]:
            assert row["kind"] != "cut" or answers[0] not in row["sentences"]
    assert lines == list(data.SentenceMaker(library(), frames, Nearest(), 0).lines(6))
