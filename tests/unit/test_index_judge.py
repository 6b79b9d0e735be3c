"""The judge's reading of a pair, its opening and what is refused."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from tiny_judge import seal, tokenizer, write_judge
from tokenizers import Tokenizer

from index.errors import JudgeUnusable
from index.judge import MOST, SHIPPED, PairEncoder, PairShape, PairText, open_judge, window


def encoder(**sizes: int) -> PairEncoder:
    """Return an encoder of whole words: every word is 0, the special tokens 1 and 2."""
    return PairEncoder(Tokenizer.from_str(json.dumps(tokenizer())), PairShape(**sizes))


@pytest.mark.parametrize(
    ("lengths", "best", "room", "expected"),
    [
        ([5, 5, 5, 5], 1, 20, (0, 4)),
        ([5, 5, 5, 5], 1, 10, (1, 3)),
        ([5, 5, 5, 5], 1, 15, (0, 3)),
        ([5, 5, 5, 5], 3, 10, (2, 4)),
        ([5, 50, 5], 1, 10, (1, 2)),
        ([5, 5, 50, 5], 1, 12, (0, 2)),
        ([9], 0, 0, (0, 1)),
    ],
)
def test_the_window_grows_around_the_likeliest_sentence(
    lengths: list[int], best: int, room: int, expected: tuple[int, int]
) -> None:
    """This ensures that the likeliest sentence is read whatever its length, with the neighbours that fit."""
    assert expected == window(lengths, best, room)


def test_a_pair_is_question_prefix_and_sentences() -> None:
    """This ensures that the parts stand in the order of the training, and that the question's tokens are counted."""
    pair = encoder().encode("one two", PairText("title.", ("a b c", "d"), 0))

    assert pair.ids == (1, 0, 0, 2, *[0] * 6, 2)
    assert pair.n_question == 4
    assert pair.arrays()["token_type_ids"].tolist() == [[0] * 4 + [1] * 7]


@pytest.mark.parametrize("n_words", [0, 1, 39, 40, 41, 500, 2000])
def test_no_pair_is_longer_than_allowed(n_words: int) -> None:
    """This ensures that questions and passages of any length make a pair that the graph can read."""
    words = " ".join(["word"] * n_words)

    pair = encoder().encode(words, PairText(words, (words, words), 1))

    assert len(pair.ids) <= PairShape().total
    assert pair.n_question <= PairShape().question + 2


def test_a_long_question_keeps_both_ends() -> None:
    """This ensures that what is asked at the end of a long message is read."""
    made = Tokenizer.from_str(json.dumps(tokenizer()))
    made.add_tokens(["first", "last"])

    pair = PairEncoder(made, PairShape(question=4)).encode("first a b c d e last", PairText("", ("x",), 0))

    assert [i for i in pair.ids if i > 2] == [made.token_to_id("first"), made.token_to_id("last")]


def test_there_must_be_a_likeliest_sentence() -> None:
    """This ensures that a sentence that is none stops at once."""
    with pytest.raises(ValueError, match="no sentence 2"):
        PairText("", ("a", "b"), 2)


def test_passages_are_judged_one_by_one(tmp_path: Path) -> None:
    """This ensures that a passage's log-odds does not depend on what stands beside it, and is bounded."""
    judge = open_judge(write_judge(tmp_path / "judge.onnx", scale=1.0))
    short, long = PairText("", ("a b",), 0), PairText("", ("a b c d e f g h i j k l m n",), 0)

    assert judge.log_odds("q", [short]) == (3.0,)
    assert judge.log_odds("q", [long, short]) == (MOST, 3.0)
    assert judge.log_odds("q", []) == ()


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_threads_change_no_number(tmp_path: Path, n_threads: int) -> None:
    """This ensures that many questions at a time, whose passages threads share, get the numbers of one at a time."""
    path = write_judge(tmp_path / "judge.onnx", scale=0.1)
    texts = [PairText("", (" ".join("abcdefgh"[:n]),), 0) for n in range(1, 9)]
    alone = open_judge(path)
    expected = [alone.log_odds("q" * n, texts[:n]) for n in range(9)]

    judge = open_judge(path, n_threads)
    with ThreadPoolExecutor(4) as askers:
        found = list(askers.map(lambda n: judge.log_odds("q" * n, texts[:n]), [*range(9)] * 20))

    assert found == expected * 20


def test_a_question_is_read_by_threads_that_are_free(tmp_path: Path) -> None:
    """This ensures that passages are read side by side, and that nobody waits for a thread that is busy."""
    judge = open_judge(write_judge(tmp_path / "judge.onnx", scale=1.0), 2)
    texts = [PairText("", (word,), 0) for word in "ab"]
    both = threading.Barrier(2, timeout=30)
    encode, judge._encoder = judge._encoder.encode, Mock()
    judge._encoder.encode.side_effect = lambda *pair: (both.wait(), encode(*pair))[1]

    side_by_side = judge.log_odds("q", texts)  # a broken barrier raises

    release = threading.Event()
    judge._encoder.encode.side_effect = encode
    assert judge._helpers is not None
    judge._helpers.submit(release.wait, 30)
    while_busy = judge.log_odds("q", texts)
    release.set()

    assert side_by_side == while_busy
    assert len(while_busy) == 2


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_judge_that_fails_in_any_thread_fails(tmp_path: Path, n_threads: int) -> None:
    """This ensures that an error is told whichever thread it meets, and that the next question is answered."""
    judge = open_judge(write_judge(tmp_path / "judge.onnx", scale=1.0), n_threads)
    texts = [PairText("", (word,), 0) for word in "ab"]
    expected = judge.log_odds("q", texts)
    session, judge._session = judge._session, Mock()
    judge._session.run.side_effect = RuntimeError("broken")

    with pytest.raises(JudgeUnusable, match="RuntimeError"):
        judge.log_odds("q", texts)
    judge._session = session
    found = judge.log_odds("q", texts)

    assert found == expected


def test_no_passage_is_begun_after_the_time(tmp_path: Path) -> None:
    """This ensures that a judge without time says nothing instead of making people wait."""
    judge = open_judge(write_judge(tmp_path / "judge.onnx"))

    assert judge.log_odds("q", [PairText("", ("a",), 0)] * 3, budget_s=0.0) == ()


def truncate(path: Path) -> None:
    """Leave half of the file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def truncate_and_seal(path: Path) -> None:
    """Leave half of the file under a card that fits."""
    truncate(path)
    seal(path)


def rewrite(**change: Any) -> Callable[[Path], None]:
    """Return what writes a judge with other metadata."""
    return lambda path: void(write_judge(path, metadata=change))


def void(_: object) -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: path.unlink(), "can't be read"),
        (lambda path: path.with_suffix(".json").unlink(), "no card"),
        (lambda path: path.with_suffix(".json").write_text("[]"), "SHA-256"),
        (lambda path: path.with_suffix(".json").write_text("{"), "card is not readable"),
        (lambda path: path.with_suffix(".json").write_text("[" * 100_000), "card is not readable"),
        (truncate, "SHA-256"),
        (truncate_and_seal, "not a loadable ONNX graph"),
        (rewrite(version=99), "of version 99"),
        (rewrite(shape={"total": "many"}), "describe itself"),
        (rewrite(shape={"width": 3}), "describe itself"),
        (rewrite(tokenizer={}), "describe itself"),
        (lambda path: void(write_judge(path, inputs=("input_ids", "attention_mask"))), "inputs and outputs"),
        (lambda path: void(write_judge(path, scale=math.nan)), "can.t judge"),
    ],
)
def test_a_judge_that_is_none_is_refused(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    """This ensures that every damage is found when it is opened, named, and comes with what to do."""
    path = write_judge(tmp_path / "judge.onnx")
    damage(path)

    with pytest.raises(JudgeUnusable, match=expected) as caught:
        open_judge(path)

    assert str(tmp_path) in caught.value.where
    assert "install Citewell again" in caught.value.fix


def test_the_shipped_judge_tells_an_answer_from_its_subject() -> None:
    """This ensures that the file in the package opens and can tell what it was made for, in a plain case."""
    judge = open_judge(SHIPPED)
    says = PairText("Green fever.", ("Green fever lasts for three to five days in most people.",), 0)
    silent = PairText("Green fever.", ("Green fever is more common in the north than in the south.",), 0)

    answers, not_answers = judge.log_odds("How long does green fever last?", [says, silent])

    assert answers > not_answers + 1.0


@pytest.mark.parametrize("question", ["x", "Wie lange dauert es?", "word " * 2000, "¿?", "\U0001f600"])
def test_the_shipped_judge_takes_any_question(question: str) -> None:
    """This ensures that one word, another language and a message beyond its limit give a number."""
    texts = [PairText("A title. " * 50, ("A long sentence with many words. " * 60,), 0), PairText("", ("No.",), 0)]

    found = open_judge(SHIPPED).log_odds(question, texts)

    assert all(-MOST <= value <= MOST for value in found)
    assert len(found) == 2
