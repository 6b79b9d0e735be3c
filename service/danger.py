"""
Does a question show danger to life, and which? Pure arithmetic on text and, where there is an encoder, its vectors.

Two small models judge: one reads letters and words alone (hashed n-grams, multinomial logistic), so that it works
before anything is built; one reads the question's vector. People in danger rarely name it, so neither is a list of
words. Four rows of weights (short or long, with or without an encoder) make one number of what both say of the whole
message and of its windows. `tests/quality/train_danger.py` fits all and writes `service/data/danger.npz`; no text is in
that file. Knows no notice, no setting, no index.
"""

from __future__ import annotations

import hashlib
import json
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
from service.danger_evidence import FEATURES, message_features
from service.danger_text import fold, is_cry, last_sentence, readable, split_windows
from service.errors import NoticesInvalid

KINDS = ("overdose", "suicide", "severe_withdrawal", "child_poisoning", "violence")
# Columns of every score: the kinds, then "no danger".
N_CLASSES = len(KINDS) + 1
MODEL_FILE = Path(__file__).parent / "data" / "danger.npz"
FEATURES_VERSION = 2
N_BUCKETS = 1 << 15
# Windows are ranked by the text model; so many get a vector each (about 2 ms apiece).
_MAX_ENCODED = 3
# More words than the whole message has in its first and last part that get its vector: the model reads no more anyway,
# and a vector of 500 words costs as much as 20 windows.
_VECTOR_WORDS = 100
# A kind less than e times less likely than the first is named as well: pills taken to die are two dangers.
_SECOND_KIND = 1.0
# Of a long message, a window with at least these log-odds may add its kind.
_SURE_WINDOW = 2.0
# More than three notices nobody reads.
_MOST_KINDS = 3
# Minutes count from left to right.
_URGENCY = ("overdose", "child_poisoning", "severe_withdrawal", "suicide", "violence")
CASES = ("short, text alone", "short", "long, text alone", "long")
_REINSTALL = "install Citewell again: its package holds them"
_GRAMS = (3, 4, 5)
_PRIME = np.uint64(1_000_003)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class DangerModel:
    """
    Fitted weights; see `tests/quality/train_danger.py`.

    `text_weights` float32[N_BUCKETS, N_CLASSES], `text_bias` float32[N_CLASSES]; the vector model is one hidden layer:
    `hidden_weights` float32[d, h], `hidden_bias` float32[h], `out_weights` float32[h, N_CLASSES], `out_bias`
    float32[N_CLASSES]. `text_share` is the text model's part where both judge. `message_weights` float32[4, F] and
    `message_bias` float32[4] weigh the features of a message, one row a case of CASES. The thresholds, in the same
    order, are log-odds at or above which there is danger.
    """

    text_weights: Float32
    text_bias: Float32
    hidden_weights: Float32
    hidden_bias: Float32
    out_weights: Float32
    out_bias: Float32
    message_weights: Float32
    message_bias: Float32
    text_share: float
    thresholds: tuple[float, float, float, float]
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

    `kinds` holds the likeliest kind and others that are nearly as likely, the most urgent first.
    """

    kinds: tuple[str, ...]
    margin: float

    @property
    def is_danger(self) -> bool:
        """Tell whether a notice is due."""
        return self.margin >= 0.0


def assess(text: str, encoder: QueryEncoder | None, model: DangerModel) -> Danger:
    """
    Judge one message.

    Args:
        encoder: None, or one of another model than the weights were fitted on: the text alone decides.
    """
    if not any(character.isalnum() for character in text):
        return Danger((KINDS[0],), -np.inf)
    text = readable(text)
    if is_cry(text):
        return Danger((_URGENCY[0],), np.inf)
    windows = split_windows(text)
    by_text = text_scores([fold(window) for window in windows], model)
    by_vector = None
    if encoder is not None and encoder.fingerprint == model.encoder_fingerprint:
        chosen = suspects(log_odds(by_text))
        by_vector = np.full_like(by_text, np.nan)
        by_vector[chosen] = vector_scores(encoder.encode_queries(vector_texts(windows, chosen)), model)
    case = case_of(len(windows), by_vector is not None)
    features = evidence(text, by_text, by_vector, model.text_share)
    odds = float(features @ model.message_weights[case] + model.message_bias[case])
    return Danger(_kinds(by_text, by_vector, model.text_share), odds - model.thresholds[case])


def case_of(n_windows: int, has_vectors: bool) -> int:
    """Return the place in CASES of a message."""
    return 2 * (n_windows > 1) + has_vectors


def evidence(text: str, by_text: Float32, by_vector: Float32 | None, share: float) -> Float32:
    """Return the features of a message, given the log-probabilities of its windows, the whole message first."""
    last = last_sentence(text)
    vector = None
    if by_vector is not None:
        known = ~np.isnan(by_vector[:, 0])
        vector = np.full(len(by_vector), np.nan, np.float32)
        vector[known] = log_odds(by_vector[known])
    return message_features(log_odds(by_text), vector, share, fold(text), fold(last))


def suspects(odds: Float32) -> list[int]:
    """Return which windows are worth a vector: the whole message, then those that the text model suspects most."""
    rest = 1 + np.argsort(-odds[1:], kind="stable")[:_MAX_ENCODED]
    return [0, *rest.tolist()]


def vector_texts(windows: Sequence[str], chosen: Sequence[int]) -> list[str]:
    """Return the texts to encode for the chosen windows; of a very long whole message its two ends."""
    words = windows[0].split()
    half = _VECTOR_WORDS // 2
    is_long = len(words) > _VECTOR_WORDS
    whole = " ".join([*words[:half], *words[-half:]]) if is_long else windows[0]
    return [windows[i] if i else whole for i in chosen]


def _kinds(by_text: Float32, by_vector: Float32 | None, share: float) -> tuple[str, ...]:
    """Return the likeliest kinds that any dangerous window shows, the most urgent first."""
    both = by_text if by_vector is None else share * by_text + (1.0 - share) * by_vector
    both = both[~np.isnan(both[:, 0])]
    odds = log_odds(both)
    by_kind = both[(odds >= _SURE_WINDOW) | (odds == odds.max()), :-1].max(axis=0)
    likeliest = np.argsort(-by_kind, kind="stable")[:_MOST_KINDS]
    named = {KINDS[column] for column in likeliest if by_kind[column] > by_kind.max() - _SECOND_KIND}
    return tuple(sorted(named, key=_URGENCY.index))


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
        "message_features": list(FEATURES),
        "encoder_fingerprint": model.encoder_fingerprint,
        "data_sha256": model.data_sha256,
        "fingerprint": model.fingerprint,
    }
    arrays = {name: getattr(model, name).astype(np.float16) for name in _ARRAYS}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, description=np.frombuffer(json.dumps(description).encode(), np.uint8), **arrays)


_ARRAYS = (
    "text_weights",
    "text_bias",
    "hidden_weights",
    "hidden_bias",
    "out_weights",
    "out_bias",
    "message_weights",
    "message_bias",
)
_NUMBERS = ("text_share", "thresholds")


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
        described = {name: description[name] for name in named} | {"thresholds": tuple(description["thresholds"])}
        model = DangerModel(**arrays, **described)
        is_whole = model.fingerprint == description["fingerprint"]
        expected = [FEATURES_VERSION, list(KINDS), list(FEATURES)]
        is_known = [description[name] for name in ("features_version", "kinds", "message_features")] == expected
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise NoticesInvalid(
            "the weights for detecting danger can't be read", where=path.name, fix=_REINSTALL
        ) from error
    if not is_whole or not is_known:
        raise NoticesInvalid("the weights for detecting danger are not this version's", where=path.name, fix=_REINSTALL)
    return model
