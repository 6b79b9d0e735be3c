"""
How well successors of edited passages are found: `python tests/bench/bench_succession.py var/index [documents]`.

Takes documents of the live snapshot, edits them in ways whose truth is known, and prints for each kind of edit how
many passages got the right successor, a wrong one, none, or were called gone; then the same for other thresholds.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from index import succession
from index.catalogue_words import CatalogueWords, WordedPassage
from index.snapshot import CATALOGUE_FILE
from index.store import IndexDir

KINDS = ("word", "three words", "sentence added", "sentence cut", "rewritten", "dropped", "swapped for another's")
RIGHT, WRONG, NONE, GONE = "right", "wrong", "none", "gone"


def reworded(passage: WordedPassage, sentences: list[str], number: int) -> WordedPassage:
    """Return a passage with other sentences; `number` makes its id."""
    text = " ".join(sentences)
    digest = blake2b(text.encode(), digest_size=16).digest()
    return replace(passage, id=f"{number:020x}", digest=digest, text=text, sentences=tuple(sentences))


def edited(passage: WordedPassage, kind: str, others: list[WordedPassage], chance: random.Random) -> list[str] | None:
    """Return a passage's sentences after an edit, None where it is dropped."""
    sentences = list(passage.sentences)
    at = chance.randrange(len(sentences))
    if kind in ("word", "three words"):
        for _ in range(1 if kind == "word" else 3):
            at = chance.randrange(len(sentences))
            words = sentences[at].split()
            words[chance.randrange(len(words))] = chance.choice(chance.choice(others).text.split())
            sentences[at] = " ".join(words)
    elif kind == "sentence added":
        sentences.insert(at, chance.choice(chance.choice(others).sentences))
    elif kind == "sentence cut":
        del sentences[at]
    else:
        return None if kind == "dropped" else list(chance.choice(others).sentences)
    return sentences


def try_document(
    old: list[WordedPassage], others: list[WordedPassage], chance: random.Random, common: frozenset[str]
) -> Counter[tuple[str, str]]:
    """Edit one to three passages of a document and count how each was followed."""
    new, truth = list(old), dict[str, tuple[str, str | None]]()
    for at in chance.sample(range(len(old)), k=min(len(old), chance.randint(1, 3))):
        kind = chance.choice(KINDS)
        sentences = edited(old[at], kind, others, chance)
        if sentences == []:
            continue
        made = None if sentences is None else reworded(old[at], sentences, len(truth) + 1)
        # What replaces a passage by another's words is nobody's successor.
        successor = made.id if made and kind not in ("rewritten", "swapped for another's") else None
        truth[old[at].id] = (kind, successor)
        new[at] = made or replace(old[at], id="")
    new = [passage for passage in new if passage.id]
    lost = {passage_id for passage_id in truth if passage_id not in {p.id for p in new}}
    lost -= {p.id for p in old if p.digest in {q.digest for q in new}}
    text = "\n\n".join(passage.text for passage in new)
    fates = succession.trace_passages(old, new, text, lost, {p.digest for p in old}, common)
    found: Counter[tuple[str, str]] = Counter()
    for passage_id in lost:
        kind, successor = truth[passage_id]
        fate = fates[passage_id]
        if fate.successor is None:
            found[kind, GONE if fate.is_gone else NONE] += 1
        else:
            found[kind, RIGHT if fate.successor == successor else WRONG] += 1
    return found


def measure(documents: list[list[WordedPassage]], common: frozenset[str]) -> Counter[tuple[str, str]]:
    """Try every document with the same seed."""
    chance, total = random.Random(1), Counter[tuple[str, str]]()
    for number, old in enumerate(documents):
        total += try_document(old, documents[number - 1], chance, common)
    return total


def _say(*values: object) -> None:
    sys.stdout.write(" ".join(str(value) for value in values) + "\n")


def main() -> None:
    """Print the tables."""
    index_dir = IndexDir(Path(sys.argv[1]))
    words = CatalogueWords(index_dir.snapshot_path(str(index_dir.current_id())) / CATALOGUE_FILE)
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    numbers = random.Random(1).sample(range(len(words.documents)), k=min(wanted, len(words.documents)))
    documents = [passages for number in numbers if (passages := words.passages_of(number))]
    shipped = (succession._MAJORITY, succession._ALL_ALIKE, succession._SAME_SENTENCE)
    found = measure(documents, words.common_sentences)
    for kind in KINDS:
        _say(f"{kind:24}", {name: found[kind, name] for name in (RIGHT, WRONG, NONE, GONE)})
    for majority, alike, same in (
        shipped,
        (0.5, 0.8, 0.6),
        (0.7, 0.8, 0.6),
        (0.6, 0.7, 0.6),
        (0.6, 0.9, 0.6),
        (0.6, 0.8, 0.4),
    ):
        succession._MAJORITY, succession._ALL_ALIKE, succession._SAME_SENTENCE = majority, alike, same
        found = measure(documents, words.common_sentences)
        totals = {name: sum(n for (_, of), n in found.items() if of == name) for name in (RIGHT, WRONG, NONE, GONE)}
        _say(f"majority {majority}, alike {alike}, same sentence {same}:", totals)


if __name__ == "__main__":
    main()
