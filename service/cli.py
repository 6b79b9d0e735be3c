"""
The command line: names, arguments and help. What a command does stands in `service.commands` and is imported on call.

Nothing heavy may be imported here: `citewell --help` answers in under 0.3 s.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.exceptions import TyperException

if TYPE_CHECKING:
    from service.settings import Settings

app = typer.Typer(
    name="citewell",
    help="Answers questions from a library of documents with verbatim, cited passages and nothing else.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_SETTINGS = "Settings can also be given in citewell.toml and by CITEWELL_ variables; see the README."
IndexDirOption = Annotated[
    Path | None, typer.Option("--index-dir", help="Folder of the index. [default: var/index]", show_default=False)
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="Embedding model: a name or a folder. [default: all-MiniLM-L6-v2]", show_default=False
    ),
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option(
        "--min-confidence", help="Abstain below this, 0 to 1. [default: the calibration's]", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CorpusArgument = Annotated[
    Path | None, typer.Argument(metavar="CORPUS", help="Folder of documents. [default: corpus]", show_default=False)
]


@app.command(epilog=_SETTINGS)
def build(
    corpus: CorpusArgument = None,
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
    allow_failures: Annotated[bool, typer.Option("--allow-failures", help="Exit 0 although files failed.")] = False,
    gate: Annotated[
        Path | None,
        typer.Option("--gate", metavar="QUESTIONS.jsonl", help="Publish only if these answers hold their floors."),
    ] = None,
    gate_floors: Annotated[
        Path | None,
        typer.Option("--gate-floors", help="Floors of the gate. [default: QUESTIONS.floors.json]", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change; write nothing.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Build again whenever a document changes.")] = False,
    executor: Annotated[
        str | None, typer.Option("--executor", help="local or ray. [default: local]", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Index a folder of documents."""
    from service.commands.building import run_build

    settings = _settings(corpus=corpus, index_dir=index_dir, model=model, executor=executor)
    return run_build(
        settings,
        allow_failures=allow_failures,
        as_json=as_json,
        gate=gate,
        gate_floors=gate_floors,
        dry_run=dry_run,
        watch=watch,
    )


@app.command(epilog=_SETTINGS)
def ask(
    question: Annotated[
        list[str],
        typer.Argument(
            metavar="QUESTION", help='The question. "-" reads it from standard input, and no shell remembers it.'
        ),
    ],
    top_k: Annotated[int, typer.Option("--top-k", help="Most passages wanted.")] = 5,
    source_type: Annotated[
        list[str] | None, typer.Option("--source-type", help="Quote only this kind of source; may be repeated.")
    ] = None,
    min_confidence: ConfidenceOption = None,
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> int:
    """Answer a question with quotations."""
    from service.commands.asking import run_ask

    settings = _settings(index_dir=index_dir, model=model, min_confidence=min_confidence)
    return run_ask(question, top_k, source_type or [], settings, as_json=as_json)


@app.command(epilog=_SETTINGS)
def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on. [default: 127.0.0.1]", show_default=False)
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port; 0 takes a free one. [default: 8000]", show_default=False)
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Serving processes. [default: 1]", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option("--log-level", help="debug, info, warning or error. [default: info]", show_default=False),
    ] = None,
    min_confidence: ConfidenceOption = None,
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
) -> int:
    """Serve the HTTP API and the search page."""
    from service.commands.serving import run_serve

    return run_serve(
        _settings(
            host=host,
            port=port,
            workers=workers,
            log_level=log_level,
            min_confidence=min_confidence,
            index_dir=index_dir,
            model=model,
        )
    )


@app.command(epilog=_SETTINGS)
def verify(
    snapshot: Annotated[str | None, typer.Argument(help="Which one; the current one otherwise.")] = None,
    index_dir: IndexDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Prove every quote and file again."""
    from service.commands.keeping import run_verify

    return run_verify(snapshot, _settings(index_dir=index_dir), as_json=as_json)


@app.command(epilog=_SETTINGS)
def lint(corpus: CorpusArgument = None, as_json: JsonOption = False) -> int:
    """List what to mend in the metadata."""
    from service.commands.linting import run_lint

    return run_lint(_settings(corpus=corpus), as_json=as_json)


@app.command("eval", epilog=_SETTINGS)
def evaluate(
    questions: Annotated[Path, typer.Argument(metavar="QUESTIONS.jsonl", help="Labelled questions, one JSON a line.")],
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
    min_confidence: ConfidenceOption = None,
    with_questions: Annotated[
        bool, typer.Option("--with-questions", help="Put the questions' texts into the JSON.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw reliability and risk by coverage.")
    ] = None,
    floors: Annotated[
        Path | None, typer.Option("--floors", metavar="FILE.json", help="Pin what was measured, for build --gate.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """
    Measure answers on labelled questions.

    A line labels a question by "gold" (document and quote) or by "document", "start" and "end".
    """
    from service.commands.asking import run_eval

    settings = _settings(index_dir=index_dir, model=model, min_confidence=min_confidence)
    return run_eval(questions, settings, as_json=as_json, with_questions=with_questions, plot=plot, floors=floors)


@app.command(epilog=_SETTINGS)
def calibrate(
    questions: Annotated[
        list[Path], typer.Argument(metavar="QUESTIONS.jsonl", help="Labelled questions, answerable and unanswerable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("calibration.json"),
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> int:
    """
    Fit when to answer and when to abstain.

    Unanswerable questions have the kind "unanswerable_near" or "unanswerable_far" and an empty "gold".
    """
    from service.commands.calibrating import run_calibrate

    return run_calibrate(questions, out, _settings(index_dir=index_dir, model=model), as_json=as_json)


@app.command(epilog=_SETTINGS)
def snapshots(index_dir: IndexDirOption = None, as_json: JsonOption = False) -> int:
    """List published snapshots, newest first."""
    from service.commands.keeping import run_snapshots

    return run_snapshots(_settings(index_dir=index_dir), as_json=as_json)


@app.command(epilog=_SETTINGS)
def rollback(
    snapshot: Annotated[str | None, typer.Argument(help="Which one; the one before the current otherwise.")] = None,
    index_dir: IndexDirOption = None,
    as_json: JsonOption = False,
) -> int:
    """Serve an older snapshot again."""
    from service.commands.keeping import run_rollback

    return run_rollback(snapshot, _settings(index_dir=index_dir), as_json=as_json)


@app.command(epilog=_SETTINGS)
def forget(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its id: the path in the corpus folder.")],
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="Folder of documents. [default: corpus]", show_default=False)
    ] = None,
    index_dir: IndexDirOption = None,
    model: ModelOption = None,
    delete_file: Annotated[bool, typer.Option("--delete-file", help="Delete its file from the corpus first.")] = False,
    as_json: JsonOption = False,
) -> int:
    """
    Remove a withdrawn document from everything.

    Older snapshots that hold it are deleted, and a receipt says what was removed and what is out of reach.
    """
    from service.commands.forgetting import run_forget

    settings = _settings(corpus=corpus, index_dir=index_dir, model=model)
    return run_forget(document, settings, delete_file=delete_file, as_json=as_json)


@app.command(epilog=_SETTINGS)
def token(
    days: Annotated[
        int | None,
        typer.Option("--days", help="Days that it is valid. [default: no end]", min=1, max=3_650, show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Make a token for admin_tokens or read_tokens and show it, once."""
    from service.commands.tokens import run_token

    return run_token(days, as_json=as_json)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with 0, with 1 for a failure, or with 2 for wrong usage."""
    given = sys.argv[1:] if arguments is None else arguments
    raise SystemExit(run(given))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; every error becomes a line on standard error."""
    try:
        result: Any = app(args=arguments or ["--help"], prog_name="citewell", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has enough. The interpreter would complain on flushing it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 1
    except Exception as error:  # noqa: BLE001  the last line of defence: an exception's text may hold the question
        return _report(error, as_json="--json" in arguments)
    return result if isinstance(result, int) else 0


def _settings(**flags: object) -> Settings:
    from service.environment import load_settings

    return load_settings(flags)


def _report(error: Exception, *, as_json: bool) -> int:
    """Write an error to standard error, the same members for people and for programs; return the exit code."""
    usage = _usage_text(error)
    if usage is not None:
        shown, exit_code = {"code": "usage", "what": usage, "where": "", "fix": "see citewell --help"}, 2
    else:
        from ingest.errors import AppError
        from service.problems import EXIT_FAILURE, frames_of, rule_for

        if isinstance(error, AppError):
            shown = {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}
            exit_code = rule_for(error).exit_code
        else:
            place = frames_of(error)[-1:] or [""]
            what = f"something failed that should not ({type(error).__name__})"
            shown = {"code": "internal_error", "what": what, "where": place[0], "fix": "report it with this line"}
            exit_code = EXIT_FAILURE
    if as_json:
        sys.stderr.write(json.dumps(shown) + "\n")
    else:
        where = f"{shown['where']}: " if shown["where"] else ""
        sys.stderr.write(f"error: {where}{shown['what']}\n{shown['fix']}\n")
    return exit_code


def _usage_text(error: Exception) -> str | None:
    """Return what is wrong with the arguments, None for an error of another kind."""
    if not isinstance(error, TyperException):
        return None
    context = getattr(error, "ctx", None)
    if getattr(context, "info_name", "") == "ask":
        # A question without quotation marks can be taken for options and their values, which the message repeats.
        return "the arguments of ask don't fit; put the question into quotation marks, or send it to `citewell ask -`"
    return str(error) or "an argument is missing"


if __name__ == "__main__":  # `python -m service.cli`, which would do nothing and say nothing otherwise
    main()
