"""Evaluation on a library in memory and an answerer that replies as told. Long, since test files share no fakes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from index.catalogue import StoredDocument, StoredPassage
from ingest.model import Block, BlockKind, Document, Metadata, Passage, Source, SourceType, text_sha256
from service import evaluation
from service.answer import (
    Answer,
    AnswerPassage,
    Citation,
    DocumentCard,
    Notice,
    Proof,
    Question,
    TextPositionSelector,
    TextQuoteSelector,
)
from service.answering import AnswerPolicy
from service.errors import QuestionEmpty, QuestionsInvalid
from service.evaluation import evaluate, render_rows
from service.evaluation_report import EvaluationReport
from service.questions import Label, LabelledQuestion, QuestionFile

SECRET = "zebrafish lullaby"
# Three passages of 20 characters and an advertisement, by document.
TEXTS = {
    name: "".join(f"{name} {n} is ten words".ljust(20, ".") for n in ("one", "two", "six")) + "Call now "
    for name in "ab"
}


class SmallLibrary:
    """A library of two documents with three passages of 20 characters and one furniture block each."""

    def document(self, document_id: str) -> StoredDocument | None:
        """Return one document, None when unknown."""
        if document_id not in TEXTS:
            return None
        source = Source(document_id, "0" * 64, 10)
        return StoredDocument(0, source, "plain/1", Metadata(title="T"), "0" * 64, 69, 2, 0, 0, 3, ())

    def text(self, document_id: str) -> str:
        """Return a document's text."""
        return TEXTS[document_id]

    def full_document(self, document_id: str) -> Document:
        """Return a document with its blocks."""
        text = TEXTS[document_id]
        blocks = (
            Block(0, 60, BlockKind.PARAGRAPH),
            Block(60, len(text) - 1, BlockKind.PARAGRAPH, furniture="advert"),
        )
        return Document(
            Source(document_id, "0" * 64, 10), "plain/1", Metadata(title="T"), text, text_sha256(text), blocks
        )

    def passages_of(self, document_id: str) -> list[StoredPassage]:
        """Return a document's passages."""
        document = self.document(document_id)
        assert document is not None
        return [
            StoredPassage(
                start // 20,
                Passage(f"{document_id}{start}", document_id, start, start + 20, text, "T", (), ()),
                document,
            )
            for start in (0, 20, 40)
            for text in [TEXTS[document_id][start : start + 20]]
        ]


def passage(
    document_id: str, start: int, *, evidence: Sequence[tuple[int, int]] = (), text: str = "", end: int = 0
) -> AnswerPassage:
    """Return a returned passage, of 20 characters if not told otherwise."""
    end = end or start + 20
    text = text or TEXTS[document_id][start:end]
    card = DocumentCard(
        document_id, document_id, "T", "", (), None, None, None, SourceType.OTHER, "", "", "en", (), (), "", "", "", ()
    )
    citation = Citation("T", TextQuoteSelector(text, "", ""), TextPositionSelector(start, end), "", "/c/x")
    proof = Proof("0" * 64, "0" * 64, "plain/1")
    return AnswerPassage("x", 1, 0.5, text, start, end, tuple(evidence), (), (), None, card, citation, proof)


def answer(*passages: AnswerPassage, confidence: float = 0.9, notices: int = 0, took_ms: float = 1.0) -> Answer:
    """Return an answer with these passages."""
    notice = Notice("crisis", "overdose", "Call", "Call now", (), date(2024, 1, 1), "en")
    return Answer(True, confidence, None, passages, (), (notice,) * notices, "snap", "2024-01-01T00:00:00Z", took_ms)


def labelled(
    question_id: str, kind: str = "fact", gold: Sequence[Label] = (), also: Sequence[Label] = ()
) -> LabelledQuestion:
    """Return a labelled question whose text is its id."""
    return LabelledQuestion(question_id, 1, question_id, kind, tuple(gold), tuple(also))


@pytest.fixture(autouse=True)
def _plain_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take any text as a question, except the empty one."""

    def parse(text: str, *, top_k: int) -> Question:
        if not text.strip():
            raise QuestionEmpty("there is nothing to answer", fix="ask something")
        return Question(text, top_k)

    monkeypatch.setattr(evaluation, "parse_question", parse)


def run(
    cases: Sequence[tuple[LabelledQuestion, Answer]], policy: AnswerPolicy = AnswerPolicy(min_confidence=0.5)
) -> EvaluationReport:
    """Evaluate questions, each with the answer it gets."""
    replies = {question.text: reply for question, reply in cases}
    file = QuestionFile("q.jsonl", "f" * 64, tuple(question for question, _ in cases))
    return evaluate(file, lambda question: replies[question.text], SmallLibrary(), policy)


GOLD_A = Label("a", "a two is ten words.")


def test_gold_and_also_count_as_hits() -> None:
    """This ensures that an acceptable stretch is a hit, and ranks and nDCG are over both."""
    report = run(
        [(labelled("q", gold=[GOLD_A], also=[Label("b", "", 0, 20)]), answer(passage("a", 0), passage("b", 0)))]
    )

    found = report.rankings()["fact"].estimates

    values = {name: estimate.value for name, estimate in found.items() if estimate is not None}
    assert (values["hit@1"], values["hit@3"], values["mrr@10"]) == (0.0, 1.0, 0.5)
    # Relevant: one of two passages that exist, at rank 2.
    assert values["ndcg@10"] == pytest.approx((1 / 1.5849625) / (1 + 1 / 1.5849625))


def test_the_same_words_in_another_document_are_no_hit() -> None:
    """This ensures that a label counts in its own document alone."""
    report = run([(labelled("q", gold=[Label("a", "", 0, 20)]), answer(passage("b", 0)))])

    assert report.outcomes[0].first_relevant_rank is None


def test_a_long_section_is_hit_by_a_passage_inside() -> None:
    """This ensures that offsets of a whole section make each of its passages relevant, up to the limit per document."""
    question = labelled("q", gold=[Label("a", "", 0, 60)])

    report = run([(question, answer(passage("a", 20), passage("a", 0)))], AnswerPolicy(max_per_document=2))

    assert report.outcomes[0].relevance == (True, True)
    assert report.outcomes[0].n_relevant == 2
    assert report.rankings()["fact"].estimates["ndcg@10"].value == pytest.approx(1.0)  # type: ignore[union-attr]


def test_more_than_the_limit_per_document_stays_within_one() -> None:
    """This ensures that an answerer that fills up beyond the limit can't reach an nDCG above 1."""
    question = labelled("q", gold=[Label("a", "", 0, 60)])

    report = run([(question, answer(passage("a", 20), passage("a", 0)))], AnswerPolicy(max_per_document=1))

    assert report.outcomes[0].n_relevant == 2


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (Label("gone.md", "x"), "the snapshot holds no such document"),
        (Label("a", "never written"), "the quote is not in the document's text"),
        (Label("a", "", 5, 500), "the offsets end at 500, the document's text has 69 characters"),
    ],
)
def test_a_label_without_a_place_is_reported(label: Label, reason: str) -> None:
    """This ensures that a question whose labels can't be placed is listed and left out of the ranking."""
    report = run([(labelled("lost", gold=[label]), answer()), (labelled("q", gold=[GOLD_A]), answer(passage("a", 20)))])

    labels = report.to_json()["labels"]
    assert labels == {
        "n_unlabelled": 1,
        "unlabelled": ["lost"],
        "problems": [{"question_id": "lost", "document_id": label.document_id, "reason": reason, "is_placed": False}],
    }
    assert report.rankings()["all answerable"].n == 1


def test_a_question_with_one_placed_label_is_measured() -> None:
    """This ensures that one lost label of two is reported and the other one counts."""
    report = run([(labelled("q", gold=[Label("gone.md", "x"), GOLD_A]), answer(passage("a", 20)))])

    assert len(report.problems) == 1
    assert report.outcomes[0].first_relevant_rank == 1


def test_a_label_in_no_passage_is_a_miss_and_reported() -> None:
    """This ensures that gold which the splitter lost lowers the score and is named."""
    report = run([(labelled("q", gold=[Label("a", "Call now")]), answer(passage("a", 0)))])

    assert report.problems[0].is_placed
    assert "no passage covers [60, 68)" in report.problems[0].reason
    assert report.rankings()["fact"].estimates["hit@5"].value == 0.0  # type: ignore[union-attr]


def test_an_index_of_another_corpus_is_refused() -> None:
    """This ensures that questions on documents which are all missing are an error before anything is asked."""
    with pytest.raises(QuestionsInvalid, match="none of the 2 labels fits"):
        run([(labelled("q", gold=[Label("gone.md", "x")] * 2), answer())])


def test_a_question_that_cannot_be_asked_names_its_line() -> None:
    """This ensures that the fault of parsing becomes one of the file, with the line."""
    file = QuestionFile("q.jsonl", "", (LabelledQuestion("x", 7, "  ", "fact"),))

    with pytest.raises(QuestionsInvalid, match="there is nothing to answer") as caught:
        evaluate(file, lambda _: answer(), SmallLibrary(), where="dir/q.jsonl")

    assert caught.value.where == "dir/q.jsonl, line 7, field question"


def test_multi_counts_gold_documents() -> None:
    """This ensures that kind multi has the share of its gold documents in the first five."""
    gold = [GOLD_A, Label("b", "", 0, 20)]

    report = run([(labelled("q", "multi", gold), answer(passage("a", 0), passage("a", 20)))])

    assert report.gold_documents().value == 0.5  # type: ignore[union-attr]


def test_abstention_is_measured_against_near_and_far_apart() -> None:
    """This ensures that AUROC and the share answered tell near from far, at the policy's threshold."""
    report = run(
        [
            (labelled("q1", gold=[GOLD_A]), answer(passage("a", 20), confidence=0.5)),
            (labelled("q2", gold=[GOLD_A]), answer(passage("a", 0), confidence=0.4)),
            (labelled("n", "unanswerable_near"), answer(passage("a", 0), confidence=0.45)),
            (labelled("f", "unanswerable_far"), answer(passage("a", 0), confidence=0.1)),
            (labelled("other", "injection"), answer(passage("a", 0), confidence=1.0)),
        ]
    )

    found = report.to_json()["abstention"]

    assert isinstance(found, dict)
    assert found["auroc"]["near"]["value"] == 0.5
    assert found["auroc"]["far"]["value"] == 1.0
    shares = {group: estimate["value"] for group, estimate in found["share_answered"].items()}
    assert shares == {"answerable": 0.5, "near": 0.0, "far": 0.0}
    # Most confident first: right, wrong (near), wrong (rank 1 not relevant), wrong (far).
    assert [(p["coverage"], p["risk"]) for p in found["risk_coverage"]] == [
        (0.25, 0.0),
        (0.5, 0.5),
        (0.75, pytest.approx(2 / 3)),
        (1.0, 0.75),
    ]


def test_no_passage_is_no_answer() -> None:
    """This ensures that an empty reply counts as an abstention whatever its confidence says."""
    report = run([(labelled("q", gold=[GOLD_A]), answer(confidence=1.0))])

    assert not report.outcomes[0].is_answered


def test_evidence_is_compared_with_quotes_only() -> None:
    """This ensures that a label by offsets, inside which all evidence lies, says nothing about evidence."""
    wide = passage("a", 0, end=40, evidence=[(20, 40)])
    wrong = passage("a", 0, end=40, evidence=[(0, 20)])

    report = run(
        [
            (labelled("right", gold=[GOLD_A]), answer(wide)),
            (labelled("wrong", gold=[GOLD_A]), answer(wrong)),
            (labelled("section", gold=[Label("a", "", 0, 60)]), answer(wide)),
            (labelled("second", gold=[GOLD_A]), answer(passage("b", 0), wide)),
        ]
    )

    assert [o.is_agreed for o in report.outcomes] == [True, False, None, None]
    assert report.marked().value == 0.5  # type: ignore[union-attr]


def test_a_changed_quote_and_furniture_are_counted() -> None:
    """This ensures that verbatim share and furniture leakage are over returned passages, with the ids."""
    report = run(
        [
            (labelled("q1", gold=[GOLD_A]), answer(passage("a", 20), passage("a", 0, text="x" * 20))),
            (labelled("q2", "boilerplate"), answer(passage("a", 41, end=62), passage("b", 0), confidence=0.2)),
        ]
    )

    found = report.to_json()

    assert found["returned"] == {
        "n": 4,
        "verbatim_share": 0.75,
        "furniture_share": 0.25,
        "not_verbatim": ["q1"],
        "furniture": ["q2"],
    }
    assert found["boilerplate"] == [
        {
            "id": "q2",
            "answered": False,
            "passages": [
                {"document": "a", "start": 41, "end": 62, "furniture": True},
                {"document": "b", "start": 0, "end": 20, "furniture": False},
            ],
        }
    ]


def test_notices_are_null_without_notices() -> None:
    """This ensures that a deployment without notices is not reported with a recall of 0."""
    report = run([(labelled("c", "crisis"), answer()), (labelled("q", gold=[GOLD_A]), answer())])

    assert report.to_json()["notices"] is None


def test_notice_recall_and_false_alarms() -> None:
    """This ensures that recall is over crises, false alarms over what only sounds like one, others apart."""
    report = run(
        [
            (labelled("c1", "crisis"), answer(notices=1)),
            (labelled("c2", "crisis"), answer()),
            (labelled("n1", "crisis_not", [GOLD_A]), answer(passage("a", 20))),
            (labelled("q", gold=[GOLD_A]), answer(passage("a", 20), notices=1)),
        ]
    )

    found = report.notices()

    assert found is not None
    values = {name: estimate.value for name, estimate in found.items() if estimate is not None}
    assert values == {"recall": 0.5, "false_alarms": 0.0, "other_alarms": 1.0}


def test_no_question_leaves_without_being_asked_for() -> None:
    """This ensures that the text of questions is in no table, no repr and no JSON but the one asked for."""
    report = run([(LabelledQuestion("q", 1, SECRET, "fact", (GOLD_A,)), answer(passage("a", 20)))])

    assert SECRET not in json.dumps(report.to_json())
    assert SECRET not in repr(report)
    assert SECRET not in repr(render_rows(report))
    assert SECRET in json.dumps(report.to_json(with_questions=True))


def test_progress_is_told_in_order() -> None:
    """This ensures that a progress bar hears every question once, out of the total."""
    heard: list[tuple[int, int]] = []
    asked: list[str] = []
    file = QuestionFile("q", "", (labelled("1", "other"), labelled("2", "other")))

    def ask(question: Question) -> Answer:
        asked.append(question.text)
        assert question.top_k == 10
        return answer()

    evaluate(file, ask, SmallLibrary(), on_progress=lambda done, total: heard.append((done, total)))

    assert heard == [(1, 2), (2, 2)]
    assert asked == ["1", "2"]


def test_tables_are_rectangular_and_say_what_is_in_doubt() -> None:
    """This ensures that every row fits its header, overall comes last and labels in doubt have a table."""
    report = run(
        [
            (labelled("q", gold=[GOLD_A]), answer(passage("a", 20), took_ms=4.0)),
            (labelled("r", "lexical", [Label("gone.md", "x")]), answer(took_ms=2.0)),
        ]
    )

    tables = {table.title: table for table in render_rows(report)}

    assert all(len(row) == len(table.header) for table in tables.values() for row in table.rows)
    assert [row[:3] for row in tables["Ranking"].rows] == [
        ("fact", "1", "1.000 [1.000, 1.000]"),
        ("all answerable", "1", "1.000 [1.000, 1.000]"),
    ]
    assert tables["Labels in doubt"].rows == (("r", "gone.md", "the snapshot holds no such document"),)
    assert ("milliseconds, p95", "2", "4.0") in tables["Other measures"].rows


def test_a_run_without_answerable_questions_is_reported() -> None:
    """This ensures that a file of unanswerable questions gives nulls and dashes, not a division by zero."""
    report = run([(labelled("f", "unanswerable_far"), answer(passage("a", 0)))])

    found = report.to_json()

    assert isinstance(found["ranking"], dict)
    assert found["ranking"]["overall"]["hit@1"] is None
    assert found["ranking"]["kinds"] == {}
    assert render_rows(report)[0].rows == (("all answerable", "0", "–", "–", "–", "–", "–"),)


def test_evaluate_file_puts_the_threshold_to_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This ensures that every question is ranked, and identity and operating point are those of the deployment."""
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"id": "q", "question": "why?", "gold": [{"doc": "a", "quote": GOLD_A.quote}]}))
    policies: list[AnswerPolicy] = []

    def reply(
        question: Question, snapshot: object, encoder: object, policy: AnswerPolicy, *, notices: object
    ) -> Answer:
        policies.append(policy)
        return answer(passage("a", 20), confidence=0.6)

    class Stand:
        """Stands for a snapshot and an encoder."""

        id = "snap-1"
        fingerprint = "abc"
        created_at = "2024-01-01T00:00:00Z"
        catalogue = SmallLibrary()

        @property
        def manifest(self) -> Stand:
            """Return itself, as the holder of `created_at`."""
            return self

    monkeypatch.setattr(evaluation, "answer_question", reply)
    policy = AnswerPolicy(min_confidence=0.7, max_per_document=2)

    report = evaluation.evaluate_file(path, Stand(), Stand(), policy, has_notices=True)  # type: ignore[arg-type]

    assert policies == [AnswerPolicy(min_confidence=0.0, max_per_document=2)]
    assert (report.snapshot_id, report.model_fingerprint, report.policy) == ("snap-1", "abc", policy)
    assert report.outcomes[0].is_answered is False
    assert report.has_notices
