"""
Whether a passage answers a question: a small cross-encoder at answer time, by onnxruntime. Never imports torch.

In goes `[CLS] question [SEP] title. headings. sentences [SEP]`, out comes a log-odds. One file holds everything: the
int8 graph and, in its metadata, the tokenizer and the sizes. `tests/quality/JUDGE.md` says how it was made and what
it can tell.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from index.encoder import open_session
from index.errors import JudgeUnusable

JUDGE_VERSION = 1
SHIPPED = Path(__file__).parent / "data" / "judge.onnx"
# Beside the graph: its SHA-256, what it was made of, by what command and under what licence.
CARD_SUFFIX = ".json"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
METADATA = "citewell_judge"
# A log-odds beyond is as sure as one can be; a single outlier must not outweigh everything else.
MOST = 8.0
_FIX = "install Citewell again, or set judge to off"
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class PairShape:
    """
    How many word pieces of a pair are read.

    A question keeps its beginning and its end; of a passage the sentences around the likeliest one are read. `total`
    counts the three special tokens.
    """

    total: int = 96
    question: int = 40
    prefix: int = 20


@dataclass(frozen=True, slots=True)
class PairText:
    """
    A passage as it is judged: title and headings as sentences, its own sentences, and which of them is the likeliest.

    Raises:
        ValueError: there is no such sentence.
    """

    prefix: str = field(repr=False)
    sentences: tuple[str, ...] = field(repr=False)
    best: int

    def __post_init__(self) -> None:
        if not 0 <= self.best < len(self.sentences):
            raise ValueError(f"there is no sentence {self.best} among {len(self.sentences)}")


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """Token ids of one pair, and how many of them are the question's, special tokens around it included."""

    ids: tuple[int, ...] = field(repr=False)
    n_question: int

    def arrays(self) -> dict[str, Any]:
        """Return the graph's inputs, `int64[1, n]` each."""
        types = np.zeros((1, len(self.ids)), np.int64)
        types[0, self.n_question :] = 1
        return {
            "input_ids": np.asarray([self.ids], np.int64),
            "attention_mask": np.ones((1, len(self.ids)), np.int64),
            "token_type_ids": types,
        }


class PairEncoder:
    """Turns question and passage into token ids; `tokenizer` neither cuts nor pads."""

    def __init__(self, tokenizer: Any, shape: PairShape) -> None:
        self._tokenizer = tokenizer
        self._first, self._last = tokenizer.encode("").ids
        self._shape = shape

    def encode(self, question: str, text: PairText) -> EncodedPair:
        """Return the ids of a pair, at most `total`."""
        asked = self._ids(question)
        if len(asked) > self._shape.question:
            half = self._shape.question // 2
            asked = asked[:half] + asked[-half:]
        prefix = self._ids(text.prefix)[: self._shape.prefix]
        said = [self._ids(sentence) for sentence in text.sentences]
        room = self._shape.total - 3 - len(asked) - len(prefix)
        first, last = window([len(ids) for ids in said], text.best, room)
        read = [i for ids in said[first:last] for i in ids][:room]
        return EncodedPair((self._first, *asked, self._last, *prefix, *read, self._last), len(asked) + 2)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)


def window(lengths: Sequence[int], best: int, room: int) -> tuple[int, int]:
    """
    Return which sentences are read, [first, last): the best one, then in turn the next and the one before that fit.

    The best one is read even where it alone passes the room.
    """
    first, last = best, best + 1
    used = lengths[best]
    grew = True
    while grew:
        grew = False
        if last < len(lengths) and used + lengths[last] <= room:
            used, last, grew = used + lengths[last], last + 1, True
        if first > 0 and used + lengths[first - 1] <= room:
            used, first, grew = used + lengths[first - 1], first - 1, True
    return first, last


class Judge:
    """
    A loaded judge. Safe to call from many threads; a pair's score depends on nothing but the pair.

    Args:
        n_threads: passages of one question that are read at the same time. A core that is idle takes one; where all are
            busy with other questions, each question's own thread reads its passages one after the other.
    """

    def __init__(self, session: Any, encoder: PairEncoder, sha256: str, n_threads: int = 1) -> None:
        self._session, self._encoder = session, encoder
        self.sha256 = sha256
        self._n_helpers = n_threads - 1
        self._helpers = ThreadPoolExecutor(self._n_helpers, "judge") if self._n_helpers else None

    def log_odds(self, question: str, texts: Sequence[PairText], budget_s: float = float("inf")) -> tuple[float, ...]:
        """
        Return for each passage the log-odds that it answers, -`MOST` to `MOST`.

        Args:
            budget_s: no passage is begun after so many seconds.

        Returns:
            One number a passage in order; fewer where the time was over.

        Raises:
            JudgeUnusable: it fails, or gives no number.
        """
        end = time.monotonic() + budget_s
        # The pairs are not padded into one batch: activations are quantised by batch, and a passage's score would
        # depend on the passages beside it.
        left = deque(enumerate(texts))
        found: dict[int, float] = {}

        def read() -> None:
            while left and time.monotonic() < end:
                try:
                    place, text = left.popleft()
                except IndexError:  # another thread was faster
                    return
                found[place] = self._one(self._encoder.encode(question, text))

        self._together(read, min(self._n_helpers, len(texts) - 1))
        return tuple(found[place] for place in takewhile(found.__contains__, range(len(texts))))

    def _together(self, read: Callable[[], None], n_helpers: int) -> None:
        """Read in this thread and in helpers that are free; return, or raise what one raised, when all have ended."""
        helping = [self._helpers.submit(read) for _ in range(n_helpers)] if self._helpers else []
        try:
            read()
        finally:
            # A helper that is still busy with another question is not waited for.
            running = [future for future in helping if not future.cancel()]
            wait(running)
        for future in running:
            future.result()

    def _one(self, pair: EncodedPair) -> float:
        try:
            value = float(self._session.run(None, pair.arrays())[0][0])
        except Exception as error:  # onnxruntime's own exceptions share no base below Exception
            raise JudgeUnusable(f"it failed ({type(error).__name__})", where="judge", fix=_FIX) from error
        if not math.isfinite(value):
            raise JudgeUnusable("it gives no number", where="judge", fix=_FIX)
        return min(MOST, max(-MOST, value))


def open_judge(path: Path = SHIPPED, n_threads: int = 1) -> Judge:
    """
    Open a judge, its bytes held against the SHA-256 in its card.

    Args:
        n_threads: see `Judge`.

    Raises:
        JudgeUnusable: missing, truncated, changed, of another version or shape; says what to do.
    """
    data, sha256 = _read_checked(path)
    session = open_session(data, path, JudgeUnusable, _FIX)
    described = session.get_modelmeta().custom_metadata_map.get(METADATA, "")
    tokenizer, shape = _described(described, path)
    if sorted(i.name for i in session.get_inputs()) != sorted(INPUTS) or len(session.get_outputs()) != 1:
        raise JudgeUnusable("its inputs and outputs are not a judge's", where=str(path), fix=_FIX)
    judge = Judge(session, PairEncoder(tokenizer, shape), sha256, n_threads)
    try:
        judge.log_odds("Does it open?", [PairText("", ("It opens.",), 0)])
    except JudgeUnusable as error:
        raise JudgeUnusable(f"it can't judge a passage: {error.what}", where=str(path), fix=_FIX) from error
    return judge


def _read_checked(path: Path) -> tuple[bytes, str]:
    card = path.with_suffix(CARD_SUFFIX)
    try:
        described = json.loads(card.read_text("utf-8"))
        expected = described["sha256"] if isinstance(described, dict) else None
    except FileNotFoundError as error:
        raise JudgeUnusable("there is no card of the judge", where=str(card), fix=_FIX) from error
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise JudgeUnusable("the judge's card is not readable", where=str(card), fix=_FIX) from error
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise JudgeUnusable("it is larger than any judge", where=str(path), fix=_FIX)
        data = path.read_bytes()
    except OSError as error:
        raise JudgeUnusable(f"can't be read ({error.strerror})", where=str(path), fix=_FIX) from error
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise JudgeUnusable(f"SHA-256 is {found}, its card says {expected}", where=str(path), fix=_FIX)
    return data, found


def _described(metadata: str, path: Path) -> tuple[Any, PairShape]:
    from tokenizers import Tokenizer

    try:
        described = json.loads(metadata)
        version = described["version"]
        if version != JUDGE_VERSION:
            what = f"it is of version {str(version)[:20]}, this service reads {JUDGE_VERSION}"
            raise JudgeUnusable(what, where=str(path), fix=_FIX)
        shape = PairShape(**{name: int(value) for name, value in described["shape"].items()})
        tokenizer = Tokenizer.from_str(json.dumps(described["tokenizer"]))
        if len(tokenizer.encode("").ids) != 2:
            raise ValueError("two special tokens are needed")
    except JudgeUnusable:
        raise
    except Exception as error:  # tokenizers raises bare Exception for every failure
        raise JudgeUnusable("it does not describe itself as a judge", where=str(path), fix=_FIX) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer, shape
