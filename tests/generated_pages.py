"""Web pages of many kinds, made from a seed: repeated sentences, punctuation, marks inside sentences, Unicode."""

from __future__ import annotations

import html
import random
from dataclasses import dataclass

_STOCK = """
withdrawal clinic nurse hours morning tablets dose support group phone question answer relapse plan partner sleep water
doctor letter appointment week café naïve señal боль время 痛み رعاية long-acting half-life follow-up e.g. p.m. 2.5
10–20 50% A&E B&B (usually) “quietly” can’t it's and/or C₂H₅OH №5 x<y 😀
"""
_WORDS = _STOCK.split()
_MARKS = (
    "{}",
    "{}",
    "{}",
    "{}",
    "<b>{}</b>",
    "<em>{}</em>",
    '<a href="/x">{}</a>',
    "<span>{}</span>",
    "<code>{}</code>",
)
_ENDS = (".", ".", ".", "?", "!", ".”", " (see below).", "…")
_BREAKS = (" ", " ", " ", "\n  ", "&nbsp;", " <!-- a remark -->", "<wbr> ")


@dataclass(frozen=True, slots=True)
class GeneratedPage:
    """`sentences[i]` is the text, as a browser shows it, of the element with `data-n="i"`."""

    html: str
    sentences: tuple[str, ...]


def generate_page(seed: int) -> GeneratedPage:
    """Return a page of some 40 sentences, a third of which occur more than once."""
    rng = random.Random(seed)
    stock = [_sentence(rng) for _ in range(rng.randint(6, 14))]
    shown: list[str] = []

    def said() -> str:
        plain, marked = rng.choice(stock) if rng.random() < 0.35 else _sentence(rng)
        shown.append(plain)
        return f'<span data-n="{len(shown) - 1}">{marked}</span>'

    parts = ["<h1>A guide for everybody</h1>"]
    for number in range(rng.randint(4, 7)):
        anchor = f' id="part-{number}"' if rng.random() < 0.5 else ""
        parts.append(f"<h2{anchor}>Part {number}: {_title(rng)}</h2>")
        for _ in range(rng.randint(1, 3)):
            parts.append(_block(rng, said))
    body = "\n".join(parts)
    page = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A guide for everybody</title>
<style>body {{ width: 40em; line-height: 3 }} h2, p, li, td {{ margin: 0 0 18em }} ::target-text {{ background: #f0f }}
</style></head><body><nav><a href="/">Home</a> <a href="/all">All guides</a></nav><main>{body}</main></body></html>"""
    return GeneratedPage(page, tuple(shown))


def _sentence(rng: random.Random) -> tuple[str, str]:
    words = [rng.choice(_WORDS) for _ in range(rng.randint(4, 22))]
    words[0] = rng.choice(("The", "Most", "A", "Some", "No", "Every")) + " " + words[0]
    end = rng.choice(_ENDS)
    plain = " ".join(words) + end
    marked = ""
    for i, word in enumerate(words):
        last = i == len(words) - 1
        marked += rng.choice(_MARKS).format(html.escape(word + (end if last else "")))
        marked += "" if last else rng.choice(_BREAKS)
    return plain, marked


def _title(rng: random.Random) -> str:
    return html.escape(" ".join(rng.choice(_WORDS) for _ in range(rng.randint(2, 5))))


def _block(rng: random.Random, said: object) -> str:
    assert callable(said)
    kind = rng.random()
    if kind < 0.65:
        return f"<p>{' '.join(said() for _ in range(rng.randint(1, 6)))}</p>"
    if kind < 0.9:
        lead = said()
        items = "".join(f"<li>{said()}</li>" for _ in range(rng.randint(2, 5)))
        return f"<p>{lead}</p><ul>{items}</ul>"
    return f"<blockquote><p>{said()} {said()}</p></blockquote>"
