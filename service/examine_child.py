"""
Reads documents for a serving process, in a process of its own: `python -m service.examine_child`.

A reader takes up to two minutes on a hostile file and imports libraries that answering never needs; neither belongs
where questions are answered. One JSON line comes in on standard input, one goes out for each file.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from index.model_files import find_model
from index.model_loading import load_tokenizer
from ingest.errors import AppError, SourceError
from ingest.library import Library, SourceFile, open_library
from ingest.lint import LintFinding, lint_document
from ingest.model import Document
from ingest.read import read_document
from ingest.split import CountTokens, SplitConfig, split_document


def examine(library: Library, file: SourceFile, count_tokens: CountTokens, today: date) -> dict[str, Any]:
    """Return what reading one file gives: its metadata, its size in passages, and what is to be mended."""
    try:
        document = read_document(library, file)
    except SourceError as error:
        return {"id": file.path, "readable": False, "error": _error(error), "findings": []}
    says_type = "source_type" in {**library.defaults, **library.fields_of(file.path)}
    findings = lint_document(document, library.required, today, says_type=says_type)
    return {
        "id": file.path,
        "readable": True,
        "error": None,
        "reader": document.reader,
        "sha256": document.source.sha256,
        "n_chars": len(document.text),
        "n_pages": len(document.page_starts),
        "n_passages": len(split_document(document, SplitConfig(), count_tokens)),
        "metadata": _metadata(document),
        "findings": [_finding(finding) for finding in findings],
    }


def _metadata(document: Document) -> dict[str, Any]:
    values = asdict(document.metadata)
    values.pop("sources")
    return values


def _finding(finding: LintFinding) -> dict[str, Any]:
    return {
        "field": finding.field,
        "problem": finding.problem,
        "fix": finding.fix,
        "is_error": finding.is_error,
    }


def _error(error: AppError) -> dict[str, str]:
    return {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}


def main() -> None:
    """Read the request, answer it line by line, end."""
    request = json.loads(sys.stdin.readline())
    try:
        library = open_library(Path(request["corpus"]), allow_empty=True)
        tokenizer = load_tokenizer(find_model(request["model"]))
    except AppError as error:
        _say({"failed": _error(error)})
        return

    def count_tokens(texts: Any) -> list[int]:
        return [len(e.ids) for e in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    for asked in request["files"]:
        file = SourceFile(asked["id"], Path(asked["location"]))
        _say(examine(library, file, count_tokens, date.today()))


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
