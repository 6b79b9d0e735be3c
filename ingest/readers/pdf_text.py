"""
Drafts to pieces: where lines meet, and every character that the reading text has otherwise than the page. Pure.

The raw extraction is the lines in reading order, joined with a line feed, blocks with two, a table row's cells with
a tab. Every difference to it is a Repair: line_join, cell, hyphen, soft_hyphen, ligature, symbol (a bullet from a
symbol font), superscript (a raised digit), and running_header, running_footer or page_number for furniture taken
out of a sentence. A repair of several kinds at once names them all, joined by "+".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.assemble import Piece, undo_repairs
from ingest.model import Repair
from ingest.readers.pdf_blocks import Draft
from ingest.readers.pdf_lines import RAISED, plain
from ingest.readers.pdf_tables import Line
from ingest.readers.table_rows import CELL_SEPARATOR

SOFT_HYPHEN = "\u00ad"
_HYPHENS = ("-", "\u2010")
_LIGATURES = {
    "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st",
}  # fmt: skip
_SYMBOLS = dict.fromkeys("\uf0b7\uf0a7\uf076\uf0d8\uf0fc\uf0a8", "•") | {"\uf02d": "–", "\uf020": " "}
_CHANGED = re.compile(f"[{''.join(_LIGATURES)}{''.join(_SYMBOLS)}{''.join(RAISED)}{SOFT_HYPHEN}]")
_EXPAND = str.maketrans(_LIGATURES)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?(?:[-\u2010][^\W\d_]+)*")
_LAST_WORD = re.compile(r"([^\W\d_]+(?:[-\u2010][^\W\d_]+)*)[-\u2010]$")
_FIRST_WORD = re.compile(r"^[^\W\d_]+")
# First halves that keep their hyphen in edited English whatever follows.
_COMBINING = frozenset({"self", "ex", "half", "all", "well", "non", "long", "short", "high", "low"})
# A line without blanks can be as long as a hostile file likes; patterns that look for its end get this much of it.
_TAIL_CHARS = 200
_CJK = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_URL_TAIL = re.compile(r"(?:https?://|www\.)\S*[/._?=&%#~-]$", re.I)


class Vocabulary:
    """
    The words of one document, to tell "with-|drawal" from "long-|term".

    Only words inside lines count. If the joined form occurs more often than the hyphenated one, the hyphen goes; if
    the hyphenated one does, it stays. If neither occurs, it stays too, unless the document is known to hyphenate (a
    word at another line end proved it) and one half is no word of its own in the document.
    """

    def __init__(self, blocks: Iterable[Sequence[Line]]) -> None:
        self._words: Counter[str] = Counter()
        breaks: list[tuple[str, str]] = []
        for lines in blocks:
            previous = ""
            for line in lines:
                text = line.text.translate(_EXPAND).replace(SOFT_HYPHEN, "").casefold().replace("\u2010", "-")
                words = _WORD.findall(text)
                halves = _halves(previous, text) if previous else None
                if halves is not None:
                    breaks.append(halves)
                    words = words[1:]
                if _LAST_WORD.search(text[-_TAIL_CHARS:]):
                    words = words[:-1]
                self._words.update(words)
                self._words.update(part for word in words if "-" in word for part in word.split("-"))
                previous = text
        self._hyphenates = any(self._words[a + b] > self._words[f"{a}-{b}"] for a, b in breaks)

    def joins(self, left: str, right: str) -> bool:
        """
        Tell whether the hyphen between two halves of a word was only the line's.

        Args:
            left: the half before the hyphen.
            right: the half on the next line.
        """
        left, right = left.casefold().translate(_EXPAND), right.casefold().translate(_EXPAND)
        joined, compound = self._words[left + right], self._words[f"{left}-{right}"]
        if joined or compound:
            return joined > compound
        if not self._hyphenates or "-" in left or left in _COMBINING:
            return False
        return not (self._words[left] and self._words[right])


def _halves(above: str, below: str) -> tuple[str, str] | None:
    """Return the two halves of a word broken between two lines."""
    first, second = _LAST_WORD.search(above[-_TAIL_CHARS:]), _FIRST_WORD.search(below)
    if first is None or second is None or not below[:1].islower():
        return None
    return first.group(1), second.group(0)


class _Writer:
    """Collects a piece's text and repairs."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._parts: list[str] = []
        self._repairs: list[Repair] = []
        self.length = 0

    def write(self, text: str) -> None:
        """Append characters of a line; ligatures are spelt out, soft hyphens go, symbols get their character."""
        place = 0
        for match in _CHANGED.finditer(text):
            self._append(text[place : match.start()])
            char = match.group(0)
            if char == SOFT_HYPHEN:
                self.replace(char, "", "soft_hyphen")
            elif char in _LIGATURES:
                self.replace(char, _LIGATURES[char], "ligature")
            elif char in RAISED:
                self.replace(*RAISED[char], "superscript")
            else:
                self.replace(char, _SYMBOLS[char], "symbol")
            place = match.end()
        self._append(text[place:])

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)

    def replace(self, original: str, text: str, rule: str) -> None:
        """Append `text` where the raw extraction has `original`."""
        last = self._repairs[-1] if self._repairs else None
        if not text and last is not None and last.start == last.end == self.length:
            # Two removals at one offset could not be told apart when undone.
            names = last.rule if rule in last.rule.split("+") else f"{last.rule}+{rule}"
            self._repairs[-1] = replace(last, original=last.original + original, rule=names)
        else:
            self._repairs.append(Repair(self.length, self.length + len(text), original, rule))
        self._append(text)

    def write_lines(self, lines: Sequence[Line], removed: dict[int, list[Draft]]) -> list[tuple[int, int]]:
        """Append lines as one paragraph; return (offset, page) for every page that begins after the first line."""
        starts: list[tuple[int, int]] = []
        for index, line in enumerate(lines):
            text, joint = self._joint(line, lines[index + 1] if index + 1 < len(lines) else None)
            self.write(text)
            if index + 1 < len(lines):
                between, rules = _raw_joint(removed.get(index + 1, []))
                hyphen, glue, rule = joint
                self.replace(hyphen + between, glue, "+".join([rule, *rules]))
                if lines[index + 1].page > line.page:
                    starts.append((self.length, lines[index + 1].page))
        return starts

    def _joint(self, line: Line, following: Line | None) -> tuple[str, tuple[str, str, str]]:
        """Return the line without what goes, and (what goes, what comes instead of the break, rule)."""
        text = line.text
        if following is None:
            return text, ("", "", "")
        after = following.text
        if text.endswith(SOFT_HYPHEN):
            return text[:-1], (SOFT_HYPHEN, "", "soft_hyphen")
        if text.endswith(_HYPHENS) and text[-2:-1].isalnum() and after[:1].isalnum():
            halves = _halves(text, after)
            if halves is not None and self._vocabulary.joins(*halves):
                return text[:-1], (text[-1], "", "hyphen")
            return text, ("", "", "line_join")
        return text, ("", "" if _meet_without_space(text, after) else " ", "line_join")

    def finish(self, draft: Draft, page_starts: list[tuple[int, int]]) -> Piece:
        """Return the piece; white space that repairs left at its edges becomes part of them."""
        text, repairs = "".join(self._parts), self._repairs
        begin, end = self._edges(text)
        if begin < end:
            before = [r for r in repairs if r.end <= begin]
            after = [replace(r, start=r.start - end, end=r.end - end) for r in repairs if r.start >= end]
            inside = [r for r in repairs if r.end > begin and r.start < end]
            repairs = [replace(r, start=r.start - begin, end=r.end - begin) for r in inside]
            if original := undo_repairs(text[:begin], before):
                repairs.insert(0, Repair(0, 0, original, "soft_hyphen"))
            if original := undo_repairs(text[end:], after):
                repairs.append(Repair(end - begin, end - begin, original, "soft_hyphen"))
            text = text[begin:end]
            page_starts = [(min(max(0, offset - begin), len(text)), page) for offset, page in page_starts]
        return Piece(
            text=text,
            kind=draft.kind,
            level=draft.level,
            context=draft.context,
            furniture=draft.furniture,
            repairs=tuple(repairs),
            page_starts=tuple(page_starts),
        )

    def _edges(self, text: str) -> tuple[int, int]:
        """Return where the text begins and ends without white space, and without half of a repair."""
        begin, end = 0, len(text)
        while True:
            stripped = (begin + len(text[begin:]) - len(text[begin:].lstrip()), len(text[:end].rstrip()))
            first = max([stripped[0], *(r.end for r in self._repairs if r.start < stripped[0] < r.end)])
            last = min([stripped[1], *(r.start for r in self._repairs if r.start < stripped[1] < r.end)])
            if (first, last) == (begin, end):
                return begin, end
            begin, end = first, last


def _raw_joint(removed: Sequence[Draft]) -> tuple[str, list[str]]:
    if not removed:
        return "\n", []
    rules = list(dict.fromkeys(d.furniture for d in removed))
    return "\n\n" + "".join(f"{d.raw}\n\n" for d in removed), rules


def _meet_without_space(above: str, below: str) -> bool:
    """Tell whether two lines meet without a blank: after a dash or slash between words, in CJK text, in an address."""
    last, first = above[-1:], below[:1]
    if last == "—" and above[-2:-1].isalnum():
        return True
    if last in "–/" and above[-2:-1].isalnum() and first.isalnum():
        return True
    if _CJK.match(last) and _CJK.match(first):
        return True
    return _URL_TAIL.search(above[-_TAIL_CHARS:]) is not None and first.isalnum() and not above.endswith(".")


def build_piece(draft: Draft, vocabulary: Vocabulary, page: int) -> Piece:
    """
    Return the piece of one draft.

    Args:
        draft: with at least one line or cell.
        vocabulary: of the whole document.
        page: the last page that has begun before it; pages up to the draft's own begin at its first character.
    """
    writer = _Writer(vocabulary)
    starts = [(0, number) for number in range(page + 1, draft.page + 1)]
    if draft.cells:
        for index, cell in enumerate(draft.cells):
            if index:
                writer.replace("\t", CELL_SEPARATOR, "cell")
            writer.write_lines(cell, {})
    else:
        for offset, number in writer.write_lines(draft.lines, draft.removed):
            first = max((p for _, p in starts), default=page) + 1
            starts.extend((offset, n) for n in range(first, number + 1))
    return writer.finish(draft, starts)


def raw_text(drafts: Iterable[Draft]) -> str:
    """Return the raw extraction, made from the drafts alone; undoing all repairs must give the same."""
    blocks: list[str] = []
    for draft in drafts:
        if draft.cells or not draft.removed:
            blocks.append(draft.raw)
            continue
        parts: list[str] = []
        for index, line in enumerate(draft.lines):
            parts.append((_raw_joint(draft.removed.get(index, []))[0] if index else "") + plain(line.text))
        blocks.append("".join(parts))
    return "\n\n".join(blocks)
