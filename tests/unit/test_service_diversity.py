"""Which ranked passages are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.catalogue_rows import StoredDocument, StoredPassage
from index.model import Hit
from ingest.model import Metadata, Passage, Source, SourceType
from service.diversity import (
    KEPT_PLACES,
    REPEAT_COST,
    Candidate,
    Chosen,
    are_same_words,
    asks_for_testimony,
    choose,
    hold_back_testimony,
    shingles,
)

LONG = "Naltrexone blocks the opioid receptors in the brain and is started only after detox is complete, on {}."


def ranked(*parts: tuple[str, str], types: dict[str, SourceType] | None = None) -> list[tuple[Hit, StoredPassage]]:
    """Return passages of (document, text), best first."""
    result = []
    for ordinal, (document_id, text) in enumerate(parts):
        passage = Passage(
            id=f"{ordinal:020x}",
            document_id=document_id,
            start=0,
            end=len(text),
            text=text,
            title="",
            heading_path=(),
            sentences=((0, len(text)),),
        )
        meta = Metadata(title=document_id, source_type=(types or {}).get(document_id, SourceType.OTHER))
        document = StoredDocument(
            number=list(dict(parts)).index(document_id),
            source=Source(document_id, "0" * 64, 1),
            reader="t/1",
            metadata=meta,
            text_sha256="0" * 64,
            n_chars=len(text),
            n_blocks=1,
            n_pages=0,
            first_ordinal=ordinal,
            n_passages=1,
            warnings=(),
        )
        hit = Hit(ordinal, ordinal + 1, 1.0 - ordinal / 100, 0.5, 0.5, 0.5, None, 0)
        result.append((hit, StoredPassage(ordinal, passage, document)))
    return result


def candidates(found: list[tuple[Hit, StoredPassage]]) -> list[Candidate]:
    return [
        Candidate(place, hit.score, s.document.number, s.document.metadata.source_type is SourceType.PERSONAL)
        for place, (hit, s) in enumerate(found)
    ]


def chosen(found: list[tuple[Hit, StoredPassage]], limit: int, most: int) -> list[Chosen]:
    return choose(iter(candidates(found)), limit, most, lambda one: found[one.place])


def shown(found: list[tuple[Hit, StoredPassage]], limit: int = 5, most: int = 3) -> list[tuple[str, list[str]]]:
    return [(c.stored.document.id, [s.document.id for s in c.also_in]) for c in chosen(found, limit, most)]


def test_the_same_words_are_shown_once_with_their_other_places() -> None:
    """This ensures that a passage copied into another document does not take two places, and that both are named."""
    found = ranked(("a", LONG.format("Monday")), ("b", LONG.format("Tuesday")), ("c", "Something else is said here."))

    assert shown(found) == [("a", ["b"]), ("c", [])]


def test_passages_that_differ_in_more_than_a_word_stay_apart() -> None:
    """This ensures that a sentence about naltrexone never swallows one about naloxone."""
    one = shingles("Naltrexone blocks the receptors for a month and is given after detox.")
    other = shingles("Naloxone blocks the receptors for an hour and is given in an overdose.")

    assert not are_same_words(one, other)


def test_short_passages_are_compared_whole() -> None:
    """This ensures that two short texts are the same only when all their words are."""
    assert are_same_words(shingles("Call now."), shingles("call NOW"))
    assert not are_same_words(shingles("Call now."), shingles("Call later."))


def test_a_document_gives_at_most_so_many() -> None:
    """This ensures that one long document does not fill the answer."""
    found = ranked(
        *[("a", f"Thing number {i} of the first is told.") for i in range(5)], ("b", "Another voice speaks.")
    )

    assert shown(found, most=2) == [("a", []), ("a", []), ("b", [])]


def test_fewer_is_a_prefix_of_more() -> None:
    """This ensures that asking for fewer passages never changes which come first."""
    found = ranked(*[(f"{i % 3}", LONG.format(i % 4) + f" Number {i % 5} of them.") for i in range(12)])
    everything = [document for document, _ in shown(found, limit=12)]

    for limit in range(1, 13):
        assert [document for document, _ in shown(found, limit=limit)] == everything[:limit]


def test_from_the_fourth_place_on_other_documents_come_first() -> None:
    """This ensures that a question which several documents answer shows several, and that the first places stay."""
    found = ranked(*[(d, f"Thing number {i} of all is told here by {d}.") for i, d in enumerate("aababac")])

    # Scores are one hundredth apart: the only passage of c overtakes, by far less than the cost of a repeat.
    assert [document for document, _ in shown(found)] == ["a", "a", "b", "c", "a"]


def test_a_clearly_better_passage_of_a_shown_document_keeps_its_place() -> None:
    """This ensures that diversity never puts what hardly fits before what fits well."""
    found = ranked(*[(d, f"Thing number {i} of all is told here by {d}.") for i, d in enumerate("ababc")])
    far = [(replace(hit, score=hit.score - 2 * REPEAT_COST) if s.document.id == "c" else hit, s) for hit, s in found]

    assert [document for document, _ in shown(far)] == ["a", "b", "a", "b", "c"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 1)), max_size=25), st.integers(1, 3))
def test_the_choice_is_the_greedy_one(parts: list[tuple[str, float]], most: int) -> None:
    """This ensures that reading only as far as needed misses no passage that should come earlier."""
    scores = sorted((score for _, score in parts), reverse=True)
    plain = ranked(*[(d, f"Thing number {i} of all is told here by {d} {i * i}.") for i, (d, _) in enumerate(parts)])
    found = [(replace(hit, score=score), stored) for (hit, stored), score in zip(plain, scores, strict=True)]

    expected, left = list[int](), list(found)
    while len(expected) < 10:
        names = [s.document.id for _, s in found if s.ordinal in expected]
        left = [(h, s) for h, s in left if s.ordinal not in expected and names.count(s.document.id) < most]
        if not left:
            break
        cost = REPEAT_COST if len(expected) >= KEPT_PLACES else 0.0
        expected.append(max(left, key=lambda one: one[0].score - cost * (one[1].document.id in names))[1].ordinal)

    assert [c.stored.ordinal for c in chosen(found, 10, most)] == expected


def test_testimony_is_held_back_behind_the_first_other_passage() -> None:
    """This ensures that one person's story does not come first, and that nothing is lost or otherwise moved."""
    found = ranked(("p", "I did it."), ("q", "So did I."), ("n", "It is known."), ("r", "Me too."), types={
        "p": SourceType.PERSONAL, "q": SourceType.PERSONAL, "r": SourceType.PERSONAL,
    })  # fmt: skip

    assert [c.place for c in hold_back_testimony(candidates(found))] == [2, 0, 1, 3]


def test_testimony_alone_is_still_shown() -> None:
    """This ensures that a library of stories answers with stories."""
    found = ranked(("p", "I did it."), types={"p": SourceType.PERSONAL})

    assert [c.place for c in hold_back_testimony(candidates(found))] == [0]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What was detox like for someone who has been through it?", True),
        ("stories about getting off heroin", True),
        ("what does withdrawal feel like", True),
        ("How does naltrexone work?", False),
        ("how long does withdrawal last", False),
        ("", False),
    ],
)
def test_asking_for_experience_is_told_from_asking_for_facts(question: str, expected: bool) -> None:
    """This ensures that people who want another person's story get it first."""
    assert asks_for_testimony(question) is expected


def test_hits_keep_their_own_scores() -> None:
    """This ensures that what is shown carries the evidence it was ranked by."""
    found = ranked(("a", "One thing is said."), ("b", "Another thing is meant."))

    assert [c.hit for c in chosen(found, 2, 3)] == [hit for hit, _ in found]
    assert replace(found[0][0], rank=9) != found[0][0]
