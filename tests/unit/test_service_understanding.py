"""From a question as typed to what is searched for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from index.model import Query
from index.search import plain_query, retrieve
from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from service.answering import AnswerPolicy, answer_question, parse_question
from service.lexicon import Lexicon, read_lexicon
from service.understanding import understand

LEXICON = read_lexicon(Path(__file__).parents[2] / "corpus" / "lexicon.toml")
FILLER = "I have two kids and a dog. My mum keeps crying about it. I work nights and I am tired. "


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    index_dir = IndexDir(tmp_path)
    write_tiny_snapshot(index_dir)
    with open_snapshot(index_dir) as opened:
        yield opened


def read(snapshot: Snapshot, text: str, lexicon: Lexicon | None = LEXICON) -> Query:
    return understand(text, snapshot.lexical, lexicon)


def texts(query: Query) -> list[str]:
    return [dense.text for dense in query.dense]


@pytest.mark.parametrize("text", ["How long does withdrawal last?", "methadone", "Who is Lutz?", "42"])
def test_a_clean_question_is_searched_for_as_it_stands(snapshot: Snapshot, text: str) -> None:
    """This ensures that a short question in plain words costs no second encoding and is not changed."""
    assert read(snapshot, text) == plain_query(text)


@pytest.mark.parametrize(
    "text", ["¿Cuánto dura la abstinencia de heroína?", "combien de temps dure le sevrage", "美沙酮会让人兴奋吗"]
)
def test_other_languages_are_left_alone(snapshot: Snapshot, text: str) -> None:
    """This ensures that words of another language are not taken for misspelt English."""
    assert read(snapshot, text) == plain_query(text)


def test_a_repaired_question_keeps_its_own_wording(snapshot: Snapshot) -> None:
    """This ensures that the repair stands beside the question as typed, and that the index is asked for it."""
    query = read(snapshot, "wat is methdone for")

    assert texts(query) == ["wat is methdone for", "what is methadone for"]
    assert [t.term for t in query.terms] == ["methadon"]


def test_a_brand_reaches_its_generic_name_and_says_so(snapshot: Snapshot) -> None:
    """This ensures that the brand's terms stay, the generic ones count as the same, and the reader is told."""
    query = read(snapshot, "What is Narcan for?")

    assert query.matched == ("Narcan: naloxone nasal spray",)
    assert texts(query)[1] == "What is naloxone nasal spray for?"
    assert [(t.term, t.stands_for) for t in query.terms] == [("narcan", ""), ("naloxon", "narcan")]


def test_a_misspelt_brand_is_a_brand(snapshot: Snapshot) -> None:
    """This ensures that spelling is repaired before names are looked for."""
    assert read(snapshot, "how does vivtrol work").matched == ("Vivitrol: extended-release naltrexone",)


@pytest.mark.parametrize("text", ["coming off smack", "is my son a junkie", "I am dopesick", "on oxys"])
def test_slang_is_understood_and_not_shown(snapshot: Snapshot, text: str) -> None:
    """This ensures that street names and labels lead to neutral words and are never repeated to anybody."""
    query = read(snapshot, text)

    assert query.matched == ()
    assert len(query.dense) == 2


def test_what_the_question_says_already_is_not_said_again(snapshot: Snapshot) -> None:
    """This ensures that a question that names brand and generic needs no expansion."""
    assert read(snapshot, "Is Narcan naloxone?").matched == ()


def test_the_end_of_a_long_message_is_heard(snapshot: Snapshot) -> None:
    """This ensures that the sentence that asks is embedded by itself, and that no window passes the model's limit."""
    text = FILLER * 40 + "How soon does withdrawal start?"

    query = read(snapshot, text)

    assert texts(query)[-1] == "How soon does withdrawal start?"
    assert texts(query)[-2].endswith("How soon does withdrawal start?")
    assert len(query.dense) <= 4
    assert all(len(t.split()) <= 160 for t in texts(query))


def test_the_asking_sentence_is_found_wherever_it_stands(snapshot: Snapshot) -> None:
    """This ensures that a question in the middle of a story is picked, not the story's last words."""
    query = read(snapshot, f"{FILLER}Does methadone make you drowsy? {FILLER}Thanks for reading all of this.")

    assert texts(query)[-1] == "Does methadone make you drowsy?"


@pytest.mark.parametrize(
    ("text", "avoided"),
    [
        ("How do I stop without methadone?", ("methadon",)),
        ("medicines other than the methadone", ("methadon",)),
        ("Can I quit without using Narcan?", ("narcan", "naloxon")),
        ("Why not methadone?", ()),
        ("Can I detox without medical help?", ()),
        ("What is methadone?", ()),
    ],
)
def test_what_a_question_turns_down_is_named(snapshot: Snapshot, text: str, avoided: tuple[str, ...]) -> None:
    """This ensures that only a medicine or drug that is ruled out counts as ruled out."""
    query = read(snapshot, text)

    assert query.avoid == avoided
    assert not {t.term for t in query.terms} & set(avoided)


def test_what_is_turned_down_does_not_come_first(snapshot: Snapshot) -> None:
    """This ensures that "without methadone" is not answered with what methadone is."""
    text = "opioid without methadone"

    plain = retrieve(snapshot, HashingEmbedder(), text).hits[0]
    understood = retrieve(snapshot, HashingEmbedder(), read(snapshot, text)).hits[0]

    titles = [s.passage.title for s in snapshot.catalogue.passages([plain.ordinal, understood.ordinal])]
    assert titles == ["Methadone", "Naloxone"]


def test_the_answer_tells_what_was_matched(snapshot: Snapshot) -> None:
    """This ensures that the names reach the reader, and that without a lexicon there are none."""
    policy = AnswerPolicy(min_confidence=0.0, lexicon=LEXICON)
    question = parse_question("Narcan overdose")

    answer = answer_question(question, snapshot, HashingEmbedder(), policy)

    assert answer.matched == ("Narcan: naloxone nasal spray",)
    assert answer.passages[0].document.title == "Naloxone"
    assert answer_question(question, snapshot, HashingEmbedder(), replace(policy, lexicon=None)).matched == ()


@pytest.mark.parametrize("text", ["zzzzqqq " * 400, "a" * 4_000, "? ? ? ?", "methdone " * 300, "…. … \u200d x"])
def test_strange_texts_are_bounded(snapshot: Snapshot, text: str) -> None:
    """This ensures that nothing typed makes more than a handful of encodings or repairs, or an error."""
    query = read(snapshot, text)

    assert 1 <= len(query.dense) <= 4
