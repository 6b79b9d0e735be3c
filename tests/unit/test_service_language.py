"""Questions in a language that the model does not know: what is certain, and what is said then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from service_support import tiny_client

from index.snapshot import Snapshot, open_snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, tiny_documents, write_tiny_snapshot
from ingest.model import Document, Passage
from service.answer import Answer
from service.answering import AnswerPolicy, answer_question, parse_question
from service.environment import load_settings
from service.errors import SettingsInvalid
from service.language import holds_language, language_warnings, parse_languages, unknown_language
from service.lexicon import Lexicon
from service.notices import NoticeBoard

SPANISH = "¿Cuánto tiempo dura la abstinencia de la heroína y qué puedo hacer?"
NOTICES = Path(__file__).parents[2] / "corpus" / "notices.toml"
Library = tuple[tuple[Document, tuple[Passage, ...]], ...]


def in_language(language: str) -> Library:
    """Return the tiny library with all documents in English but the last, which is in this language."""
    documents = tiny_documents()
    codes = ["en"] * (len(documents) - 1) + [language]
    return tuple(
        (replace(document, metadata=replace(document.metadata, language=code)), passages)
        for (document, passages), code in zip(documents, codes, strict=True)
    )


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    write_tiny_snapshot(IndexDir(tmp_path), in_language("en"))
    with open_snapshot(IndexDir(tmp_path)) as opened:
        yield opened


@pytest.fixture
def snapshot_with_spanish(tmp_path: Path) -> Iterator[Snapshot]:
    write_tiny_snapshot(IndexDir(tmp_path), in_language("es-MX"))
    with open_snapshot(IndexDir(tmp_path)) as opened:
        yield opened


def ask(snapshot: Snapshot, text: str, policy: AnswerPolicy, board: NoticeBoard | None = None) -> Answer:
    question = parse_question(text)
    return answer_question(question, snapshot, HashingEmbedder(), policy, date(2026, 6, 1), notices=board)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (SPANISH, "es"),
        ("Комбинация метадона и алкоголя", "ru"),
        ("海洛因戒断需要多长时间?", "zh"),
        ("How long does withdrawal last?", ""),
        ("What does the μ receptor do?", ""),
        ("naloxona", ""),
        ("42 ?", ""),
        ("", ""),
    ],
)
def test_only_what_is_certain_is_another_language(snapshot: Snapshot, question: str, expected: str) -> None:
    """This ensures that a single name, a symbol or a number is in doubt and searched for."""
    assert unknown_language(question, ("en",), snapshot.lexical, Lexicon()) == expected


@pytest.mark.parametrize("languages", [("*",), ("en", "es"), ("es",)])
def test_a_language_that_the_model_knows_is_none(snapshot: Snapshot, languages: tuple[str, ...]) -> None:
    """This ensures that an operator with a model of several languages can say so."""
    assert unknown_language(SPANISH, languages, snapshot.lexical, Lexicon()) == ""


def test_english_may_be_the_unknown_one(snapshot: Snapshot) -> None:
    """This ensures that nothing is tied to English: a Spanish model's operator is told of English questions."""
    question = "Which doctor should my brother telephone tomorrow morning?"

    assert unknown_language(question, ("es",), snapshot.lexical, Lexicon()) == "en"


def test_an_unknown_language_is_said_and_nothing_is_near(snapshot: Snapshot) -> None:
    """This ensures that a person learns why there is no answer, even where the operator always answers."""
    answer = ask(snapshot, SPANISH, AnswerPolicy(min_confidence=0.0))

    assert (answer.answered, answer.reason, answer.confidence) == (False, "language_not_supported", 0.0)
    assert (answer.passages, answer.nearest) == ((), ())
    assert answer.snapshot_id == snapshot.id
    assert answer.languages == ("en",)


def test_a_library_with_documents_in_that_language_is_searched(snapshot_with_spanish: Snapshot) -> None:
    """This ensures that a document in the question's language is not kept from its readers."""
    answer = ask(snapshot_with_spanish, SPANISH, AnswerPolicy(min_confidence=0.0))

    assert answer.answered
    assert holds_language(snapshot_with_spanish, "es")
    assert not holds_language(snapshot_with_spanish, "fr")


def test_the_notice_comes_whatever_the_language(snapshot: Snapshot) -> None:
    """This ensures that somebody in danger who writes Spanish gets the notice although nothing is searched."""
    board = NoticeBoard.load(NOTICES)

    answer = ask(snapshot, "mi hermano no respira y tiene los labios azules, tomó heroína", AnswerPolicy(), board)

    assert answer.reason == "language_not_supported"
    assert [(notice.kind, notice.language) for notice in answer.notices] == [("crisis", "es")]


def test_documents_in_an_unknown_language_are_a_warning(snapshot_with_spanish: Snapshot) -> None:
    """This ensures that an operator learns of documents that the model reads badly."""
    (warning,) = language_warnings(snapshot_with_spanish, ("en",))

    assert warning.startswith("1 document is in the language es, which the model does not know")
    assert language_warnings(snapshot_with_spanish, ("en", "es")) == ()
    assert language_warnings(snapshot_with_spanish, ("*",)) == ()


def test_health_and_page_say_it(tmp_path: Path) -> None:
    """This ensures that the warning reaches health, and that the page tells in which languages to ask."""
    with tiny_client(tmp_path / "spanish", in_language("es"), model_languages="en, fr") as client:
        warnings = client.get("/v1/health").json()["warnings"]
    with tiny_client(tmp_path / "english", in_language("en"), model_languages="en, fr") as client:
        page = client.post("/", data={"question": SPANISH}).text
        reply = client.post("/v1/ask", json={"question": SPANISH}).json()

    assert any("in the language es" in warning for warning in warnings)
    assert "Please ask in English or French." in page
    assert (reply["answered"], reply["reason"]) == (False, "language_not_supported")
    assert reply["languages"] == ["en", "fr"]


def test_codes_are_read_from_the_setting() -> None:
    """This ensures that case, spaces and countries of codes do not matter."""
    assert parse_languages("EN, pt-BR,pt") == ("en", "pt")


@pytest.mark.parametrize("value", ["english", "", "en;es", "en,,es"])
def test_no_code_is_refused(value: str) -> None:
    """This ensures that a slip in the setting is named and not taken for a language."""
    with pytest.raises(SettingsInvalid, match="does not fit"):
        load_settings({"model_languages": value})
