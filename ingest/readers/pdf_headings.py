"""
Which drafts are headings, and of which level. Pure; judges type and length, reads no words.

Levels rank the document's own heading styles: larger first, bold before plain at one size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ingest.model import BlockKind
from ingest.readers.pdf_blocks import Draft
from ingest.readers.pdf_lines import Segment

_LARGER = 1.15  # times the body: 12.5 over 11 is still body type in some files
_MAX_CHARS = 200
_MAX_BOLD_CHARS = 120
_MAX_CAPITALS_CHARS = 80
_MAX_LEVEL = 6


def body_size_of(segments: Iterable[Segment]) -> float:
    """Return the type size in which most characters are set, 0.0 without any."""
    weights: Counter[float] = Counter()
    for segment in segments:
        weights[round(segment.size * 2) / 2] += len(segment.text)
    return max(weights, key=lambda size: (weights[size], size)) if weights else 0.0


def mark_headings(drafts: Sequence[Draft], body_size: float) -> None:
    """
    Turn drafts that look like headings into headings, in place.

    Args:
        drafts: of the whole document.
        body_size: as `body_size_of` gives it.
    """
    content = [d for d in drafts if not d.furniture and d.lines]
    n_chars = sum(len(d.raw) for d in content)
    n_bold = sum(len(d.raw) for d in content if d.is_bold)
    bold_counts = 2 * n_bold < n_chars  # where half the text is bold, bold says nothing
    headings = [d for d in content if _is_heading(d, body_size, bold_counts)]
    styles = sorted({_style(d) for d in headings}, reverse=True)
    for draft in headings:
        draft.kind = BlockKind.HEADING
        draft.level = min(styles.index(_style(draft)) + 1, _MAX_LEVEL)


def _style(draft: Draft) -> tuple[float, bool]:
    return round(draft.size * 2) / 2, draft.is_bold


def _is_heading(draft: Draft, body_size: float, bold_counts: bool) -> bool:
    text = " ".join(line.text for line in draft.lines)
    if draft.kind is BlockKind.CAPTION or not any(c.isalpha() for c in text) or len(text) > _MAX_CHARS:
        return False
    if draft.kind is BlockKind.LIST_ITEM and not text[0].isalnum():
        return False
    is_sentence = text.endswith((".", ";", ",")) and not text.endswith("...")
    ratio = draft.size / body_size if body_size else 1.0
    if ratio >= _LARGER and len(draft.lines) <= 4:
        return not is_sentence or ratio >= 1.5
    if is_sentence or ratio < 0.93 or len(draft.lines) > 3:
        return False
    if draft.is_bold and bold_counts and len(text) <= _MAX_BOLD_CHARS:
        return not text.endswith(":") or len(text) <= 60
    letters = [c for c in text if c.isalpha()]
    return (
        draft.kind is BlockKind.PARAGRAPH
        and len(letters) >= 4
        and all(c.isupper() for c in letters)
        and len(text) <= _MAX_CAPITALS_CHARS
        and len(draft.lines) == 1
    )
