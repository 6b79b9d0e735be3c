"""The sentence that leads in to a list, and contexts made of such. Pure text; knows no markup."""

from __future__ import annotations

import re

MAX_CONTEXT_CHARS = 300  # about 75 tokens: a context may not crowd out the passage it stands before

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”’')\]]*\s+")
_COLONS = (":", "\uff1a", ":-", ": -", ":\u2013", ":\u2014")
# Without a colon only wording can tell; these are the English ones. Other languages need their colon.
_OPEN_END = re.compile(
    r"\b(?:includ(?:e[sd]?|ing)|such as|following|as follows|below|these|are|to|if|when|can|may|should|might|must)$",
    re.IGNORECASE,
)
_POINTS_BELOW = re.compile(r"\b(?:the following|as follows|listed below|below)\b[^.!?]*[.]?$", re.IGNORECASE)


def lead_in(paragraph: str) -> str:
    """Return the last sentence of a paragraph if it introduces what follows, "" if it stands by itself."""
    text = " ".join(paragraph[-2_000:].split())
    if not text:
        return ""
    sentence = _SENTENCE_END.split(text)[-1]
    introduces = sentence.endswith(_COLONS) or _OPEN_END.search(sentence) or _POINTS_BELOW.search(sentence)
    return join_context(sentence) if introduces else ""


def join_context(*parts: str) -> str:
    """Return the parts joined by spaces, cut at a word from the left where they are too long."""
    text = " ".join(" ".join(part.split()) for part in parts if part)
    if len(text) <= MAX_CONTEXT_CHARS:
        return text
    cut = text[-MAX_CONTEXT_CHARS:]
    return cut[cut.find(" ") + 1 :]
