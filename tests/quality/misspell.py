"""
How well misspelt words of labelled questions are repaired: made-up slips in every word, counted. Changes nothing.

    python tests/quality/misspell.py INDEX_DIR QUESTIONS.jsonl [--edits 2] [--show WRONG]

A slip leaves a letter out, doubles or adds one, takes another (mostly one beside it on the keyboard or one that sounds
alike) or swaps two neighbours; a result that is itself a known word is left out, as nobody could tell. `right` is a
repair to a word with the same index term, `none` leaves the word as it is, `wrong` is another word: it is worse than
none. Questions that are themselves misspelt (kinds typo and slang) and those without an answer are left out.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from index.lexical import STOP_WORDS, analyze
from index.snapshot import open_snapshot
from index.store import IndexDir
from service.lexicon import fold, iter_words, read_lexicon
from service.questions import read_questions
from service.spelling import Speller

LEXICON = Path(__file__).parents[2] / "corpus" / "lexicon.toml"
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
ALIKE = {"a": "eo", "e": "ai", "i": "ey", "o": "au", "u": "o", "y": "i", "c": "ks", "k": "c", "s": "cz", "z": "s"}
SEED = 0
N_SLIPS = 12  # of each word
LEFT_OUT = ("typo", "slang")
SHORTEST = 5


def beside(letter: str) -> str:
    """Return the letters beside one on the keyboard and the ones that sound like it."""
    row = next(row for row in KEYBOARD if letter in row)
    i = row.index(letter)
    return row[max(0, i - 1) : i] + row[i + 1 : i + 2] + ALIKE.get(letter, "")


def slip(word: str, source: random.Random) -> str:
    """Return a word with one slip."""
    i = source.randrange(len(word))
    match source.randrange(5):
        case 0:
            return word[:i] + word[i + 1 :]
        case 1:
            return word[:i] + word[i] + word[i:]
        case 2:
            return word[:i] + source.choice(beside(word[i])) + word[i + 1 :]
        case 3:
            return word[:i] + word[i + 1 : i + 2] + word[i] + word[i + 2 :]
        case _:
            return word[:i] + source.choice("abcdefghijklmnopqrstuvwxyz") + word[i:]


def slips(word: str, n_edits: int, source: random.Random) -> list[str]:
    """Return different misspellings of a word, with the first letter as it is: few slip there."""
    found = set[str]()
    for _ in range(N_SLIPS):
        slipped = word[1:]
        for _ in range(n_edits):
            slipped = slip(slipped, source)
        found.add(word[0] + slipped)
    return sorted(found - {word})


def words_of_questions(path: Path) -> list[str]:
    """Return the different words of the answerable, well-spelt questions, lower case."""
    questions = [q for q in read_questions(path).questions if (q.gold or q.also) and q.kind not in LEFT_OUT]
    words = {fold(word) for question in questions for word, _, _ in iter_words(question.text)}
    return sorted(w for w in words if len(w) >= SHORTEST and w.isascii() and w.isalpha() and w not in STOP_WORDS)


def main(arguments: list[str] | None = None) -> int:
    """Print the counts; returns the exit code."""
    parser = argparse.ArgumentParser(description="How well misspelt words are repaired.")
    parser.add_argument("index_dir", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--edits", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="so many of the words that became others")
    options = parser.parse_args(arguments)
    lexicon = read_lexicon(LEXICON)
    source = random.Random(SEED)
    counts: dict[str, Counter[str]] = {"name": Counter(), "word": Counter()}
    wrong: list[str] = []
    with open_snapshot(IndexDir(options.index_dir)) as snapshot:
        speller = Speller(snapshot.lexical.vocabulary, lexicon.concepts, lexicon.medicines)
        for word in filter(speller.is_known, words_of_questions(options.questions)):
            for typed in slips(word, options.edits, source):
                if speller.is_known(typed):
                    continue
                repair = speller.repair(typed)
                is_right = repair is not None and analyze(repair) == analyze(word)
                outcome = "right" if is_right else "none" if repair is None else "wrong"
                counts["name" if word in lexicon.medicines else "word"][outcome] += 1
                if repair is not None and not is_right:
                    wrong.append(f"{word}: {typed} -> {repair}")
    for kind, found in counts.items():
        total = max(found.total(), 1)
        shares = "  ".join(f"{outcome} {found[outcome] / total:.3f}" for outcome in ("right", "none", "wrong"))
        sys.stdout.write(f"{kind}: {found.total()} slips  {shares}\n")
    sys.stdout.writelines(line + "\n" for line in random.Random(SEED).sample(wrong, min(options.show, len(wrong))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
