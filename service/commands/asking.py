"""`citewell ask` and `citewell eval`: questions answered here, from the index folder, without a server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.encoder import open_encoder
from index.model import Filters, QueryEncoder
from index.snapshot import Snapshot, open_snapshot
from ingest.errors import AppError
from ingest.model import SourceType
from service.answer import Answer, AnswerPassage
from service.answering import answer_question, answer_without_index, parse_question
from service.commands.output import marked, print_json, print_line, print_quote, print_table, progress
from service.engines import opened_index
from service.errors import QuestionUnreadable, RequestInvalid
from service.evaluation import evaluate_file, render_rows
from service.floors import to_baseline, write_baseline
from service.notices import notices_only
from service.plotting import check_plotting, draw_report
from service.runtime import board_for, check_model, policy_for
from service.schemas import AskResponse
from service.settings import Settings


def run_ask(words: list[str], top_k: int, source_types: list[str], settings: Settings, *, as_json: bool) -> int:
    """
    Answer one question; returns the exit code.

    Args:
        words: the question; "-" alone reads it from standard input, which leaves no trace in a shell's history.
    """
    question = parse_question(
        _read_question(words, settings.max_question_chars),
        top_k=top_k,
        filters=Filters(source_type=tuple(_source_type(name) for name in source_types)),
        max_chars=settings.max_question_chars,
        max_top_k=settings.max_top_k,
    )
    board = board_for(settings)
    try:
        with opened(settings) as (snapshot, encoder):
            answer = answer_question(question, snapshot, encoder, policy_for(settings, snapshot), notices=board)
    except AppError:
        # Somebody in danger reads the notice before the error.
        if notices := notices_only(question.text, board, None):
            _show(answer_without_index(notices), as_json=as_json)
        raise
    _show(answer, as_json=as_json)
    return 0


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        print_json(AskResponse.from_answer(answer).model_dump(mode="json"))
    else:
        _print_answer(answer)


def run_eval(
    questions: Path,
    settings: Settings,
    *,
    as_json: bool,
    with_questions: bool,
    plot: Path | None = None,
    floors: Path | None = None,
) -> int:
    """
    Ask a file of labelled questions and print the measures; returns the exit code.

    Args:
        plot: PNG file to draw the reliability diagram and the risk by coverage into.
        floors: file to pin what was measured in, for `citewell build --gate`.
    """
    if plot is not None:
        check_plotting()  # before minutes of asking
    with opened(settings) as (snapshot, encoder), progress("asking") as on_progress:
        policy = policy_for(settings, snapshot)
        report = evaluate_file(questions, snapshot, encoder, policy, on_progress, notices=board_for(settings))
    if plot is not None:
        draw_report(report, plot)
    if floors is not None:
        write_baseline(to_baseline(report.to_json()), floors)
    if as_json:
        print_json(report.to_json(with_questions=with_questions))
    else:
        for table in render_rows(report):
            print_table(table.header, table.rows, table.title)
            print_line()
    return 0


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Snapshot, QueryEncoder]]:
    """Open the current snapshot and its encoder; raises as `open_snapshot`, `check_model` and `open_encoder`."""
    with opened_index(settings) as index_dir, open_snapshot(index_dir) as snapshot:
        check_model(settings, snapshot)
        yield snapshot, open_encoder(settings.index_dir, snapshot.manifest.model.fingerprint, settings.query_encoder)


def _read_question(words: list[str], max_chars: int) -> str:
    if words != ["-"]:
        return " ".join(words)
    try:
        # One character more than allowed is enough to know that it is too long; four bytes hold any character.
        return sys.stdin.buffer.read(4 * (max_chars + 1)).decode("utf-8")
    except UnicodeDecodeError:
        raise QuestionUnreadable(
            "standard input is not UTF-8", where="question", fix="send the question as UTF-8 text"
        ) from None


def _source_type(name: str) -> SourceType:
    try:
        return SourceType(name)
    except ValueError:
        raise RequestInvalid(
            "there is no such kind of source", where="--source-type", fix=f"use one of {', '.join(SourceType)}"
        ) from None


def _print_answer(answer: Answer) -> None:
    for notice in answer.notices:
        print_line(marked(notice.title))
        print_line(notice.text)
        for link in notice.links:
            print_line(f"{link.label}: {link.href}")
        print_line()
    for name in answer.matched:
        print_line(f"Understood {name}")
    if answer.answered:
        for passage in answer.passages:
            _print_passage(passage)
        return
    if answer.reason == "no_index":
        return
    if answer.reason == "language_not_supported":
        print_line("The question is in a language that this library can't search (language_not_supported).")
        print_line(f"It can be asked in: {', '.join(answer.languages)}.")
        return
    print_line(f"Nothing in this library answers that ({answer.reason}).")
    if answer.nearest:
        print_line("Not an answer, only the closest passages:")
        print_line()
    for passage in answer.nearest:
        _print_passage(passage)


def _print_passage(passage: AnswerPassage) -> None:
    document = passage.document
    place = [document.id, f"characters {passage.start} to {passage.end}"]
    if passage.pages:
        place.append(f"pages {passage.pages[0]} to {passage.pages[1]}")
    # Many documents repeat their title as the first heading.
    headings = dict.fromkeys((document.title, *passage.heading_path))
    print_line(f"{passage.rank}. {' > '.join(headings)}")
    if document.content_note:
        print_line(f"Before you read: {document.content_note}")
    print_line()
    print_quote([(segment.text, segment.evidence) for segment in passage.segments])
    print_line()
    print_line(f"   {passage.citation.text} ({', '.join(place)})")
    if document.flags:
        print_line(f"   Keep in mind: {', '.join(flag.replace('_', ' ') for flag in document.flags)}")
    if passage.citation.link:
        print_line(f"   {passage.citation.link}")
    print_line()
