"""
Ask a Citewell server from Python, with the standard library alone.

    echo "How soon does withdrawal start?" | python ask.py https://citewell.example.org

The question comes from standard input, so that no shell keeps it. Copy this file; it needs nothing of Citewell.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any


class AskFailed(Exception):
    """The server refused or failed: `status`, `code`, `retry_after_s` (None if it does not say) and `notices`."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after_s: float | None) -> None:
        self.status = status
        self.code = str(problem.get("code", "not_citewell"))
        self.retry_after_s = retry_after_s
        # Somebody in danger gets them even where nothing can be answered: show them first.
        self.notices: list[dict[str, Any]] = list(problem.get("notices", []))
        words = (problem.get("detail"), problem.get("fix"), f"request {problem.get('request_id')}")
        super().__init__(f"{status} {self.code}: {' '.join(str(part) for part in words if part)}")


def ask(endpoint: str, question: str, *, timeout_s: float = 20.0, **options: Any) -> dict[str, Any]:
    """
    Return the server's answer as it is sent; see its /openapi.json.

    Args:
        options: `top_k`, `filters`, `explain`.

    Raises:
        AskFailed: the server answered with an error, or is no Citewell server.
        OSError: it can't be reached.
    """
    request = urllib.request.Request(  # noqa: S310  the address is the caller's own
        f"{endpoint.rstrip('/')}/v1/ask",
        json.dumps({"question": question, **options}).encode(),
        {"content-type": "application/json", "accept": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            answer = _read_json(response.read())
            status = int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            after = error.headers.get("retry-after", "")
            raise AskFailed(error.code, _read_json(error.read()), float(after) if after.isdigit() else None) from error
    if not isinstance(answer.get("answered"), bool):
        raise AskFailed(status, {}, None)
    return answer


def _read_json(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def shown(answer: dict[str, Any]) -> Iterator[str]:
    """Yield an answer as lines for a person: notices first, then each quotation with its reference."""
    yield from _notices(answer["notices"])
    if not answer["answered"]:
        yield f"No answer ({answer['reason']})."
    for passage in answer["passages"]:
        note = passage["document"]["content_note"]
        if note:
            yield f"Before you read: {note}"
        yield f"“{passage['text']}”"
        yield f"    {passage['citation']['text']}"


def _notices(notices: list[dict[str, Any]]) -> Iterator[str]:
    for notice in notices:
        yield notice["title"]
        yield notice["text"]
        yield from (f"{link['label']}: {link['href']}" for link in notice["links"])


def main() -> int:
    """Ask what standard input holds; exit 0 with an answer, 1 without one or on failure, 2 on wrong usage."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python ask.py ENDPOINT, with the question on standard input\n")
        return 2
    try:
        answer = ask(sys.argv[1], sys.stdin.read())
    except (AskFailed, OSError, ValueError) as error:
        if isinstance(error, AskFailed):
            sys.stdout.writelines(f"{line}\n" for line in _notices(error.notices))
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in shown(answer))
    return 0 if answer["answered"] else 1


if __name__ == "__main__":
    sys.exit(main())
