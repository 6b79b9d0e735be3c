"""
How well danger is told from everything else, on phrases that are not in the training data.

`danger/blind-1.jsonl` (80 dangerous and 80 harmless messages, long and short each) was written after features, data and
the rule for thresholds were frozen (commit b3fab54; weights 2cf6074) and scored once, at commit ba0e545: recall 0.950
short and 0.988 long; alarms 0.113 short and 0.475 long, half or more of the harmless ones being look-alikes. Nobody
may tune on it: whoever changes the model writes another. It is optimistic all the same: one author wrote it and the
training messages within the same hour, with the same ideas of what danger looks like; people in danger write otherwise.

The other files are not blind. Misses and alarms among `test-*.jsonl` were read while the first training data grew, and
`unseen.jsonl` was compared on since. Floors stand a little below what was measured when they were set.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from index.embed import SentenceTransformerEmbedder
from index.encoder import OnnxQueryEncoder, open_encoder
from index.model_files import find_model
from service.danger import read_model
from service.danger_text import split_windows
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


def load_perturbations() -> Any:
    """Load danger_perturb.py by its path: tests are no package."""
    path = Path(__file__).with_name("danger_perturb.py")
    spec = importlib.util.spec_from_file_location("citewell_danger_perturb", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def texts(path: str, field: str) -> list[str]:
    lines = (ROOT / "tests" / "quality" / path).read_text("utf-8").splitlines()
    return [str(json.loads(line)[field]) for line in lines]


def alarm_share(board: NoticeBoard, messages: list[str], encoder: OnnxQueryEncoder | None) -> float:
    return sum(bool(board.choose(message, encoder)) for message in messages) / len(messages)


def test_danger_is_seen(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that at most one dangerous phrase in fifty goes without a notice."""
    messages = texts("danger/test-danger.jsonl", "text")

    assert len(messages) >= 250
    assert alarm_share(board, messages, encoder) >= 0.98


def test_danger_is_seen_in_other_letters(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that capitals and missing punctuation hide no danger."""
    messages = texts("danger/test-danger.jsonl", "text")

    for change in (str.upper, lambda text: text.replace(",", "").replace(".", "").replace("'", "")):
        assert alarm_share(board, [change(message) for message in messages], encoder) >= 0.97


def test_danger_is_seen_in_changed_words_and_long_messages(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that typos, slang, a third person and a long message around it hide little danger."""
    perturbed = load_perturbations()
    lines = (ROOT / "tests/quality/danger/test-danger.jsonl").read_text("utf-8").splitlines()
    changed = [
        text
        for row in map(json.loads, lines)
        for text in perturbed.perturb(row["text"], row["language"], perturbed.TEST, "test 1").values()
    ]
    short = [text for text in changed if len(split_windows(text)) == 1]
    long = [text for text in changed if len(split_windows(text)) > 1]

    assert len(long) >= 200
    assert alarm_share(board, short, encoder) >= 0.97
    assert alarm_share(board, long, encoder) >= 0.96


def test_danger_is_seen_in_phrases_that_shaped_nothing(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that phrases written after the weights were fitted are seen, short and long."""
    lines = (ROOT / "tests/quality/danger/unseen.jsonl").read_text("utf-8").splitlines()
    dangerous = [row["text"] for row in map(json.loads, lines) if row["kind"] != "safe"]

    assert len(dangerous) >= 20
    assert alarm_share(board, dangerous, encoder) >= 0.95


@pytest.mark.parametrize(("is_long", "recall", "alarms"), [(False, 0.93, 0.14), (True, 0.96, 0.5)])
def test_the_blind_score_holds(
    board: NoticeBoard, encoder: OnnxQueryEncoder, is_long: bool, recall: float, alarms: float
) -> None:
    """This ensures that the model that was scored blind is the one that is shipped."""
    rows = [json.loads(line) for line in (ROOT / "tests/quality/danger/blind-1.jsonl").read_text("utf-8").splitlines()]
    part = [row for row in rows if (len(split_windows(row["text"])) > 1) == is_long]
    dangerous = [row["text"] for row in part if row["kind"] != "safe"]
    harmless = [row["text"] for row in part if row["kind"] == "safe"]

    assert (len(dangerous), len(harmless)) == (80, 80)
    assert alarm_share(board, dangerous, encoder) >= recall
    assert alarm_share(board, harmless, encoder) <= alarms


def test_the_weights_belong_to_the_training_data() -> None:
    """This ensures that training data changed without fitting again is noticed."""
    folder = ROOT / "tests" / "quality"
    files = [*sorted((folder / "danger").glob("train-*.jsonl")), folder / "danger" / "grammar.toml"]
    files += [folder / "danger_data.py", folder / "danger_perturb.py"]

    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()

    assert digest == read_model().data_sha256


def test_danger_is_seen_without_an_index(board: NoticeBoard) -> None:
    """This ensures that the text alone, before anything is built, still tells danger."""
    assert alarm_share(board, texts("danger/test-danger.jsonl", "text"), None) >= 0.97


def test_look_alikes_bring_no_alarm(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that statistics, grief, training, idioms and past events are rarely taken for danger."""
    messages = texts("danger/test-safe.jsonl", "text")

    assert len(messages) >= 250
    assert alarm_share(board, messages, encoder) <= 0.05


def test_ordinary_questions_bring_few_alarms(board: NoticeBoard, encoder: OnnxQueryEncoder) -> None:
    """This ensures that few short ordinary questions bring a notice; long messages do, to miss fewer in danger."""
    messages = texts("starter-questions.jsonl", "question")
    short = [message for message in messages if len(message) < LONG_CHARS]
    long = [message for message in messages if len(message) >= LONG_CHARS]

    assert alarm_share(board, short, encoder) <= 0.07
    assert alarm_share(board, long, encoder) <= 0.7


def test_no_test_phrase_is_a_training_phrase() -> None:
    """This ensures that what is measured was not learned by heart."""
    training = {t.casefold() for side in ("danger", "safe") for t in texts(f"danger/train-{side}.jsonl", "text")}
    tested = [t.casefold() for side in ("danger", "safe") for t in texts(f"danger/test-{side}.jsonl", "text")]

    assert [text for text in tested if text in training] == []
