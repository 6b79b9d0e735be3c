"""Cutting documents into passages."""

from __future__ import annotations

from dataclasses import replace

from tests_support import count_words, text_document

from ingest.model import Document
from ingest.sentences import sentence_spans
from ingest.split import SplitConfig, passage_id, split_document


def texts(document: Document, config: SplitConfig = SplitConfig(max_tokens=12, max_sentence_tokens=18)) -> list[str]:
    return [p.text for p in split_document(document, config, count_words)]


def test_no_passage_crosses_a_heading() -> None:
    """This ensures that two short sections never share a passage, and that headings are in none."""
    document = text_document(("h", "Onset"), ("p", "It starts early."), ("h", "Length"), ("p", "It lasts days."))

    result = split_document(document, SplitConfig(), count_words)

    assert [(p.text, p.heading_path) for p in result] == [
        ("It starts early.", ("Onset",)),
        ("It lasts days.", ("Length",)),
    ]


def test_furniture_is_in_no_passage_and_parts_what_it_stands_between() -> None:
    """This ensures that a teaser between two paragraphs is quoted with neither of them."""
    document = text_document(("p", "One sentence here."), ("f", "More like this: Ten tips"), ("p", "Another one here."))

    assert texts(document) == ["One sentence here.", "Another one here."]


def test_passages_end_at_sentence_ends_and_keep_the_size() -> None:
    """This ensures that a long paragraph is cut between sentences into passages of at most the size asked for."""
    sentences = [f"Sentence number {i} has exactly seven words." for i in range(6)]
    document = text_document(("p", " ".join(sentences)))

    result = texts(document, SplitConfig(max_tokens=15, max_sentence_tokens=20))

    assert result == [" ".join(sentences[i : i + 2]) for i in (0, 2, 4)]


def test_passages_are_even_rather_than_one_full_and_one_stump() -> None:
    """This ensures that four sentences over the size are parted two and two, not three and one."""
    sentences = [f"Sentence {i} has six words here." for i in range(4)]
    document = text_document(("p", " ".join(sentences)))

    result = texts(document, SplitConfig(max_tokens=19, max_sentence_tokens=20))

    assert result == [" ".join(sentences[:2]), " ".join(sentences[2:])]


def test_a_sentence_over_the_limit_is_cut_at_a_clause() -> None:
    """This ensures that one endless sentence gives passages within the limit, cut after a comma where one is near."""
    clause = "one two three four five six seven,"
    document = text_document(("p", " ".join([clause] * 4)))

    result = texts(document)

    assert all(count_words([t])[0] <= 12 for t in result)
    assert all(t.endswith("seven,") for t in result)
    assert " ".join(result) == " ".join([clause] * 4)


def test_a_word_of_a_million_characters_is_cut() -> None:
    """This ensures that text without any space can't make a passage of unbounded length."""
    document = text_document(("p", "x" * 1_000_000))

    result = split_document(document, SplitConfig(), count_words)

    assert max(len(p.text) for p in result) <= SplitConfig().max_unit_chars * 2
    assert sum(len(p.text) for p in result) == 1_000_000


def test_a_list_stays_with_its_lead_in() -> None:
    """This ensures that no passage ends with the colon that announces a list."""
    items = [("l", f"Item {i} of the list.") for i in range(6)]
    document = text_document(
        ("p", "Before the list there is talk. Talk of many things here."), ("p", "Signs include:"), *items
    )

    result = texts(document)

    assert not any(t.endswith(":") for t in result)
    assert any(t.startswith("Signs include:") for t in result)


def test_a_cut_list_names_its_lead_in_as_context() -> None:
    """This ensures that list items far from their lead-in are still embedded with it, but quoted without."""
    items = [("l", f"Item {i} of the list goes on.") for i in range(6)]
    document = text_document(("p", "Signs include:"), *items, context="Signs include:")

    last = split_document(document, SplitConfig(max_tokens=12), count_words)[-1]

    assert last.context == "Signs include:"
    assert "Signs include:" in last.embedding_prefix
    assert "Signs include:" not in last.text


def test_ids_survive_edits_elsewhere_and_tell_repeats_apart() -> None:
    """This ensures that a passage keeps its id when another section changes, and that equal texts get two ids."""
    before = text_document(("h", "A"), ("p", "Old words."), ("h", "B"), ("p", "Same."), ("h", "C"), ("p", "Same."))
    after = text_document(("h", "A"), ("p", "New words, more."), ("h", "B"), ("p", "Same."), ("h", "C"), ("p", "Same."))

    old = [p.id for p in split_document(before, SplitConfig(), count_words)]
    new = [p.id for p in split_document(after, SplitConfig(), count_words)]

    assert old[1:] == new[1:]
    assert old[0] != new[0]
    assert len(set(new)) == 3


def test_passage_id_is_pinned() -> None:
    """This ensures that permalinks of published indexes stay valid: the formula may not change unnoticed."""
    assert passage_id("a/b.md", "Same.", 1) == "975de43a4c7b97849f0e"


def test_a_small_letter_after_a_full_stop_continues_the_sentence() -> None:
    """This ensures that a dose such as "5 mg. of it" is one sentence, and a list on lines of its own is not joined."""
    text = "Take 5 mg. of it daily. Then rest."

    assert [text[a:b] for a, b in sentence_spans(text)] == ["Take 5 mg. of it daily.", "Then rest."]


def test_sentences_hold_every_character_but_white_space() -> None:
    """This ensures that no character of a block is lost between its sentences."""
    text = "  First one!  Second (e.g. this) one?\nThird... and “fourth.” \t"

    spans = sentence_spans(text)

    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


def test_captions_are_in_no_passage() -> None:
    """This ensures that what describes a picture is not quoted as if it answered something."""
    document = text_document(("p", "Words to quote."), ("c", "Photo: a quiet table."), ("p", "More words."))

    assert texts(document) == ["Words to quote.", "More words."]


def test_a_borrowed_title_is_context_of_no_passage() -> None:
    """This ensures that a title taken from a heading further down is not embedded elsewhere."""
    document = replace(text_document(("p", "Words to quote.")), has_own_title=False)

    assert [p.title for p in split_document(document, SplitConfig(), count_words)] == [""]
