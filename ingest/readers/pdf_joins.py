"""
Paragraphs that a column or page break cut in two. Pure; moves and joins drafts, changes no character.

Furniture between the halves goes into `Draft.removed`. Footnotes and the like of the first page come before the
joined paragraph, blocks of the second page after it, so that pages still ascend.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from ingest.model import BlockKind
from ingest.readers.pdf_blocks import Draft, ends_sentence

_RUNNING = ("running_header", "running_footer", "page_number")
_LOOK_AHEAD = 8  # content blocks: footnotes, a figure's caption, a sidebar
_HYPHENS = ("-", "\u2010", "\u00ad")


def join_broken(drafts: Iterable[Draft]) -> list[Draft]:
    """
    Return the drafts with broken paragraphs and list items made whole.

    Args:
        drafts: of the whole document, pages ascending.
    """
    out: list[Draft] = []
    rest = deque(drafts)
    while rest:
        draft = rest.popleft()
        out.append(draft)
        while (place := _continuation(draft, rest)) is not None:
            _absorb(draft, rest, place, out)
    return out


def _absorb(draft: Draft, rest: deque[Draft], place: int, out: list[Draft]) -> None:
    """Append `rest[place]` to the draft, which is the last of `out`, and put what stood between into order."""
    between = [rest.popleft() for _ in range(place)]
    found = rest.popleft()
    page = draft.lines[-1].page
    removed = [d for d in between if d.furniture in _RUNNING] if found.page > page else []
    others = [d for d in between if not any(d is r for r in removed)]
    before = [d for d in others if d.page <= page < found.page]
    after = [d for d in others if not any(d is b for b in before)]
    if removed:
        draft.removed[len(draft.lines)] = removed
    draft.removed.update({index + len(draft.lines): rows for index, rows in found.removed.items()})
    draft.lines.extend(found.lines)
    draft.closes_region, draft.x0, draft.x1 = found.closes_region, found.x0, found.x1
    out[-1:] = [*before, draft]
    rest.extendleft(reversed(after))


def _continuation(draft: Draft, rest: deque[Draft]) -> int | None:
    """Return the place in `rest` of the draft's second half."""
    if not _is_broken(draft):
        return None
    last = draft.lines[-1]
    is_hyphenated = last.text.endswith(_HYPHENS) and not last.text.endswith(" -")
    is_full = last.x1 >= draft.x1 - 2.5 * last.size
    n_seen = 0
    for place, other in enumerate(rest):
        if other.furniture in _RUNNING:
            continue
        if other.page > last.page + 2 or n_seen >= _LOOK_AHEAD:
            return None
        if _may_continue(draft, other):
            start = other.lines[0].text[:1]
            if start.islower() or (is_hyphenated and start.isalnum()):
                return place
            if (
                draft.kind is not BlockKind.HEADING
                and n_seen == 0
                and is_full
                and not other.lines[0].text.startswith(("\u201c", '"'))
            ):
                return place
        if draft.kind is BlockKind.HEADING:
            return None
        n_seen += other.size > 0.92 * draft.size  # a note in small type is no rival
    return None


def _is_broken(draft: Draft) -> bool:
    return (
        draft.closes_region
        and not draft.furniture
        and draft.kind in (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM, BlockKind.HEADING)
        and bool(draft.lines)
        and not ends_sentence(draft.lines[-1].text)
        and not draft.lines[-1].text.endswith((":", ";") if draft.kind is BlockKind.LIST_ITEM else ":")
    )


def _may_continue(draft: Draft, other: Draft) -> bool:
    is_heading = draft.kind is BlockKind.HEADING
    return (
        other.opens_region
        and not other.furniture
        and other.kind is (BlockKind.HEADING if is_heading else BlockKind.PARAGRAPH)
        and abs(other.size - draft.size) <= 0.6
        and (other.is_bold == draft.is_bold or len(other.lines) == 1)
    )
