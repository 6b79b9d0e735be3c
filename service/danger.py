"""
Does a question show danger to life, and which? Pure arithmetic on text and, where there is an encoder, its vectors.

Two small models judge: one reads letters and words alone (hashed n-grams, multinomial logistic), so that it works
before anything is built; one reads the question's vector. People in danger rarely name it, so neither is a list of
words. `tests/quality/train_danger.py` fits both and writes `service/data/danger.npz`; no text is in that file.
Knows no notice, no setting, no index.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from index.model import Float32, QueryEncoder
from service.errors import NoticesInvalid

KINDS = ("overdose", "suicide", "severe_withdrawal", "child_poisoning", "violence")
# Columns of every score: the kinds, then "no danger".
N_CLASSES = len(KINDS) + 1
MODEL_FILE = Path(__file__).parent / "data" / "danger.npz"
FEATURES_VERSION = 1
N_BUCKETS = 1 << 15
# A message is judged whole and in windows of at most so many words, so that one sentence is not drowned by a story.
_WINDOW_WORDS = 24
# Longer messages alone are cut: most questions cost one vector, the one that the search needs anyway.
_WHOLE_WORDS = 30
# Windows are ranked by the text model; so many get a vector each (about 3 ms apiece).
_MAX_ENCODED = 4
# A second kind less than e times less likely than the first is named as well: pills taken to die are two dangers.
_SECOND_KIND = 1.0
# Beyond it only the beginning and the end are read; an operator may allow questions of 800,000 characters.
_MAX_CHARS = 20_000
_REINSTALL = "install Citewell again: its package holds them"
_GRAMS = (3, 4, 5)
_PRIME = np.uint64(1_000_003)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"(?<=[.!?;…])\s+|\n+")
_REPEATED = re.compile(r"(.)\1{2,}")
_APOSTROPHE = re.compile(r"(?<=\w)['’‘`´ʼ](?=\w)")


@dataclass(frozen=True, slots=True)
class DangerModel:
    """
    Fitted weights; see `tests/quality/train_danger.py`.

    `text_weights` float32[N_BUCKETS, N_CLASSES], `text_bias` float32[N_CLASSES]; the vector model is one hidden layer:
    `hidden_weights` float32[d, h], `hidden_bias` float32[h], `out_weights` float32[h, N_CLASSES], `out_bias`
    float32[N_CLASSES]. `text_share` is the text model's part where both judge. The thresholds are
    log-odds at or above which there is danger: by text alone or by both, for short messages and for long ones, of
    which the most dangerous window counts and which would cry wolf more often otherwise.
    """

    text_weights: Float32
    text_bias: Float32
    hidden_weights: Float32
    hidden_bias: Float32
    out_weights: Float32
    out_bias: Float32
    text_share: float
    text_threshold: float
    text_threshold_long: float
    threshold: float
    threshold_long: float
    encoder_fingerprint: str
    data_sha256: str

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 over all weights and thresholds."""
        numbers = [getattr(self, name) for name in _NUMBERS]
        digest = hashlib.sha256(" ".join(map(repr, numbers)).encode())
        for name in _ARRAYS:
            digest.update(getattr(self, name).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Danger:
    """
    How a message was judged. `margin` is log-odds over the threshold: at or above 0 there is danger.

    `kinds` holds the likeliest kind and, where it is nearly as likely, a second one.
    """

    kinds: tuple[str, ...]
    margin: float

    @property
    def is_danger(self) -> bool:
        """Tell whether a notice is due."""
        return self.margin >= 0.0


def assess(text: str, encoder: QueryEncoder | None, model: DangerModel) -> Danger:
    """
    Judge one message by its most dangerous window.

    Args:
        encoder: None, or one of another model than the weights were fitted on: the text alone decides.
    """
    if not any(character.isalnum() for character in text):
        return Danger((KINDS[0],), -np.inf)
    windows = split_windows(text)
    is_long = len(windows) > 1
    by_text = text_scores([fold(window) for window in windows], model)
    if encoder is None or encoder.fingerprint != model.encoder_fingerprint:
        return _most_dangerous(by_text, model.text_threshold_long if is_long else model.text_threshold)
    chosen = suspects(log_odds(by_text))
    by_vector = vector_scores(encoder.encode_queries([windows[i] for i in chosen]), model)
    both = combine(by_text[chosen], by_vector, model)
    return _most_dangerous(both, model.threshold_long if is_long else model.threshold)


def suspects(odds: Float32) -> list[int]:
    """Return which windows are worth a vector: the whole message, then those that the text model suspects most."""
    rest = 1 + np.argsort(-odds[1:], kind="stable")[:_MAX_ENCODED]
    return [0, *rest.tolist()]


def _most_dangerous(scores: Float32, threshold: float) -> Danger:
    odds = log_odds(scores)
    row = int(np.argmax(odds))
    by_kind = scores[row, :-1]
    first, second = (int(column) for column in np.argsort(-by_kind, kind="stable")[:2])
    is_close = float(by_kind[first] - by_kind[second]) < _SECOND_KIND
    return Danger((KINDS[first], KINDS[second]) if is_close else (KINDS[first],), float(odds[row]) - threshold)


def split_windows(text: str) -> list[str]:
    """
    Return the message as a whole and, if it is long, its overlapping windows of about two sentences.

    Never empty. Sentences without an end mark are cut by words, so no window is longer than `_WINDOW_WORDS` words.
    """
    if len(text) > _MAX_CHARS:
        text = f"{text[: _MAX_CHARS // 2]}\n{text[-_MAX_CHARS // 2 :]}"
    if len(text.split()) <= _WHOLE_WORDS:
        return [text]
    pieces: list[list[str]] = []
    for sentence in _SENTENCE_END.split(text):
        words = sentence.split()
        pieces += [words[first : first + _WINDOW_WORDS // 2] for first in range(0, len(words), _WINDOW_WORDS // 2)]
    pairs = [" ".join(left + right) for left, right in pairwise(pieces)]
    alone = [" ".join(piece) for piece in pieces]
    return [text, *dict.fromkeys(pairs + alone)]


def fold(text: str) -> str:
    """Return the text as the text model reads it: no case, no accents, no apostrophes, no stretched letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return _REPEATED.sub(r"\1\1", " ".join(_WORD.findall(_APOSTROPHE.sub("", plain))))


def text_features(folded: str) -> npt.NDArray[np.int64]:
    """
    Return the buckets that a folded text falls into, sorted, without repeats.

    Words, neighbouring words and runs of three to five letters, each hashed; the same on every machine.
    """
    words = folded.split()
    grams = [f"w {word}" for word in words]
    grams += [f"b {left} {right}" for left, right in pairwise(["<", *words, ">"])]
    grams += [f"s {left} {right}" for left, right in zip(words, words[2:], strict=False)]
    hashed = [np.fromiter((zlib.crc32(gram.encode("utf-8", "replace")) for gram in grams), np.uint64, len(grams))]
    codes = np.frombuffer(f" {folded} ".encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    for n in _GRAMS:
        if len(codes) >= n:
            runs = np.full(len(codes) - n + 1, n, np.uint64)
            for offset in range(n):
                runs = runs * _PRIME + codes[offset : len(codes) - n + 1 + offset]
            hashed.append(runs)
    mixed = (np.concatenate(hashed) * _MIX) >> np.uint64(64 - 15)
    return np.unique(mixed.astype(np.int64))


def text_scores(folded: Sequence[str], model: DangerModel) -> Float32:
    """Return log-probabilities by the text model, `float32[len(folded), N_CLASSES]`."""
    rows = []
    for text in folded:
        buckets = text_features(text)
        rows.append(model.text_weights[buckets].sum(axis=0) / np.sqrt(max(len(buckets), 1)) + model.text_bias)
    return _log_softmax(np.stack(rows))


def vector_scores(vectors: Float32, model: DangerModel) -> Float32:
    """Return log-probabilities by the vector model, `float32[n, N_CLASSES]`."""
    hidden = np.maximum(vectors @ model.hidden_weights + model.hidden_bias, 0.0)
    return _log_softmax(hidden @ model.out_weights + model.out_bias)


def combine(by_text: Float32, by_vector: Float32, model: DangerModel) -> Float32:
    """Return the log-probabilities of both models together."""
    return _log_softmax(model.text_share * by_text + (1.0 - model.text_share) * by_vector)


def log_odds(scores: Float32) -> Float32:
    """Return the log-odds of any danger against none, `float32[n]`."""
    danger: Float32 = np.logaddexp.reduce(scores[:, :-1], axis=1) - scores[:, -1]
    return danger


def _log_softmax(scores: npt.NDArray[np.floating]) -> Float32:
    normalised: Float32 = (scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)).astype(np.float32)
    return normalised


def write_model(model: DangerModel, path: Path) -> None:
    """Write fitted weights as float16 with a JSON description; used by the training script alone."""
    description = {
        "features_version": FEATURES_VERSION,
        "kinds": list(KINDS),
        **{name: getattr(model, name) for name in _NUMBERS},
        "encoder_fingerprint": model.encoder_fingerprint,
        "data_sha256": model.data_sha256,
        "fingerprint": model.fingerprint,
    }
    arrays = {name: getattr(model, name).astype(np.float16) for name in _ARRAYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **arrays)


_ARRAYS = ("text_weights", "text_bias", "hidden_weights", "hidden_bias", "out_weights", "out_bias")
_NUMBERS = ("text_share", "text_threshold", "text_threshold_long", "threshold", "threshold_long")


@cache
def read_model(path: Path = MODEL_FILE) -> DangerModel:
    """
    Read the weights that come with this version, once a process.

    Raises:
        NoticesInvalid: missing, damaged, or made for other features; notices can't be chosen then.
    """
    try:
        # Given a path, numpy leaves the file open when it is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            description = json.loads(bytes(stored["description"]))
            arrays = {name: stored[name].astype(np.float32) for name in _ARRAYS}
        named = (*_NUMBERS, "encoder_fingerprint", "data_sha256")
        model = DangerModel(**arrays, **{name: description[name] for name in named})
        is_whole = model.fingerprint == description["fingerprint"]
        is_known = (description["features_version"], description["kinds"]) == (FEATURES_VERSION, list(KINDS))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise NoticesInvalid(
            "the weights for detecting danger can't be read", where=path.name, fix=_REINSTALL
        ) from error
    if not is_whole or not is_known:
        raise NoticesInvalid("the weights for detecting danger are not this version's", where=path.name, fix=_REINSTALL)
    return model
