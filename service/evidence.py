"""Which sentences of a passage carry the answer, and the passage cut along them. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from service.answer import Segment

# A best sentence that opens with one of these names its subject in the sentence before.
_LEANS_BACK = re.compile(
    r"\W*(?:it|its|this|these|those|they|them|their|he|she|his|her|such|both|instead|otherwise|then)\b", re.IGNORECASE
)
# A sentence that opens like this limits the one before; quoting one without the other would mislead.
_LIMITS = re.compile(
    r"\W*(?:however|but|although|though|yet|nevertheless|nonetheless|still|except|unless|even so|in contrast|"
    r"on the other hand|no stud(?:y|ies)|there (?:is|are) no (?:evidence|stud))",
    re.IGNORECASE,
)


def evidence_span(text: str, start: int, sentences: Sequence[tuple[int, int]], best: int) -> tuple[int, int]:
    """
    Return the stretch of a passage that carries the answer, in offsets of the document.

    Args:
        text: of the passage; `start`: its offset in the document.
        sentences: of the passage, in offsets of the document.
        best: index of the sentence nearest to the question.

    Returns:
        The best sentence, with the one before where it leans on that ("It blocks ..."), and with the one after where
        that limits it ("However, ..."); a sentence that announces a list, with the list.
    """
    first = last = best
    while first > 0 and _LEANS_BACK.match(_cut(text, start, sentences[first])):
        first -= 1
    if _cut(text, start, sentences[last]).endswith(":"):
        last = _list_end(text, start, sentences, last)
    while last + 1 < len(sentences) and _LIMITS.match(_cut(text, start, sentences[last + 1])):
        last += 1
    return sentences[first][0], sentences[last][1]


def _list_end(text: str, start: int, sentences: Sequence[tuple[int, int]], announces: int) -> int:
    """Return the last item of the list that a sentence announces: each on a line of its own, not yet at a full stop."""
    last = announces
    while last + 1 < len(sentences) and "\n" in text[sentences[last][1] - start : sentences[last + 1][0] - start]:
        last += 1
        if _cut(text, start, sentences[last]).endswith("."):
            break
    return last


def _cut(text: str, start: int, span: tuple[int, int]) -> str:
    return text[span[0] - start : span[1] - start]


def segments(text: str, start: int, evidence: Sequence[tuple[int, int]]) -> tuple[Segment, ...]:
    """Return the passage cut at the edges of its evidence; joined, the segments are the text."""
    cuts: list[Segment] = []
    position = 0
    for low, high in evidence:
        cuts.append(Segment(text[position : low - start], evidence=False))
        cuts.append(Segment(text[low - start : high - start], evidence=True))
        position = high - start
    cuts.append(Segment(text[position:], evidence=False))
    return tuple(segment for segment in cuts if segment.text)
