"""Plain text and Markdown, whatever is in them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import SourceError
from ingest.furniture import mark_furniture
from ingest.limits import Limits
from ingest.model import BlockKind, Extraction
from ingest.readers.decode import decode_bytes
from ingest.readers.markdown import read_markdown
from ingest.readers.plain import read_plain

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cc", "Cs"]), max_size=300)
MARKDOWN_LINES = """
# Head
## Head ##
Title
---
===
***
- item
  - deep
* star
1. one
2) two
> quoted
> - both
> > more
```
~~~ text
    indented
| a | b |
|---|---|
| 1 | 2 |
[label]: http://example.org 'x'
[^1]: A note.
[^n]: word
<div>
</div>
<p>held <b>in</b> tags
<!-- hidden -->
<!-- open
-->
<script>
var x;
</script>
![alt](a.png)
A sentence stands here.
and goes on
key: value
title: "x
\t- tab
\\# no head
## Head {#id}
# **Bold**
<
a <!-- b --> c
1. 1
- - - a
<a href='x'>link</a>
[x
text\\
é\u00a0
\u2028 odd
|
- [ ] task
10. ten
"""
markdown_lines = st.sampled_from([*MARKDOWN_LINES.split("\n"), "", "", ""])


def _check(extraction: Extraction) -> None:
    end = 0
    for block in extraction.blocks:
        piece = extraction.text[block.start : block.end]
        assert block.start >= end
        assert piece == piece.strip() != ""
        end = block.end
    assert end <= len(extraction.text)
    assert len(mark_furniture(extraction.text, extraction.blocks)) == len(extraction.blocks)


def _outside(extraction: Extraction) -> str:
    inside = [False] * len(extraction.text)
    for block in extraction.blocks:
        inside[block.start : block.end] = [True] * (block.end - block.start)
    return "".join(c if not kept else " " for c, kept in zip(extraction.text, inside, strict=True))


@given(st.binary(max_size=400))
def test_any_bytes_decode_to_clean_text_or_a_source_error(data: bytes) -> None:
    """This ensures that decoding never raises anything else, nor lets NUL, CR or half a character through."""
    try:
        decoded = decode_bytes(data, "x")
    except SourceError:
        return

    assert "\x00" not in decoded.text
    assert "\r" not in decoded.text
    decoded.text.encode("utf-8")


@given(texts)
def test_utf8_and_utf16_text_survives_unchanged(text: str) -> None:
    """This ensures that well-formed text comes back character by character."""
    assert decode_bytes(b"\xef\xbb\xbf" + text.encode(), "x").text == text
    assert decode_bytes(text.encode("utf-16"), "x").text == text


@given(st.binary(max_size=300))
def test_any_bytes_are_read_soundly_or_refused(data: bytes) -> None:
    """This ensures that the readers of plain text and Markdown stand any bytes."""
    for read in (read_plain, read_markdown):
        try:
            extraction = read(data, Limits(), "x")
        except SourceError:
            continue
        _check(extraction)


@given(texts)
def test_every_word_of_plain_text_is_in_a_block(text: str) -> None:
    """This ensures that nothing of a plain text is lost but the marks of lists."""
    extraction = read_plain(text.encode(), Limits(), "x")

    _check(extraction)
    rest = re.sub(r"(?m)^\s*(?:\d{1,2}|[a-z])[.)]", "", _outside(extraction))
    assert re.search(r"[^\W_]", rest) is None


@given(st.lists(markdown_lines, max_size=25), st.booleans())
def test_every_word_of_markdown_is_in_a_block(lines: list[str], has_front_matter: bool) -> None:
    """This ensures that nothing of a Markdown file is lost but the marks of lists, fences, ids and tags."""
    head = ["---", "title: x", "---"] if has_front_matter else []
    text = "\n".join(head + lines)

    extraction = read_markdown(text.encode(), Limits(), "x")

    _check(extraction)
    assert extraction.text == text
    outside = re.sub(r"<[^<>]*>|\{#id\}|\[\^\w+\]:|(?m:^[ \t>]*~~~ text$)", "", _outside(extraction))
    rest = re.sub(r"(?m)^[ \t>*+-]*(?:\d{1,2}[.)][ \t]*)+", "", outside)
    assert re.search(r"[^\W_]", rest) is None, rest


@given(
    st.lists(
        st.sampled_from(["Some words.", "A Title Here", "- item", "", "", "1. one", "2. two", "note:"]), max_size=20
    )
)
def test_a_heading_of_plain_text_always_has_something_below(lines: list[str]) -> None:
    """This ensures that the last block of a plain text is never lost as a heading."""
    extraction = read_plain("\n".join(lines).encode(), Limits(), "x")

    assert not extraction.blocks or extraction.blocks[-1].kind is not BlockKind.HEADING
