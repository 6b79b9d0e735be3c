"""
Plain text to blocks. `text` is the decoded file itself; nothing is cut, moved or repaired here.

Plain text marks no headings, so they are guessed, and guessed with care: a heading is never part of a passage, so a
sentence taken for one would be lost to readers, while a heading taken for a sentence costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from ingest.assemble import place_blocks
from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import Block, BlockKind, Extraction
from ingest.readers.decode import decode_bytes
from ingest.readers.lead_in import lead_in
from ingest.wording import phrase_set, reads_as_advice

_BULLET = re.compile(r"[ \t\u00a0]*(?:([•·‣▪■●○◦◆➢✓*+–—-])|(\d{1,2}|[a-z])[.)])[ \t\u00a0]+(?=\S)")
_RULE = re.compile(r"[=\-~_*]{3,}")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?:\s|$)")

MAX_HEADING_CHARS = 90
MAX_HEADING_WORDS = 12

# Words that a title leaves in lower case.
_SMALL_WORDS = phrase_set(
    "a an and as at but by for from if in into is it its nor of off on onto or our over per so than that the their "
    "to up via vs with without your"
)
# A line in sentence case with one of these is more likely a sentence that lost its full stop.
_VERBS = phrase_set(
    "am are be been can cannot could did does had has have include includes is may might must need needs said says "
    "shall should was were will would works helps causes feel feels felt i we he she they you"
)
# "Naloxone reverses an overdose": a verb and its object.
_VERB_AND_OBJECT = re.compile(r"\s\w+(?:s|ed) (?:an?|the|your|their|his|her|my|our|you|them|people)\b")
_QUESTION_WORDS = phrase_set(
    "what why how when where who whom whose which can could do does did is are am was were will would should may "
    "must has have"
)


def read_plain(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text of a plain text file and its blocks.

    Blocks are the runs between blank lines; a line break inside one stays. Lines with a bullet or a number are list
    items. Lines without a letter or digit belong to no block.

    Raises:
        MalformedSource: the bytes are no text.
        SourceTooLarge: more characters than the limits allow.
    """
    decoded = decode_bytes(data, where)
    text = decoded.text
    if len(text) > limits.max_text_chars:
        raise SourceTooLarge(
            f"has {len(text)} characters, at most {limits.max_text_chars} are read",
            where=where,
            fix="split the file, or raise max_text_chars",
        )
    blocks = _mark_headings(text, list(_iter_blocks(text)))
    warnings = (guess_warning(decoded.encoding),) if decoded.is_guess else ()
    return Extraction(text=text, blocks=place_blocks(text, blocks), warnings=warnings)


def guess_warning(encoding: str) -> str:
    """Return the warning for a text whose encoding was guessed."""
    return f"its encoding was guessed to be {encoding}: check the accented letters, or save it as UTF-8"


@dataclass(frozen=True, slots=True)
class _Line:
    """One line that is not blank: `[start, end)` without white space at its edges."""

    start: int
    end: int
    body: int  # where the text begins behind a bullet; == start without one
    mark: str  # the bullet sign, "1" for numbers, "a" for letters, "" for none
    number: int  # of a numbered line, else 0


def _iter_runs(text: str) -> Iterator[list[_Line]]:
    """Yield the runs of lines between blank lines."""
    run: list[_Line] = []
    offset = 0
    for raw in text.split("\n"):
        stripped = raw.strip()
        if stripped:
            start = offset + len(raw) - len(raw.lstrip())
            run.append(_parse_line(stripped, start))
        elif run:
            yield run
            run = []
        offset += len(raw) + 1
    if run:
        yield run


def _parse_line(stripped: str, start: int) -> _Line:
    match = _BULLET.match(stripped)
    if match is None:
        return _Line(start, start + len(stripped), start, "", 0)
    sign, label = match.groups()
    mark = sign or ("1" if label.isdigit() else "a")
    return _Line(start, start + len(stripped), start + match.end(), mark, int(label) if mark == "1" else 0)


def _iter_blocks(text: str) -> Iterator[Block]:
    """Yield paragraphs and list items; a paragraph that ends with a colon leads in to the items after it."""
    introduction = ""
    for run in _iter_runs(text):
        if _is_underlined(text, run):
            yield Block(run[0].start, run[0].end, BlockKind.HEADING, level=1 if text[run[1].start] == "=" else 2)
            introduction = ""
            continue
        marks = _item_starts(run)
        first = marks[0] if marks else len(run)
        if first > 0:
            paragraph = text[run[0].start : run[first - 1].end]
            introduction = list_lead_in(paragraph, is_adjacent=bool(marks))
            if _hasphrase_set(paragraph):
                yield Block(run[0].start, run[first - 1].end, BlockKind.PARAGRAPH)
        for number, index in enumerate(marks):
            after = marks[number + 1] if number + 1 < len(marks) else len(run)
            if _hasphrase_set(text[run[index].body : run[after - 1].end]):
                yield Block(run[index].body, run[after - 1].end, BlockKind.LIST_ITEM, context=introduction)


def _hasphrase_set(text: str) -> bool:
    return re.search(r"[^\W_]", text) is not None


def _is_underlined(text: str, run: list[_Line]) -> bool:
    """Tell whether a run is one line with a rule of = or - under it."""
    return (
        len(run) == 2
        and run[0].end - run[0].start <= MAX_HEADING_CHARS
        and _RULE.fullmatch(text[run[1].start : run[1].end]) is not None
        and _SENTENCE_END.search(text[run[0].start : run[0].end]) is None
        and _hasphrase_set(text[run[0].start : run[0].end])
    )


def _item_starts(run: list[_Line]) -> list[int]:
    """
    Return the indices of the lines that begin a list item.

    A dash or number at the head of a wrapped line is no bullet: marks inside a paragraph count only where at least
    two are alike, and numbers only where they count up.
    """
    starts = [i for i, line in enumerate(run) if line.mark]
    if not starts:
        return []
    if run[0].mark:
        kinds = {run[0].mark}
    else:
        marks = [run[i].mark for i in starts]
        kinds = {mark for mark in marks if marks.count(mark) >= 2}
    kept = [i for i in starts if run[i].mark in kinds]
    numbers = [run[i].number for i in kept if run[i].mark == "1"]
    if any(b != a + 1 for a, b in pairwise(numbers)):
        kept = [i for i in kept if run[i].mark != "1" or i == 0]
    return kept


def list_lead_in(paragraph: str, is_adjacent: bool) -> str:
    """
    Return the sentence of a paragraph that introduces the list after it, "" if none does.

    Args:
        is_adjacent: no blank line between them; then an open end without a colon introduces as well.
    """
    if found := lead_in(paragraph):
        return found
    is_open = is_adjacent and not paragraph.rstrip("\"'”’)]*_ ").endswith((".", "!", "?", "…"))
    return lead_in(f"{paragraph}:").removesuffix(":") if is_open else ""


_NO_TITLE, _PHRASE, _TITLE = 0, 1, 2


def _mark_headings(text: str, blocks: list[Block]) -> list[Block]:
    """Turn into headings the paragraphs that surely are: title-like, alone, and with something under them."""
    ranks = [
        _TITLE
        if block.kind is BlockKind.HEADING
        else _title_rank(text[block.start : block.end], is_first=i == 0)
        if block.kind is BlockKind.PARAGRAPH
        else _NO_TITLE
        for i, block in enumerate(blocks)
    ]
    return [
        replace(block, kind=BlockKind.HEADING, level=1 if i == 0 else 2)
        if block.kind is BlockKind.PARAGRAPH and ranks[i] and _heads_a_section(text, blocks, ranks, i)
        else block
        for i, block in enumerate(blocks)
    ]


def _heads_a_section(text: str, blocks: list[Block], ranks: list[int], i: int) -> bool:
    """
    Tell whether the title-like block `i` stands over something.

    Three short lines in a row are a list without bullets; a line after a colon or comma goes on with what was said;
    a last line has nothing under it. A mere phrase must stand alone, over a list or a full sentence.
    """
    before, after = i, i + 1
    while before > max(i - 3, 0) and ranks[before - 1]:
        before -= 1
    while after < min(i + 3, len(blocks)) and ranks[after]:
        after += 1
    if after == len(blocks) or after - before > 2:
        return False
    above = blocks[before - 1] if before > 0 else None
    if above is not None and above.kind is BlockKind.PARAGRAPH and text[above.end - 1] in ":,;":
        return False
    if ranks[i] == _TITLE:
        return True
    body = blocks[after]
    if body.kind is BlockKind.PARAGRAPH and _SENTENCE_END.search(text, body.start, body.end) is None:
        return False
    return after - before == 1


def _title_rank(line: str, is_first: bool) -> int:
    """Return how a line standing alone reads: as a title, as a mere phrase, or as a sentence, label or advice."""
    is_question = line.rstrip("\"”’'").endswith("?")
    # A question may have a comma ("What is it, and how long does it last?"), a title hardly ever has.
    if len(line) > MAX_HEADING_CHARS or re.search(r"[\n.!:;…|<>@]|\d{3}|https?:|www\.", line):
        return _NO_TITLE
    if "," in line and not is_question:
        return _NO_TITLE
    words = _WORD.findall(line)
    if not 1 <= len(words) <= MAX_HEADING_WORDS:
        return _NO_TITLE
    lowered = [word.lower() for word in words]
    is_capital = words[0][0].isupper()
    titled = is_capital and all(word[0].isupper() or word in _SMALL_WORDS for word in words[1:])
    if is_question:
        rank = _TITLE if is_capital and lowered[0] in _QUESTION_WORDS else _NO_TITLE
    elif reads_as_advice(line):
        rank = _NO_TITLE
    elif is_first:
        # A file's first line alone, without a full stop, is its title, whatever its case.
        rank = _TITLE if len(words) >= 2 else _PHRASE
    elif titled and any(word[0].isupper() for word in words[1:]):
        rank = _TITLE
    else:
        is_phrase = (
            is_capital and len(words) <= 7 and not _VERBS.intersection(lowered) and not _VERB_AND_OBJECT.search(line)
        )
        rank = _PHRASE if is_phrase else _NO_TITLE
    return rank
