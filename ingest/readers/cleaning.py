"""
Runs of a marked-up block to its reading text and the repairs made on the way. Pure; knows no tags.

The raw extraction of a block is its runs with white space collapsed as a browser renders it (CSS Text 3, section 4.1)
and none at the edges. Everything that is changed after that is recorded, so that `ingest.assemble.undo_repairs`
gives the raw extraction back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ingest.model import Repair

# What a browser collapses, and the separators and control characters that Word and PDF exports leave as line ends.
_ODD_SPACES = re.compile("[\x0b\x1c-\x1f\x85\u2028\u2029]")
_COLLAPSIBLE = re.compile("[ \t\n\r\f\x0b\x1c-\x1f\x85\u2028\u2029]+")
_UNENCODABLE = re.compile("[\x00\ud800-\udfff]")

# Characters that no reader sees. Joiners mean something in Persian, in Indic scripts and in emoji: they are dropped
# between ASCII characters alone. Marks for text direction are kept: Arabic and Hebrew need them.
_SUSPECT = re.compile(
    "(?P<soft_hyphen>\u00ad+)"
    "|(?P<zero_width>[\u200b\u2060\ufeff\u180e]+|(?<![^\x00-\x7f])[\u200c\u200d]+(?![^\x00-\x7f]))"
    "|(?P<control_character>[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufdd0-\ufdef\ufffe\uffff]+)"
    "|(?P<ligature>[\ufb00-\ufb06])"
)


@dataclass(frozen=True, slots=True)
class Run:
    """
    A stretch of text as the parser gave it.

    `cut` names the rule under which it is not shown inside its block ("hidden", "struck_out"); "" is shown.
    `is_break` is a forced line break, whose text is not looked at.
    """

    text: str
    cut: str = ""
    is_preformatted: bool = False
    is_break: bool = False
    in_link: bool = False


@dataclass(frozen=True, slots=True)
class Cleaned:
    """
    A block's text, and the repairs that lead to it (offsets into `text`).

    No white space at the edges of `text`; it can be empty, and then says nothing about the block.
    """

    text: str
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    replacement: str
    rule: str


def collapse_runs(runs: Iterable[Run]) -> tuple[str, list[tuple[int, int, str]]]:
    """
    Return (raw text, [(start, end, rule) of the runs that are not shown]), white space as a browser renders it.

    Runs of space, tab and line ends become one space, also across runs; none stays at the start or end of a line.
    Non-breaking spaces stay. Preformatted runs keep theirs.
    """
    parts: list[str] = []
    cuts: list[tuple[int, int, str]] = []
    length = 0
    last, last_is_collapsible = "\n", True
    for run in runs:
        text = "\n" if run.is_break else _UNENCODABLE.sub("\ufffd", run.text)
        if run.is_preformatted and not run.is_break:
            text = _ODD_SPACES.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
        elif not run.is_break:
            text = _COLLAPSIBLE.sub(" ", text)
            if text.startswith(" ") and (last == "\n" or (last == " " and last_is_collapsible)):
                text = text[1:]
        elif last == " " and last_is_collapsible and parts:
            parts[-1] = parts[-1][:-1]
            length -= 1
        if not text:
            continue
        if run.cut:
            cuts.append((length, length + len(text), run.cut))
        parts.append(text)
        length += len(text)
        last, last_is_collapsible = text[-1], not run.is_preformatted
    joined = "".join(parts)
    raw = joined.strip()
    lead = len(joined) - len(joined.lstrip())
    inside = ((max(0, s - lead), min(e - lead, len(raw)), rule) for s, e, rule in cuts)
    return raw, [(s, e, rule) for s, e, rule in inside if s < e]


def clean_runs(runs: Iterable[Run]) -> Cleaned:
    """Return the reading text of a block and its repairs."""
    return clean_text(*collapse_runs(runs))


def clean_text(raw: str, cuts: Sequence[tuple[int, int, str]] = ()) -> Cleaned:
    """
    Return the reading text for a raw text without white space at its edges.

    Args:
        raw: as `collapse_runs` gives it.
        cuts: (start, end, rule) of stretches to take out, ascending, without overlap.
    """
    if not cuts and not _SUSPECT.search(raw):
        return Cleaned(raw)
    edits = _trim(raw, _find_edits(raw, cuts))
    parts: list[str] = []
    repairs: list[Repair] = []
    done = length = 0
    for edit in edits:
        kept = raw[done : edit.start] + edit.replacement
        length += len(kept)
        parts.append(kept)
        done = edit.end
        original = raw[edit.start : edit.end]
        repairs.append(Repair(length - len(edit.replacement), length, original, edit.rule))
    parts.append(raw[done:])
    return Cleaned("".join(parts), tuple(repairs))


def _find_edits(raw: str, cuts: Sequence[tuple[int, int, str]]) -> list[_Edit]:
    """Return ascending edits without overlap, neighbouring removals made one, no double spaces left behind."""
    found = [_Edit(s, e, "", rule) for s, e, rule in cuts]
    inside = iter((*found, _Edit(len(raw), len(raw), "", "")))
    cut = next(inside)
    for match in _SUSPECT.finditer(raw):
        while cut.end <= match.start() and cut.start < len(raw):
            cut = next(inside)
        if match.start() < cut.end and match.end() > cut.start:
            continue
        rule = match.lastgroup or ""
        replacement = unicodedata.normalize("NFKC", match.group()) if rule == "ligature" else ""
        found.append(_Edit(match.start(), match.end(), replacement, rule))
    found.sort(key=lambda edit: edit.start)
    merged: list[_Edit] = []
    for found_edit in found:
        edit = found_edit
        if merged and merged[-1].end > edit.start:  # a removal before it took the space this one began with
            edit = replace(edit, start=merged[-1].end)
        if merged and merged[-1].end == edit.start and not merged[-1].replacement and not edit.replacement:
            edit = replace(edit, start=merged[-1].start, rule=merged.pop().rule)
        if not edit.replacement and edit.end < len(raw) and raw[edit.end] in " \n" and _space_before(raw, edit, merged):
            edit = replace(edit, end=edit.end + 1)
        if edit.start < edit.end:
            merged.append(edit)
    return merged


def _space_before(raw: str, edit: _Edit, earlier: list[_Edit]) -> bool:
    follows_edit = bool(earlier) and earlier[-1].end == edit.start  # a ligature: no space
    return not follows_edit and edit.start > 0 and raw[edit.start - 1] in " \n"


def _trim(raw: str, edits: list[_Edit]) -> list[_Edit]:
    """Return the edits with those at either edge widened over white space, so that none stays at the edges."""
    start, rule = 0, ""
    while edits and edits[0].start <= start and not edits[0].replacement:
        rule = rule or edits[0].rule
        start = edits.pop(0).end
        while start < len(raw) and raw[start].isspace() and not (edits and edits[0].start <= start):
            start += 1
    end, end_rule = len(raw), ""
    while edits and edits[-1].end >= end and not edits[-1].replacement:
        end_rule = end_rule or edits[-1].rule
        end = edits.pop().start
        while end > start and raw[end - 1].isspace() and not (edits and edits[-1].end >= end):
            end -= 1
    trimmed = [replace(edit, start=max(edit.start, start), end=min(edit.end, end)) for edit in edits]
    head = [_Edit(0, start, "", rule)] if start else []
    tail = [_Edit(end, len(raw), "", end_rule)] if end < len(raw) else []
    return [*head, *trimmed, *tail]
