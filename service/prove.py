"""
Prove the quotes of a saved reply again: `python prove.py REPLY.json TEXTS`. Standard library only; needs no Citewell.

REPLY.json is what POST /v1/ask sent. TEXTS is the service's address, or a folder with documents' texts by their id.
"""

import hashlib
import json
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any


def read_text(document_id: str, texts: str) -> str:
    """Return a document's text, from the folder or from the service."""
    if not texts.startswith(("http://", "https://")):
        return Path(texts, document_id).read_bytes().decode("utf-8")
    address = f"{texts.rstrip('/')}/v1/documents/{urllib.parse.quote(document_id)}/text"
    with urllib.request.urlopen(address, timeout=30) as reply:  # noqa: S310  the user's own address, checked above
        return str(reply.read(), "utf-8")


def failed_claims(passage: dict[str, Any], text: str) -> list[str]:
    """Return what does not hold of a passage and its document's text."""
    start, end, quote = passage["start"], passage["end"], passage["text"]
    by_type = {selector["type"]: selector for selector in passage["citation"]["selectors"]}
    words, place = by_type["TextQuoteSelector"], by_type["TextPositionSelector"]
    spans = [(span["start"], span["end"]) for span in passage["evidence"]]
    evidence = "".join(text[a:b] for a, b in spans)
    claims = {
        "the text has the SHA-256": hashlib.sha256(text.encode("utf-8")).hexdigest() == passage["proof"]["text_sha256"],
        "the quote is at its place": 0 <= start < end and text[start:end] == quote,
        "evidence lies in the quote": all(start <= a < b <= end for a, b in spans),
        "segments make up the quote": "".join(segment["text"] for segment in passage["segments"]) == quote,
        "segments show the evidence": "".join(s["text"] for s in passage["segments"] if s["evidence"]) == evidence,
        "the selectors name the place": (place["start"], place["end"], words["exact"]) == (start, end, quote),
        "the prefix stands before": text[:start].endswith(words["prefix"]),
        "the suffix stands after": text[end:].startswith(words["suffix"]),
    }
    return [claim for claim, holds in claims.items() if not holds]


def main(reply_path: str, texts: str) -> int:
    """Prove every quote, print a line for each, return the exit code."""
    reply, n_failed = json.loads(Path(reply_path).read_bytes()), 0
    for passage in reply["passages"] + reply["nearest"]:
        name = f"{passage['document']['id']} [{passage['start']}, {passage['end']})"
        try:
            failed = failed_claims(passage, read_text(passage["document"]["id"], texts))
        except (OSError, ValueError, LookupError, TypeError) as error:
            failed = [f"could not be looked at: {error}"]
        n_failed += bool(failed)
        sys.stdout.write(f"{name}: {'NOT PROVEN: ' + '; '.join(failed) if failed else 'proven'}\n")
    return 1 if n_failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else "usage: python prove.py REPLY.json FOLDER_OR_ADDRESS")
