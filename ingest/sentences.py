"""Sentence spans inside one block. The only module that knows the segmenter (nupunkt); pure."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def _segmenter() -> Any:
    # Loaded once, when first needed: the model file takes a moment and the command line must start fast.
    from nupunkt import sent_spans

    return sent_spans


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """
    Return the sentences of one block as `[start, end)`, without white space at their edges.

    Together they hold every character that is not white space. A line break inside a block ends no sentence.
    """
    spans: list[tuple[int, int]] = []
    for start, end in _segmenter()(text):
        piece = text[start:end]
        lead = len(piece) - len(piece.lstrip())
        trail = len(piece) - len(piece.rstrip())
        if lead == len(piece):
            continue
        if spans and _continues_sentence(text, spans[-1][1], start + lead):
            spans[-1] = (spans[-1][0], end - trail)
        else:
            spans.append((start + lead, end - trail))
    return spans


def _continues_sentence(text: str, end: int, start: int) -> bool:
    """Tell whether a full stop was an abbreviation's ("5 mg. of it"): a small letter follows on the same line."""
    return text[end - 1] == "." and text[start].islower() and "\n" not in text[end:start]
