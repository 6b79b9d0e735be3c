"""Judging a message: folding, features, windows, weights. No encoder but fakes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.model import Float32
from index.testing import HashingEmbedder
from service.danger import (
    KINDS,
    MODEL_FILE,
    N_BUCKETS,
    assess,
    read_model,
    suspects,
    text_features,
    vector_texts,
    write_model,
)
from service.danger_text import fold, is_cry, readable, split_windows
from service.errors import NoticesInvalid

DANGER = "he took too much, his lips are blue and he wont wake up"
CHATTER = "We had soup for dinner. The dog is old and sleeps all day. My sister came by with a cake. It rained. "


class CountingEncoder(HashingEmbedder):
    """Counts the texts that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode_queries(self, texts: Sequence[str]) -> Float32:
        """Return the vectors, and remember the texts."""
        self.texts += texts
        return super().encode_queries(texts)


@pytest.mark.parametrize(
    ("typed", "folded"),
    [
        ("He ISN’T breathing!!!", "he isnt breathing"),
        ("heeeelp", "heelp"),
        ("está  frío,\nno respira", "esta frio no respira"),
        ("o\u0301 zero\u200bwidth", "o zerowidth"),
        ("🙂 ...", ""),
    ],
)
def test_letters_are_read_alike_however_they_are_typed(typed: str, folded: str) -> None:
    """This ensures that case, accents, apostrophes, stretched letters and marks change nothing."""
    assert fold(typed) == folded


def test_features_are_the_same_on_every_machine() -> None:
    """This ensures that weights fitted elsewhere meet the buckets that they were fitted on."""
    buckets = text_features("he wont wake up")

    assert buckets.dtype == np.int64
    assert np.array_equal(buckets, np.unique(buckets))
    assert buckets[0] >= 0
    assert buckets[-1] < N_BUCKETS
    assert (len(buckets), int(buckets.sum())) == (53, 783_482)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("he won't wake up", "he won't wake up"),
        ("took 20mg at 3am, he's a 2yo, b4 work & <3", "took 20mg at 3am, he's a 2yo, b4 work & <3"),
        ("está frío, no respira. ¿qué hago?", "está frío, no respira. ¿qué hago?"),
        ("он не дышит", "он не дышит"),
        ("k1ll mys3lf t0", "kill myself to"),
        ("h\u200be is n\u00adot br\u200beathing", "he is not breathing"),
        ("hе іs not brеathing", "he is not breathing"),
        ("ｈｅ ｉｓ cold", "he is cold"),
        ("<p>he won&#39;t <b>wake</b></p>", " he won't  wake  "),
    ],
)
def test_disguises_are_read_through(typed: str, read: str) -> None:
    """This ensures that hidden characters, markup, other alphabets and leetspeak hide nothing, and plain text stays."""
    assert readable(typed) == read


def test_a_long_whole_message_is_encoded_by_its_ends() -> None:
    """This ensures that a message of any length costs a bounded time, and that windows are encoded as they are."""
    long = " ".join(map(str, range(500)))

    whole, window = vector_texts([long, "a window"], [0, 1])

    assert whole.split() == [*map(str, range(50)), *map(str, range(450, 500))]
    assert window == "a window"
    assert vector_texts(["short"], [0]) == ["short"]


def test_short_message_is_judged_whole() -> None:
    """This ensures that most questions cost one vector, the one that the search needs anyway."""
    assert split_windows(DANGER) == [DANGER]
    assert split_windows("") == [""]


@pytest.mark.parametrize("text", [CHATTER * 4 + DANGER, "word " * 500, CHATTER.replace(".", "") * 20])
def test_windows_are_short_and_leave_no_word_out(text: str) -> None:
    """This ensures that one dangerous sentence in a long message stands in a window of its own size."""
    whole, *windows = split_windows(text)

    assert whole == text
    assert all(len(window.split()) <= 24 for window in windows)
    assert {word for window in windows for word in window.split()} == set(text.split())


def test_very_long_message_is_read_at_both_ends() -> None:
    """This ensures that whatever length an operator allows, judging is bounded and neither end is lost."""
    windows = split_windows("first " + "filler " * 100_000 + "last")

    assert sum(len(window) for window in windows) < 100_000
    assert any("first" in window for window in windows[1:])
    assert any("last" in window for window in windows[1:])


def test_few_windows_are_worth_a_vector() -> None:
    """This ensures that a long message costs a handful of vectors: the whole and the most suspect windows."""
    odds = np.array([0.0, 3.0, -1.0, 5.0, 4.0, 2.0, 1.0], np.float32)

    assert suspects(odds) == [0, 3, 4, 1]
    assert suspects(odds[:1]) == [0]


def test_long_message_costs_at_most_four_vectors() -> None:
    """This ensures that the cap on encoded windows holds in the judging itself."""
    encoder = CountingEncoder()
    model = replace(
        read_model(), encoder_fingerprint=encoder.fingerprint, hidden_weights=np.zeros((64, 192), np.float32)
    )

    assess(CHATTER * 30, encoder, model)

    assert len(encoder.texts) == 4
    assert max(len(text.split()) for text in encoder.texts) <= 100


def test_encoder_of_another_model_is_left_alone() -> None:
    """This ensures that vectors are judged only by weights that were fitted on their model."""
    encoder = CountingEncoder()

    judged = assess(DANGER, encoder, read_model())

    assert encoder.texts == []
    assert judged == assess(DANGER, None, read_model())
    assert judged.is_danger


@pytest.mark.parametrize("text", ["", "   ", "?!…", "🙂"])
def test_nothing_said_is_no_danger(text: str) -> None:
    """This ensures that a message without a letter brings no alarm."""
    assert not assess(text, None, read_model()).is_danger


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (DANGER, "overdose"),
        ("i want to end my life tonight", "suicide"),
        ("my husband stopped drinking and now he has seizures and sees things", "severe_withdrawal"),
        ("my toddler swallowed one of my pills", "child_poisoning"),
        ("my boyfriend is hitting me and says he will kill me", "violence"),
        ("mi hijo de dos años se tragó una pastilla de metadona", "child_poisoning"),
        ("quiero quitarme la vida", "suicide"),
    ],
)
def test_kind_is_told_without_an_encoder(text: str, kind: str) -> None:
    """This ensures that the plainest words of every kind are met before anything is built."""
    judged = assess(text, None, read_model())

    assert judged.is_danger
    assert kind in judged.kinds


@pytest.mark.parametrize(
    "text", ["help overdose", "OVERDOSE!!! HELP!!!", "please help, overdose now", "ayuda sobredosis"]
)
def test_a_bare_cry_for_help_is_danger(text: str) -> None:
    """This ensures that two words which leave no doubt are enough, whatever the weights make of them."""
    assert assess(text, None, read_model()).is_danger


@pytest.mark.parametrize("text", ["overdose help for parents", "emergency kit for an overdose", "overdose", "help"])
def test_only_a_bare_cry_is_a_rule(text: str) -> None:
    """This ensures that everything else is left to the weights."""
    assert not is_cry(text)


def test_kinds_come_in_the_order_of_urgency() -> None:
    """This ensures that of several dangers in one message the one that leaves least time comes first."""
    told = (
        "I've been hiding in the bathroom since noon. My boyfriend is hitting me and says he will kill me. "
        "My toddler swallowed my methadone pills off the floor, the whole pack. I can hear him at the door."
    )

    kinds = assess(told, None, read_model()).kinds

    assert "violence" in kinds
    assert "child_poisoning" in kinds
    assert kinds.index("child_poisoning") < kinds.index("violence")
    assert len(kinds) <= 3


def test_weights_survive_writing(tmp_path: Path) -> None:
    """This ensures that what training writes is what is read, bit for bit, and without pickles."""
    path = tmp_path / "danger.npz"
    write_model(read_model(), path)

    assert read_model(path).fingerprint == read_model().fingerprint
    assert path.stat().st_size < 700_000


@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_damaged_weights_are_refused(tmp_path: Path, damage: str) -> None:
    """This ensures that a broken installation is said at once and never judges at random."""
    path = tmp_path / "danger.npz"
    if damage == "cut":
        path.write_bytes(MODEL_FILE.read_bytes()[:10_000])
    elif damage == "changed":
        shutil.copy(MODEL_FILE, path)
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        arrays["text_bias"] = arrays["text_bias"] + np.float16(1.0)
        np.savez(path, **arrays)

    with pytest.raises(NoticesInvalid, match="weights"):
        read_model(path)


def test_kinds_are_the_issue_s() -> None:
    """This ensures that no kind of danger is dropped or renamed unseen: notices.toml and clients use these words."""
    assert KINDS == ("overdose", "suicide", "severe_withdrawal", "child_poisoning", "violence")
