"""
What every side is given: documents, their passages and ready vectors, at any size. Measures nothing.

The base is a Citewell index of real documents. Up to its size, documents are drawn at random. Beyond it, copies are
added: the same documents with a fifth of the longer words of every passage exchanged for others of the same length (one
in 500 of these is a word that never occurred), and the same vectors with noise of 0.6 of their length, so that rows
cluster as real ones do. Everything follows from the seed, so that a side in another process makes the same again.
"""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from index.catalogue import StoredDocument
from index.model import Float32
from index.snapshot import Snapshot
from ingest.model import Document, Passage, text_sha256
from ingest.split import passage_id

SEED = 0
NOISE = 0.6
EXCHANGED = 0.2
NEW_WORDS = 0.002
# A size this near to the base's is the base.
_NEAR = 0.02
_WORD = re.compile(r"\b[a-z]{4,}\b")
_MOST_POOLED = 300_000  # words that others are drawn from

TEXTS = "texts.jsonl"
VECTORS = "vectors.npy"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which documents a size holds, and how many copies of each; copy 0 is the document itself."""

    documents: tuple[tuple[StoredDocument, int], ...]
    n_passages: int
    kind: str  # "sample", "whole" or "perturbed"

    @property
    def n_documents(self) -> int:
        """Return how many documents there are, copies included."""
        return sum(n for _, n in self.documents)


def is_whole(size: int, n: int) -> bool:
    """Tell whether a size is near enough to the base's n passages to be all of it."""
    return size == 0 or abs(size - n) <= _NEAR * n


def make_plan(documents: Sequence[StoredDocument], size: int) -> Plan:
    """
    Choose documents until they hold `size` passages; 0 is the whole base.

    A sample may pass its size by the passages of one document, as documents are never cut.
    """
    held = [document for document in documents if document.n_passages]
    n = sum(document.n_passages for document in held)
    if is_whole(size, n):
        return Plan(tuple((document, 1) for document in held), n, "whole")
    if size < n:
        chosen, total = [], 0
        for document in random.Random(SEED).sample(held, len(held)):
            if total >= size:
                break
            chosen.append((document, 1))
            total += document.n_passages
        return Plan(tuple(sorted(chosen, key=lambda pair: pair[0].number)), total, "sample")
    rounds, rest = divmod(size, n)
    copied, total = [], 0
    for document in held:
        more = rest > 0
        rest -= document.n_passages if more else 0
        copied.append((document, rounds + more))
        total += document.n_passages * (rounds + more)
    return Plan(tuple(copied), total, "perturbed")


class WordPool:
    """Words of the base by length, as often as they occur."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._by_length: dict[int, list[str]] = {}
        n = 0
        for text in texts:
            for word in _WORD.findall(text):
                self._by_length.setdefault(len(word), []).append(word)
                n += 1
            if n >= _MOST_POOLED:
                break

    def another(self, word: str, chance: random.Random) -> str:
        """Return a word of the same length."""
        if chance.random() < NEW_WORDS:
            return "".join(chance.choices(string.ascii_lowercase, k=len(word)))
        pool = self._by_length.get(len(word))
        return chance.choice(pool) if pool else word


def exchange_words(text: str, spans: Sequence[tuple[int, int]], pool: WordPool, chance: random.Random) -> str:
    """Return a text of the same length with some words inside the spans exchanged; nothing else moves or changes."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        for match in _WORD.finditer(text, start, end):
            if chance.random() < EXCHANGED:
                parts += (text[done : match.start()], pool.another(match.group(), chance))
                done = match.end()
    return "".join((*parts, text[done:]))


def copy_of(
    document: Document, passages: Sequence[Passage], number: int, pool: WordPool
) -> tuple[Document, list[Passage]]:
    """Return a perturbed copy of a document and its passages at the same offsets."""
    name = f"copy-{number}/{document.id}"
    chance = random.Random(f"{SEED}/{name}")
    text = exchange_words(document.text, [(p.start, p.end) for p in passages], pool, chance)
    copied = replace(
        document, source=replace(document.source, path=name), text=text, text_sha256=text_sha256(text), repairs=()
    )
    found, seen = [], dict[str, int]()
    for passage in passages:
        words = text[passage.start : passage.end]
        seen[words] = seen.get(words, 0) + 1
        identity = passage_id(name, words, seen[words])
        found.append(replace(passage, id=identity, document_id=name, text=words))
    return copied, found


def iter_documents(snapshot: Snapshot, plan: Plan) -> Iterator[tuple[Document, list[Passage]]]:
    """Yield every document of a plan with its passages."""
    pool = WordPool(iter(()))
    if any(n > 1 for _, n in plan.documents):
        pool = WordPool(snapshot.catalogue.text(stored.id) for stored, _ in plan.documents)
    for stored, n in plan.documents:
        document = snapshot.catalogue.full_document(stored.id)
        passages = [p.passage for p in snapshot.catalogue.passages_of(stored.id)]
        yield document, passages
        for number in range(1, n):
            yield copy_of(document, passages, number, pool)


def iter_vectors(snapshot: Snapshot, plan: Plan) -> Iterator[Float32]:
    """Yield the passage vectors of every document of a plan, `float32[n_passages, d]`, in the same order."""
    for stored, n in plan.documents:
        rows = snapshot.dense.vectors(_ordinals(stored))
        yield rows
        for number in range(1, n):
            yield noisy(rows, stored.number, number)


def iter_evidence(snapshot: Snapshot, plan: Plan) -> Iterator[Float32]:
    """Yield the evidence vectors of every passage of a plan, `float32[1 + n_sentences, d]`, in the same order."""
    for stored, n in plan.documents:
        matrices = snapshot.evidence.vectors(_ordinals(stored))
        yield from matrices
        ends = np.cumsum([len(matrix) for matrix in matrices])[:-1]
        for number in range(1, n):
            yield from np.split(noisy(np.concatenate(matrices), stored.number, -number), ends)


def noisy(rows: Float32, document: int, number: int) -> Float32:
    """Return unit rows near the given ones, rounded to float16; the same for the same document and number."""
    chance = np.random.default_rng([SEED, document, abs(number), int(number < 0)])
    moved = rows + NOISE * chance.standard_normal(rows.shape, dtype=np.float32) / np.sqrt(np.float32(rows.shape[1]))
    unit = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    return np.ascontiguousarray(unit.astype(np.float16).astype(np.float32))


def _ordinals(stored: StoredDocument) -> Any:
    return np.arange(stored.first_ordinal, stored.first_ordinal + stored.n_passages, dtype=np.int64)


def write_texts(folder: Path, snapshot: Snapshot, plan: Plan, *, headed: bool = False) -> None:
    """
    Write the passages as the other sides take them, one JSON object a line.

    Args:
        headed: with title and headings before the text, as Citewell embeds it; else the text alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TEXTS).open("w", encoding="utf-8") as file:
        for document, passages in iter_documents(snapshot, plan):
            for p in passages:
                text = f"{p.embedding_prefix} {p.text}".strip() if headed else p.text
                row = {"document": document.id, "start": p.start, "end": p.end, "text": text}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_documents(path: Path, snapshot: Snapshot, plan: Plan) -> None:
    """Write whole documents for a side that splits by itself, one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for document, _ in iter_documents(snapshot, plan):
            file.write(json.dumps({"document": document.id, "text": document.text}, ensure_ascii=False) + "\n")


def write_vectors(folder: Path, n: int, batches: Iterator[Float32]) -> None:
    """Write `float16[n, d]`, d that of the first batch."""
    first = next(batches)
    rows = np.lib.format.open_memmap(folder / VECTORS, mode="w+", dtype=np.float16, shape=(n, first.shape[1]))
    done = 0
    for batch in chain([first], batches):
        rows[done : done + len(batch)] = batch
        done += len(batch)
    if done != n:
        raise ValueError(f"{done} vectors for {n} texts")
    rows.flush()


def read_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what `write_texts` wrote."""
    with (folder / TEXTS).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_texts(folder: Path) -> list[str]:
    """Return the texts alone."""
    return [row["text"] for row in read_rows(folder)]


def read_vectors(folder: Path) -> Any:
    """Return `float16[n, d]`, mapped."""
    return np.load(folder / VECTORS, mmap_mode="r")
