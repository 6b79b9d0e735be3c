"""
How well danger is told from everything else, on phrases that training has not seen.

Floors stand a little below what was measured when they were set: recall 0.973 of 256 dangerous phrases, alarms at
0.015 of 260 look-alikes and, of the starter library's questions, at 0.017 of the short and 0.30 of the long ones.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.embed import SentenceTransformerEmbedder
from index.encoder import OnnxQueryEncoder, open_encoder
from index.model_files import find_model
from service.notices import NoticeBoard

ROOT = Path(__file__).parents[2]
LONG_CHARS = 200


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OnnxQueryEncoder:
    folder = tmp_path_factory.mktemp("index")
    SentenceTransformerEmbedder(find_model()).export_query_encoder(folder)
    return open_encoder(folder, find_model().fingerprint)


@pytest.fixture(scope="module")
def board() -> NoticeBoard:
    return NoticeBoard.load(ROOT / "corpus" / "notices.toml")


def texts(path: str, field: str) -> list[str]:
    lines = (ROOT / "tests" / "quality" / path).read_text("utf-8").splitlines()
    return [str(json.loads(line)[field]) for line in lines]


def alarm_share(board: NoticeBoard, messages: list[str], encoder: OnnxQueryEncoder | None) -> float:
    return sum(bool(board.choose(message, encoder)) for message in messages) / len(messages)


def test_danger_is_seen(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that at most one dangerous phrase in thirty goes without a notice."""
    messages = texts("danger/test-danger.jsonl", "text")

    assert len(messages) >= 250
    assert alarm_share(board, messages, encoder) >= 0.965


def test_danger_is_seen_in_other_letters(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that capitals and missing punctuation hide no danger."""
    messages = texts("danger/test-danger.jsonl", "text")

    for change in (str.upper, lambda text: text.replace(",", "").replace(".", "").replace("'", "")):
        assert alarm_share(board, [change(message) for message in messages], encoder) >= 0.95


def test_danger_is_seen_without_an_index(board: NoticeBoard) -> None:
    """This ensures that the text alone, before anything is built, still tells danger."""
    assert alarm_share(board, texts("danger/test-danger.jsonl", "text"), None) >= 0.95


def test_look_alikes_bring_no_alarm(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that statistics, grief, training, idioms and past events are rarely taken for danger."""
    messages = texts("danger/test-safe.jsonl", "text")

    assert len(messages) >= 250
    assert alarm_share(board, messages, encoder) <= 0.03


def test_ordinary_questions_bring_few_alarms(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that the notice keeps its meaning: few short ordinary questions bring it, long messages more."""
    messages = texts("starter-questions.jsonl", "question")
    short = [message for message in messages if len(message) < LONG_CHARS]
    long = [message for message in messages if len(message) >= LONG_CHARS]

    assert alarm_share(board, short, encoder) <= 0.03
    assert alarm_share(board, long, encoder) <= 0.4


def test_no_test_phrase_is_a_training_phrase() -> None:
    """This ensures that what is measured was not learned by heart."""
    training = {t.casefold() for side in ("danger", "safe") for t in texts(f"danger/train-{side}.jsonl", "text")}
    tested = [t.casefold() for side in ("danger", "safe") for t in texts(f"danger/test-{side}.jsonl", "text")]

    assert [text for text in tested if text in training] == []
