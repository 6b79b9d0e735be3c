"""
Markdown to blocks. `text` is the decoded file itself, marks included; only block structure is parsed, by markdown-it.

Deviations from CommonMark, each because the text matters more than the layout: indented text is text, not code; a
setext heading of several lines or of a full sentence is a paragraph over a rule; whatever the parser passes over
(too deep nesting) becomes a paragraph, so that no word of the file is outside the blocks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingest.assemble import place_blocks
from ingest.errors import SourceTooLarge
from ingest.limits import Limits
from ingest.model import Block, BlockKind, Extraction
from ingest.readers.decode import decode_bytes
from ingest.readers.front_matter import read_front_matter
from ingest.readers.lead_in import MAX_CONTEXT_CHARS, join_context
from ingest.readers.plain import guess_warning, list_lead_in

# Each level of quote or list is a Python call in the parser; nobody reads what stands deeper.
_MAX_NESTING = 60
# The parser keeps five numbers a line: 200 MB at this many. The longest of 5,486 NIH documents has 3,000 lines.
_MAX_LINES = 1_000_000
_MAX_TITLE_CHARS = 200

_CONTAINER_MARKS = " \t>"
_HEADING_ID = re.compile(r"[ \t]*\{#([A-Za-z][\w:.-]*)\}$")
_FOOTNOTE = re.compile(r"\[\^[^\]\n]+\]:[ \t]*")
_IMAGES = re.compile(r"(?:\[?!\[[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])(?:\]\([^)\n]*\))?\s*)+")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_HTML_PARTS = re.compile(
    r"(?P<html_comment><!--.*?(?:-->|\Z)|<[?!][A-Za-z][^<>]*>)"
    r"|(?P<html_code><(?P<tag>script|style|svg|template|noscript)\b.*?(?:</(?P=tag)\s*>|\Z))"
    r"|(?P<tags></?(?!(?:a|abbr|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strike"
    r"|strong|sub|sup|time|tt|u|var)\b)[A-Za-z][^<>]*>|<!\[CDATA\[|\]\]>)",
    re.DOTALL | re.IGNORECASE,
)
# What may stand outside all blocks though it holds letters or digits: marks of lists and fences, HTML tags, ids.
_MARKUP = re.compile(
    r"^[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t>]*)*(?:(?:`{3,}|~{3,}).*$|\[\^[^\]\n]+\]:)?"
    r"|<[^<>]*>?|\{#[^}\n]*\}|^[^<>\n]*>",
    re.MULTILINE,
)


def read_markdown(data: bytes, limits: Limits, where: str) -> Extraction:
    """
    Return the text of a Markdown file and its blocks.

    A heading's block is its text without marks, a list item's its text without the bullet, a table row's its cells.
    Front matter, HTML comments, images alone and link definitions are blocks marked as furniture.

    Raises:
        MalformedSource: the bytes are no text.
        SourceTooLarge: more characters, lines or front matter than the limits allow.
    """
    decoded = decode_bytes(data, where)
    text = decoded.text
    n_lines = text.count("\n") + 1
    for n, cap, unit in ((len(text), limits.max_text_chars, "characters"), (n_lines, _MAX_LINES, "lines")):
        if n > cap:
            raise SourceTooLarge(f"has {n} {unit}, at most {cap} are read", where=where, fix="split the file")
    front = read_front_matter(text, limits, where)
    walk = _Walk(text, front.end)
    if front.end:
        walk.add(0, front.end, BlockKind.PARAGRAPH, furniture="front_matter")
    walk.read(_parser().parse(text[front.end :]))
    blocks = _with_passed_over(text, walk.blocks)
    warnings = ((guess_warning(decoded.encoding),) if decoded.is_guess else ()) + front.warnings
    return Extraction(
        text=text,
        blocks=place_blocks(text, blocks),
        metadata=front.metadata or {},
        warnings=warnings + tuple(walk.warnings),
    )


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "inline_definitions": True, "maxNesting": _MAX_NESTING})
    parser.enable("table").disable("code")
    parser.core.ruler.enableOnly(["block"])
    return parser


@dataclass(slots=True)
class _List:
    """A list that is open: what leads in to its items, and the text of the item being read."""

    lead_in: str
    item: str = ""


@dataclass
class _Walk:
    """Turns the parser's tokens into blocks; `start` is where the parsed part of the text begins."""

    text: str
    start: int
    blocks: list[Block] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _lists: list[_List] = field(default_factory=list)
    _header: str = ""
    _line_starts: list[int] = field(default_factory=list)
    _first_line: int = 0

    def read(self, tokens: Sequence[Token]) -> None:
        """Add the blocks of all tokens."""
        self._line_starts = [self.start]
        at = self.text.find("\n", self.start)
        while at >= 0:
            self._line_starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        self._line_starts.append(len(self.text) + 1)
        self._first_line = self.text.count("\n", 0, self.start) + 1
        i = 0
        while i < len(tokens):
            i += self._read_token(tokens, i)

    def _read_token(self, tokens: Sequence[Token], i: int) -> int:
        """Handle the token at `i` and return how many it took."""
        token = tokens[i]
        match token.type:
            case "heading_open":
                self._add_heading(token, tokens[i + 1])
                return 3
            case "paragraph_open":
                self._add_paragraph(tokens[i + 1])
                return 3
            case "bullet_list_open" | "ordered_list_open":
                self._lists.append(_List(self._lead_in(token)))
            case "list_item_open":
                self._lists[-1].item = ""
            case "bullet_list_close" | "ordered_list_close":
                self._lists.pop()
            case "table_open":
                self._header = ""
            case "tr_open":
                self._add_row(token, tokens[i + 1].type == "th_open")
            case "fence":
                self._add_fence(token)
            case "html_block":
                self._add_html(*self._lines(token))
            case "definition":
                self._add_definition(*self._lines(token))
        return 1

    def _lines(self, token: Token) -> tuple[int, int]:
        """Return the offsets of a token's lines, without the last line end."""
        first, last = token.map or [0, 0]
        return self._line_starts[first], self._line_starts[last] - 1

    def _inline(self, token: Token) -> tuple[int, int]:
        """
        Return the span of a token's own text.

        The content's first line is the end of its source line, behind whatever bullets and quote marks.
        """
        first, last = token.map or [0, 0]
        start = self._line_starts[first]
        line = self.text[start : self._line_starts[first + 1] - 1].rstrip()
        own = token.content.split("\n", 1)[0].rstrip()
        return start + max(line.rfind(own) if own else 0, 0), self._line_starts[last] - 1

    def add(
        self, start: int, end: int, kind: BlockKind, level: int = 0, context: str = "", furniture: str = ""
    ) -> None:
        """Add a block without the white space at its edges; one without letters or digits is dropped."""
        piece = self.text[start:end]
        start += len(piece) - len(piece.lstrip())
        end = start + len(piece.strip())
        if re.search(r"[^\W_]", piece):
            self.blocks.append(Block(start, end, kind, level=level, context=context, furniture=furniture))

    def _add_heading(self, opening: Token, inline: Token) -> None:
        start, end = self._inline(inline)
        if opening.markup.startswith("#"):
            # The closing marks of "## Title ##" are not in the content.
            end = start + len(inline.content)
        title = self.text[start:end].strip()
        is_sentence = opening.markup in ("-", "=") and (title.endswith((".", ":", ";", ",")) or "\n" in title)
        if is_sentence or len(title) > _MAX_TITLE_CHARS:
            self.add(start, end, BlockKind.PARAGRAPH)
            return
        element_id = ""
        if found := _HEADING_ID.search(self.text, start, end):
            element_id, end = found.group(1), found.start()
        for mark in ("**", "__"):
            inner = self.text[start:end].strip()
            if len(inner) > 4 and inner.startswith(mark) and inner.endswith(mark) and mark not in inner[2:-2]:
                start = self.text.index(mark, start) + 2
                end = self.text.rindex(mark, start, end)
        n_blocks = len(self.blocks)
        self.add(start, end, BlockKind.HEADING, level=int(opening.tag[1]))
        if element_id and len(self.blocks) > n_blocks:
            block = self.blocks[-1]
            self.blocks[-1] = Block(block.start, block.end, block.kind, level=block.level, element_id=element_id)

    def _add_paragraph(self, inline: Token) -> None:
        start, end = self._inline(inline)
        piece = self.text[start:end]
        if self._lists:
            kind, context = BlockKind.LIST_ITEM, self._context()
            self._lists[-1].item = self._lists[-1].item or piece
        else:
            kind, context = BlockKind.PARAGRAPH, ""
        if piece.startswith("[^"):
            for note_start, note_end in _split_footnotes(piece):
                self.add(start + note_start, start + note_end, kind, context=context)
        elif piece.startswith(("![", "[![")) and _IMAGES.fullmatch(piece):
            self.add(start, end, BlockKind.CAPTION, furniture="image_alt")
        elif "<!--" in piece:
            self._add_around_comments(start, end, kind, context)
        else:
            self.add(start, end, kind, context=context)

    def _add_around_comments(self, start: int, end: int, kind: BlockKind, context: str) -> None:
        at = start
        for comment in _COMMENT.finditer(self.text, start, end):
            self.add(at, comment.start(), kind, context=context)
            self.add(comment.start(), comment.end(), BlockKind.PARAGRAPH, furniture="html_comment")
            at = comment.end()
        self.add(at, end, kind, context=context)

    def _lead_in(self, opening: Token) -> str:
        """Return the sentence before a list that introduces it; in a nested list what stands above the item."""
        if self._lists and self._lists[-1].item:
            return self._context()
        if not self.blocks or self.blocks[-1].furniture or self.blocks[-1].kind is not BlockKind.PARAGRAPH:
            return ""
        start, end = self.blocks[-1].start, self.blocks[-1].end
        is_adjacent = self.text.count("\n", end, self._lines(opening)[0]) <= 1
        return list_lead_in(self.text[start:end].rstrip("*_"), is_adjacent)

    def _context(self) -> str:
        """Return what stands above the text being read: the list's lead-in and, in a nested list, the item's."""
        return join_context(self._lists[-1].lead_in, self._lists[-1].item)

    def _add_row(self, token: Token, is_header: bool) -> None:
        start, end = self._lines(token)
        line = self.text[start:end].rstrip()
        if line.endswith("|") and not line.endswith("\\|"):
            line = line[:-1]
        row = line.lstrip(_CONTAINER_MARKS + "|")
        self.add(start + len(line) - len(row), start + len(line), BlockKind.TABLE_ROW, context=self._header)
        if is_header:
            self._header = " ".join(row.split())[:MAX_CONTEXT_CHARS]

    def _add_fence(self, token: Token) -> None:
        first, last = token.map or [0, 0]
        closing = self.text[self._line_starts[last - 1] : self._line_starts[last] - 1].strip(_CONTAINER_MARKS)
        is_closed = last - first > 1 and not closing.strip(token.markup[0]) and len(closing) >= len(token.markup)
        if not is_closed:
            self.warnings.append(f"the code block opened at line {self._first_line + first} is never closed")
        begin = None
        for n in range(first + 1, last - 1 if is_closed else last):
            start, end = self._line_starts[n], self._line_starts[n + 1] - 1
            if self.text[start:end].strip(_CONTAINER_MARKS):
                begin = start if begin is None else begin
            elif begin is not None:
                self.add(begin, start, BlockKind.PARAGRAPH)
                begin = None
        if begin is not None:
            self.add(begin, self._line_starts[last - 1 if is_closed else last] - 1, BlockKind.PARAGRAPH)

    def _add_html(self, start: int, end: int) -> None:
        """Add the text between block-level tags; comments, scripts and styles are furniture."""
        at = start
        for part in _HTML_PARTS.finditer(self.text, start, end):
            self.add(at, part.start(), BlockKind.PARAGRAPH)
            if rule := next((name for name in ("html_comment", "html_code") if part[name]), ""):
                self.add(part.start(), part.end(), BlockKind.PARAGRAPH, furniture=rule)
                if part[0].startswith("<!--") and not part[0].endswith("-->"):
                    line = self.text.count("\n", 0, part.start()) + 1
                    self.warnings.append(f"the comment opened at line {line} is never closed: the rest is hidden")
            at = part.end()
        self.add(at, end, BlockKind.PARAGRAPH)

    def _add_definition(self, start: int, end: int) -> None:
        """Add `[label]: address`; what looks like it but is a footnote of one word is content."""
        if note := _FOOTNOTE.match(self.text, start + len(self.text[start:end]) - len(self.text[start:end].lstrip())):
            self.add(note.end(), end, BlockKind.PARAGRAPH)
        else:
            self.add(start, end, BlockKind.PARAGRAPH, furniture="link_definition")


def _split_footnotes(piece: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of the notes in a paragraph of `[^1]: ...` lines, without their labels."""
    notes = [note for note in _FOOTNOTE.finditer(piece) if note.start() == 0 or piece[note.start() - 1] == "\n"]
    if not notes:
        yield 0, len(piece)
    for note, after in zip(notes, [*notes[1:], None], strict=True):
        yield note.end(), after.start() if after else len(piece)


def _with_passed_over(text: str, blocks: list[Block]) -> list[Block]:
    """Return the blocks in order of place, and as paragraphs the words between them that are not mere markup."""
    result: list[Block] = []
    at = 0
    for block in sorted(blocks, key=lambda b: b.start):
        result.extend(_words_between(text, at, block.start))
        result.append(block)
        at = block.end
    result.extend(_words_between(text, at, len(text)))
    return result


def _words_between(text: str, start: int, end: int) -> Iterator[Block]:
    gap = text[start:end]
    if re.search(r"[^\W_]", gap) is None:
        return
    offset = start
    for line in _MARKUP.sub(lambda found: " " * len(found.group()), gap).split("\n"):
        words = line.strip()
        if re.search(r"[^\W_]", words):
            begin = offset + line.index(words)
            yield Block(begin, begin + len(words), BlockKind.PARAGRAPH)
        offset += len(line) + 1
