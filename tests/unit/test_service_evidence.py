"""Which sentences are marked, and the cut segments."""

from __future__ import annotations

import pytest

from service.evidence import evidence_span, segments

START = 100


def sentences_of(*texts: str) -> tuple[str, list[tuple[int, int]]]:
    spans, position = [], START
    for text in texts:
        spans.append((position, position + len(text)))
        position += len(text) + 1
    return " ".join(texts), spans


def test_the_best_sentence_alone_is_evidence() -> None:
    """This ensures that no more than the answering sentence is marked where it stands by itself."""
    text, spans = sentences_of("Heroin acts fast.", "Withdrawal begins within a day.", "Care helps.")

    assert evidence_span(text, START, spans, 1) == spans[1]


@pytest.mark.parametrize("opening", ["It", "this", "They", "“Such"])
def test_a_sentence_that_leans_back_brings_the_one_before(opening: str) -> None:
    """This ensures that a quotation names its subject."""
    text, spans = sentences_of("Naltrexone is a medicine.", f"{opening} blocks the receptors.")

    assert evidence_span(text, START, spans, 1) == (spans[0][0], spans[1][1])


@pytest.mark.parametrize("opening", ["However,", "But", "Although", "There is no evidence that", "No studies"])
def test_a_limiting_sentence_travels_with_the_claim(opening: str) -> None:
    """This ensures that a claim is not quoted without the sentence that limits it."""
    text, spans = sentences_of("Kratom is said to ease withdrawal.", f"{opening} trials show this.", "More follows.")

    assert evidence_span(text, START, spans, 0) == (spans[0][0], spans[1][1])


def test_words_that_only_begin_like_a_pronoun_do_not_lean() -> None:
    """This ensures that "Italy" or "Thesis" at the start of a sentence widens nothing."""
    text, spans = sentences_of("First things first.", "Itching skin is common.")

    assert evidence_span(text, START, spans, 1) == spans[1]


def test_segments_join_to_the_text() -> None:
    """This ensures that the cut pieces, in order, are the passage word for word, evidence marked."""
    text, spans = sentences_of("One.", "Two.", "Three.")

    cut = segments(text, START, (spans[1],))

    assert "".join(s.text for s in cut) == text
    assert [s.text for s in cut if s.evidence] == ["Two."]


def test_segments_of_a_wholly_marked_passage_have_no_empty_piece() -> None:
    """This ensures that a reader is never sent an empty stretch."""
    cut = segments("All.", START, ((START, START + 4),))

    assert [(s.text, s.evidence) for s in cut] == [("All.", True)]


def test_a_sentence_that_announces_a_list_brings_the_list() -> None:
    """This ensures that "Symptoms include:" is never marked without the symptoms, nor with what follows the list."""
    text = "Symptoms include:\n- chills;\n- cramps.\nA new thought."
    spans = [(START + text.index(s), START + text.index(s) + len(s)) for s in text.split("\n")]

    assert evidence_span(text, START, spans, 0) == (spans[0][0], spans[2][1])
