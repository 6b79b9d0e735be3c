"""
Rules on one block's line: which of it stands in links, what parts it, what stood before. Knows runs, not the tree.

A part is what lies between bars ("A | B"), dots, arrows or line breaks. Rows of links and entry data ("Posted on ...
| 3 comments") are furniture if every part is a link or data of that kind; a list is if nothing but links follows a
heading that announces other pages. A line with a number for help is never marked, nor one that reads as a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingest import furniture_patterns as patterns
from ingest.furniture import furniture_rule, offers_help, without_owner
from ingest.model import BlockKind
from ingest.readers.cleaning import Run

_I = re.IGNORECASE
# Not arrows: "opium → morphine" relates two words, nor "<" and ">".
_BARS = re.compile(r"[|·•‖¦»«‹›]|\s[/–—-](?=\s|$)|(?:^|(?<=\s))[/–—-]\s")
_UNCOUNTED = re.compile("[\\s,;:.()\\[\\]{}\"'“”‘’]")
_MOSTLY = 0.8  # of a part in links; the rest is commas and quotation marks
_MAX_PART_WORDS = 12
_MAX_LINE_CHARS = 400
_MAX_ODD_WORDS = 5  # of the one part in a long row that is neither link nor entry data ("Registered charity 123")
_SENTENCE_WORDS = 4
_MAX_HEADING_CHARS = 70
_MAX_DATE_LINE_WORDS = 15
_HEADS_LINKS = re.compile("|".join(f"(?:{pattern})" for pattern in patterns.LINKS_HEADING), _I)
_LEADS_LINKS = re.compile("|".join(f"(?:{pattern})" for pattern in patterns.LINKS_LEAD), _I)
_ENTRY_DATA = re.compile("|".join(f"(?:{pattern})" for pattern in (*patterns.ENTRY_META, *patterns.ROW_PART)), _I)
_WEAK_DATA = re.compile(patterns.AGE, _I)
_DATE = re.compile(rf"\b{patterns.DATE}", _I)


@dataclass(slots=True)
class _Part:
    """What stands between two bars."""

    text: str = ""
    link_chars: int = 0
    after_bar: bool = False

    @property
    def n_chars(self) -> int:
        """Return the characters that are neither white space nor punctuation that strings links together."""
        return _n_chars(self.text)

    @property
    def is_link(self) -> bool:
        """Tell whether it is a link of a few words, not a linked sentence."""
        n_words = len(self.text.split())
        return 0 < n_words <= _MAX_PART_WORDS and self.link_chars >= _MOSTLY * self.n_chars and not _is_sentence(self)

    @property
    def is_data(self) -> bool:
        """Tell whether it says when, by whom, where in the site, or what to do with an entry."""
        return _ENTRY_DATA.fullmatch(self.text) is not None or bool(furniture_rule(self.text))


def _n_chars(text: str) -> int:
    return len(_UNCOUNTED.sub("", text))


def _is_sentence(part: _Part) -> bool:
    return part.text.endswith((".", "!")) and len(part.text.split()) >= _SENTENCE_WORDS


def paragraphs(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs cut where two line breaks or more follow each other with nothing between."""
    groups: list[list[Run]] = [[]]
    n_breaks = 0
    for run in runs:
        if run.is_break:
            n_breaks += 1
        elif run.text.strip(" \t\n\r\f"):
            if n_breaks > 1 and groups[-1]:
                groups.append([])
            n_breaks = 0
        groups[-1].append(run)
    return groups


class LineJudge:
    """Names the furniture among blocks that come one after another; made anew for each tree."""

    def __init__(self) -> None:
        self._announced = ""  # the rule of the heading above, while nothing but links has followed

    def judge(
        self, runs: Sequence[Run], text: str, kind: BlockKind, *, follows_lead_in: bool, is_above_title: bool
    ) -> str:
        """
        Return the rule that takes a block for furniture, "" for content.

        Args:
            runs: of the block, with what stands in links.
            text: the block as it is read.
            follows_lead_in: the paragraph before introduces it ("You can get help from:").
            is_above_title: it stands before the page's title and outside of its content.
        """
        line = _plain(text)
        announced, self._announced = self._announced, ""
        if len(line) <= _MAX_HEADING_CHARS and kind in (BlockKind.HEADING, BlockKind.PARAGRAPH, BlockKind.CAPTION):
            bare = line.rstrip(" :…>.→»")
            if _HEADS_LINKS.fullmatch(bare):
                is_contents = re.fullmatch("|".join(patterns.CONTENTS_HEADING), bare, _I)
                self._announced = "contents_list" if is_contents else "related_links"
                return self._announced
        if len(line) > _MAX_LINE_CHARS:
            return ""
        parts = _parts(runs)
        # A heading ends the list: where every heading is a link to itself, being one says nothing.
        if announced and kind is not BlockKind.HEADING and _is_links_alone(parts):
            self._announced = announced
            return "" if offers_help(line) else announced
        if offers_help(without_owner([part.text for part in parts])):
            return ""
        if (
            is_above_title
            and _DATE.search(line)
            and len(line.split()) <= _MAX_DATE_LINE_WORDS
            and line[-1] not in ".!?"
        ):
            return "dateline"
        return _lead_rule(parts) or ("" if follows_lead_in else _row_rule(parts))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _parts(runs: Sequence[Run]) -> list[_Part]:
    """Return a block's parts, none of them empty."""
    parts = [_Part()]
    for run in runs:
        if run.cut:
            continue
        if run.is_break:
            parts.append(_Part())
        elif run.text.count("\xa0") > 1 and not run.text.strip() and parts[-1].text:
            parts.append(_Part(after_bar=True))  # a gap between two links, where others draw a bar
        elif run.in_link:
            parts[-1].text += run.text
            parts[-1].link_chars += _n_chars(run.text)
        else:
            first, *others = _BARS.split(run.text)
            parts[-1].text += first
            parts.extend(_Part(text, after_bar=True) for text in others)
    cleaned = [replace(part, text=_plain(part.text).strip("[](){}*<>←→ ")) for part in parts]
    after_bar = False
    kept: list[_Part] = []
    for part in cleaned:
        after_bar |= part.after_bar
        if any(map(str.isalnum, part.text)):
            kept.append(replace(part, after_bar=after_bar))
            after_bar = False
    return kept


def _is_links_alone(parts: Sequence[_Part]) -> bool:
    n_chars = sum(part.n_chars for part in parts)
    is_linked = n_chars > 0 and sum(part.link_chars for part in parts) >= _MOSTLY * n_chars
    return is_linked and not any(map(_is_sentence, parts))


def _lead_rule(parts: Sequence[_Part]) -> str:
    """A lead phrase ("See also:", "Tags:") and nothing but links behind it."""
    found = _LEADS_LINKS.match(parts[0].text) if parts else None
    if found is None:
        return ""
    rest = replace(parts[0], text=parts[0].text[found.end() :].strip())
    behind = [part for part in (rest, *parts[1:]) if part.n_chars]
    n_links = sum(part.is_link for part in behind)
    is_row = n_links > 0 and all(part.is_link or part.is_data for part in behind)
    return "teaser" if is_row else ""


def _row_rule(parts: Sequence[_Part]) -> str:
    """Two parts or more, each a link or entry data; in a longer row one short part may be something else."""
    if len(parts) < 2:
        return ""
    n_links = sum(part.is_link for part in parts)
    n_data = sum(part.is_data for part in parts if not part.is_link)
    n_weak = sum(_WEAK_DATA.fullmatch(part.text) is not None for part in parts if not (part.is_link or part.is_data))
    odd = [p for p in parts if not (p.is_link or p.is_data or _WEAK_DATA.fullmatch(p.text))]
    is_whole = not odd
    if len(odd) == 1 and n_links + n_data > 2:  # three known parts speak for the fourth
        is_whole = len(odd[0].text.split()) <= _MAX_ODD_WORDS and not odd[0].text.endswith((".", "!", "?"))
    # Line breaks part the data of an entry, but links under each other are as often a list of places to turn to.
    is_parted = all(part.after_bar for part in parts[1:])
    if not is_whole or (not is_parted and n_data == 0):
        return ""
    if n_data or (n_weak and n_links):
        return "entry_meta"
    return "link_row" if n_links > 1 else ""
