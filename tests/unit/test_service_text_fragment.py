"""Text fragments: short where words are unique, longer where they repeat, escaped always."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import text_fragment
from service.text_fragment import text_directive


def parts(directive: str) -> list[str]:
    """Return the directive's parts as a browser reads them."""
    return [unquote(part) for part in directive.split(",")]


def test_a_short_quote_is_linked_whole_and_escaped() -> None:
    """This ensures that hyphens, commas and ampersands can't be read as the fragment's own syntax."""
    text = "long-acting, once & for all"

    directive = text_directive(text, 0, len(text))

    assert not set("-,&") & set(directive)
    assert parts(directive) == [text]


def test_a_long_quote_is_linked_by_its_ends() -> None:
    """This ensures that a link stays short: the first and the last words, joined by a comma."""
    words = [f"w{i}" for i in range(40)]
    text = " ".join(words)

    first, last = parts(text_directive(text, 0, len(text)))

    assert first.split() == words[:4]
    assert last.split() == words[-4:]


def test_a_repeated_opening_is_linked_with_as_many_words_as_make_it_unique() -> None:
    """This ensures that a link leads to the quoted sentence and not to another that begins alike."""
    text = "It is taken once a day by mouth. It is taken once a month by injection, and only after detox is complete."

    first, _ = parts(text_directive(text, text.index("It is taken once a month"), len(text)))

    assert first == "It is taken once a month"


def test_a_sentence_that_stands_twice_is_linked_with_the_words_before_it() -> None:
    """This ensures that the second of two equal sentences can be told from the first."""
    text = "Heroin: ask a doctor first of all, always. Kratom: ask a doctor first of all, always."

    context, quoted = parts(text_directive(text, text.rindex("ask a doctor"), len(text)))

    assert context.endswith("Kratom:-")
    assert quoted == "ask a doctor first of all, always."


def test_equal_sentences_after_equal_ones_are_told_by_what_follows() -> None:
    """This ensures that also a repeated stretch leads to its own place."""
    text = "Ask a doctor. Take it slowly. One day later.\n\nAsk a doctor. Take it slowly. Two days later."
    start = text.rindex("Take it")

    found = parts(text_directive(text, start, start + len("Take it slowly.")))

    assert found[-1] == "-Two days"


def test_context_is_of_one_block_and_whole_words() -> None:
    """This ensures that the words before a quote can be found: a browser looks for them in one block."""
    text = f"{'x' * 400} alpha beta\n\nA heading of it\n\nSame words here.\n\nAnother heading\n\nSame words here."

    context, _ = parts(text_directive(text, text.rindex("Same"), len(text)))

    assert context == "Another heading-"


def test_a_quote_over_two_blocks_is_linked_by_the_first() -> None:
    """This ensures that a link's end does not lie in another block than its start."""
    text = "One two three.\n\nFour five six."

    assert parts(text_directive(text, 0, len(text))) == ["One two three."]


@given(st.text(st.sampled_from("ab .,-&\n😀é"), max_size=60), st.data())
def test_every_stretch_has_a_directive_that_can_be_read(text: str, data: st.DataObject) -> None:
    """This ensures that no text breaks a link, and that each part is in the document word for word."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    directive = text_directive(text, start, end)

    plain = " ".join(text.split())
    for part in directive.split(","):
        assert " ".join(unquote(part.removeprefix("-").removesuffix("-")).split()) in plain


def test_words_that_are_unique_cost_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that an answer's links take no time to speak of: the first words that are unique end the search."""
    searched = []
    candidates = text_fragment._candidates
    monkeypatch.setattr(
        text_fragment, "_candidates", lambda *parts: (searched.append(1) or found for found in candidates(*parts))
    )
    text = " ".join(f"Sentence number {i} says something of its own about it." for i in range(200))

    text_directive(text, text.index("Sentence number 150"), text.index(" Sentence number 151"))

    assert len(searched) == 1


@given(st.lists(st.sampled_from(["one", "two", "ONE", "é", "Σ", "İ"]), max_size=40), st.data())
def test_white_space_of_any_kind_parts_words(words: list[str], data: st.DataObject) -> None:
    """This ensures that what is found is what a pattern with any white space between the words finds."""
    spaces = st.sampled_from([" ", "\n", "  ", "\t \n", "\u00a0", "\x1f"])
    text = "".join(word + data.draw(spaces) for word in words)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))

    with pytest.MonkeyPatch.context() as patch:
        tried: list[tuple[str, list[str]]] = []
        candidates = text_fragment._candidates
        patch.setattr(text_fragment, "_candidates", lambda *parts: tried.extend(candidates(*parts)) or iter(tried))
        directive = text_directive(text, start, end)

    lowered, place = text.lower(), len(text[:start].lower())
    reaching = expected = ""
    for expected, needed in tried:
        pattern = r"\s+".join(re.escape(word.lower()) for word in needed)
        found = list(re.finditer(pattern, lowered))
        if len(found) == 1:
            break
        reaching = reaching or (expected if found and found[0].end() > place else "")
    else:
        expected = reaching or expected
    assert directive == expected
