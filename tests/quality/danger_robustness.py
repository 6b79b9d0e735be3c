"""
Twenty ways in which a message reaches the service changed, and what each does to recall and to false alarms.

    python tests/quality/danger_robustness.py --index-dir var/index      print the table, the worst first

None of these changes but typos, slang, capitals and missing marks is trained on. The texts are the short phrases of
danger/test-*.jsonl, which are not blind (see test_danger.py).
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from danger_perturb import TEST, perturb

from index.encoder import open_encoder
from index.export import ensure_encoder
from index.model import QueryEncoder
from index.model_files import find_model
from service.danger import assess, read_model

FOLDER = Path(__file__).resolve().parent / "danger"
Change = Callable[[str, random.Random], str]
_LEET = str.maketrans("aeiost", "431057")
_CYRILLIC = str.maketrans("aeopcyx", "аеорсух")  # look-alikes on purpose
_PAST = {"is": "was", "are": "were", "won't": "wouldn't", "can't": "couldn't", "has": "had", "isn't": "wasn't",
         "am": "was", "I'm": "I was", "he's": "he was", "she's": "she was", "don't": "didn't"}  # fmt: skip


def _swap(words: dict[str, str]) -> Change:
    def change(text: str, _: random.Random) -> str:
        return " ".join(words.get(word, word) for word in text.split())

    return change


def _extra_words(text: str, dice: random.Random) -> str:
    words = text.split()
    for filler in ("like", "um", "you know", "basically"):
        words.insert(dice.randrange(len(words) + 1), filler)
    return " ".join(words)


def _some_letters(text: str, dice: random.Random, table: dict[int, int | str | None], rate: float) -> str:
    return "".join(c.translate(table) if dice.random() < rate else c for c in text)


def _split_lines(text: str, _: random.Random) -> str:
    words = text.split()
    return "\n".join(" ".join(words[first : first + 3]) for first in range(0, len(words), 3))


CHANGES: dict[str, Change] = {
    "as written": lambda text, _: text,
    "all capitals": lambda text, _: text.upper(),
    "no punctuation": lambda text, _: re.sub(r"[^\w\s]", "", text),
    "stretched letters": lambda text, _: re.sub(r"([aeiou])(?=\w*\b)", r"\1\1\1", text, count=2),
    "leetspeak": lambda text, _: text.translate(_LEET),
    "some leetspeak": lambda text, dice: _some_letters(text, dice, _LEET, 0.3),
    "no vowels": lambda text, _: re.sub(r"(?<=\w)[aeiou](?=\w)", "", text),
    "extra words": _extra_words,
    "words before": lambda text, _: f"hello there, sorry for asking, {text}",
    "words after": lambda text, _: f"{text} hope somebody reads this soon",
    "past tense": _swap(_PAST),
    "quoted": lambda text, _: f'she wrote "{text}"',
    "emoji": lambda text, _: f"😭😭 {text.replace(' ', ' 🙏 ', 1)} 😱",
    "zero-width": lambda text, _: "\u200b".join(text),
    "soft hyphens": lambda text, _: re.sub(r"(\w{3})(?=\w)", "\\1\u00ad", text),
    "homoglyphs": lambda text, _: text.translate(_CYRILLIC),
    "full-width": lambda text, _: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in text),
    "HTML": lambda text, _: f"<p><b>{html.escape(text)}</b></p>",
    "broken lines": _split_lines,
    "dots for spaces": lambda text, _: text.replace(" ", "."),
    "twice": lambda text, _: f"{text} {text}",
}
_FRAMED = ("typos", "bare_typos", "slang", "third_person", "framed", "rambling")


def read(side: str) -> list[tuple[str, str]]:
    """Return text and language of the short test phrases of "danger" or "safe"."""
    rows = (json.loads(line) for line in (FOLDER / f"test-{side}.jsonl").read_text("utf-8").splitlines())
    return [(row["text"], row["language"]) for row in rows]


def forms(side: str) -> dict[str, list[str]]:
    """Return the phrases of one side under every change, by its name."""
    rows = read(side)
    found = {name: [change(text, random.Random(text)) for text, _ in rows] for name, change in CHANGES.items()}
    for text, language in rows:
        changed = perturb(text, language, TEST, "test 1")
        for name in _FRAMED:
            if name in changed:
                found.setdefault(name.replace("_", " "), []).append(changed[name])
    return found


def alarm_shares(side: str, encoder: QueryEncoder | None) -> dict[str, tuple[float, int]]:
    """Return the share of phrases that bring a notice, and how many there are, by change."""
    model = read_model()
    return {
        name: (sum(assess(text, encoder, model).is_danger for text in texts) / len(texts), len(texts))
        for name, texts in forms(side).items()
    }


def main() -> None:
    """Print recall and false alarms by change, with and without an encoder."""
    parser = argparse.ArgumentParser(description="Measure the detection of danger on changed messages.")
    parser.add_argument("--index-dir", type=Path, default=Path("var/index"), help="where the encoder is or will be")
    options = parser.parse_args()
    files = find_model()
    ensure_encoder(options.index_dir, files)
    encoder = open_encoder(options.index_dir, files.fingerprint)
    found, alarms, by_text = (
        alarm_shares("danger", encoder),
        alarm_shares("safe", encoder),
        alarm_shares("danger", None),
    )
    sys.stdout.write("recall  recall by text alone  alarms  of  change\n")
    for name in sorted(found, key=lambda name: found[name]):
        numbers = f"{found[name][0]:.3f}   {by_text[name][0]:.3f}                 {alarms[name][0]:.3f}"
        sys.stdout.write(f"{numbers}   {found[name][1]}  {name}\n")


if __name__ == "__main__":
    main()
