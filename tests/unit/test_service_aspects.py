"""What a question asks for, and whether a passage speaks of it."""

from __future__ import annotations

import pytest

from service.aspects import ASPECTS, asked_aspects, is_said

BY_NAME = {aspect.name: aspect for aspect in ASPECTS}


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("What dose of the tablets do people start on?", "dose"),
        ("how many mg is too much", "dose"),
        ("How long does the shaking last?", "duration"),
        ("when does it start", "duration"),
        ("How much does it cost without insurance?", "cost"),
        ("Any side-effects I should know of?", "side effect"),
        ("How many people relapse?", "count"),
        ("Who can prescribe it?", "person"),
        ("Where can I get tested?", "place"),
        ("How is it treated?", "treatment"),
        ("What is the outlook?", "outlook"),
        ("can it be prevented", "prevention"),
        ("what causes it", "cause"),
        ("What are the signs of it?", "symptom"),
        ("how is it diagnosed", "test"),
        ("does it run in families", "inheritance"),
        ("What complications can follow?", "complication"),
        ("What's the difference between the two?", "difference"),
        ("How do I store it?", "instruction"),
    ],
)
def test_an_aspect_is_recognised_however_it_is_written(question: str, name: str) -> None:
    """This ensures that each aspect is heard in a question, in capitals too."""
    assert name in [aspect.name for aspect in asked_aspects(question)]
    assert name in [aspect.name for aspect in asked_aspects(question.upper())]


@pytest.mark.parametrize("question", ["naltrexone", "itchy blood", "is methadone a drug", "", "美沙酮"])
def test_what_is_not_asked_in_such_words_has_no_aspect(question: str) -> None:
    """This ensures that nothing is judged where nothing is known about the question."""
    assert asked_aspects(question) == ()


@pytest.mark.parametrize(
    ("name", "with_it", "without_it"),
    [
        ("dose", "People take 50 mg a day.", "People take it with water."),
        ("duration", "It passes within ten days.", "It passes."),
        ("cost", "A month comes to $30.", "It is given in clinics."),
        ("side effect", "Side effects are nausea and tiredness.", "It blocks the receptor."),
        ("count", "About 60 percent come back.", "It is used worldwide."),
        ("place", "Ask at a clinic.", "It blocks the receptor."),
        ("treatment", "It is treated with rest.", "It begins in childhood."),
        ("difference", "Unlike the first, it blocks the receptor.", "It blocks the receptor."),
    ],
)
def test_a_passage_that_answers_speaks_of_it(name: str, with_it: str, without_it: str) -> None:
    """This ensures that a passage without the least word of an aspect is told from one with it."""
    assert is_said(BY_NAME[name], "", with_it)
    assert not is_said(BY_NAME[name], "", without_it)


@pytest.mark.parametrize(
    ("name", "headings", "elsewhere"),
    [
        ("cause", "A page\nWhy people stop", "A page\nWhen people stop"),
        ("cost", "A page\nIs it expensive?", "A page\nIs it common?"),
        ("instruction", "A page\nHow do you store it?", "A page\nIs it stored?"),
        ("place", "A page\nWhere can it be had?", "A page\nCan it be had?"),
        ("duration", "How long it lasts\nThe start", "How it feels\nThe start"),
    ],
)
def test_a_heading_may_be_the_question(name: str, headings: str, elsewhere: str) -> None:
    """This ensures that what stands under the question itself speaks of it, whatever words it uses."""
    text = "Nobody feels the same."

    assert is_said(BY_NAME[name], headings, text)
    assert not is_said(BY_NAME[name], elsewhere, text)
