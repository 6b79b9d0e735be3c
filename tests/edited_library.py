"""A library in two builds, between which passages stay, move, change and are withdrawn; and the ids of its passages."""

from __future__ import annotations

from tests_support import count_words

from index.testing import Library, tiny_document
from ingest.split import SplitConfig, passage_id, split_document

SAME = "Naltrexone blocks receptors for opioids. It does so for a day."
MOVED = "Families are welcome at most groups. They need not register."
BEFORE = "The clinic opens at nine. Methadone is given until noon. Bring a card with your name."
AFTER = "The clinic opens at ten. Methadone is given until noon. Bring a card with your name."
LOST = "Canaryword stood here for long. Nobody knows what came of it."
GONE = "Canaryword gave advice that was wrong. It must not be seen again."


def library(documents: dict[str, list[str]]) -> Library:
    """Return documents given as paragraphs."""
    built = []
    for path, texts in documents.items():
        sections = {f"Part {n}": [text] for n, text in enumerate(texts)}
        document = tiny_document(path, f"Title of {path}", sections, content_note="mentions clinics")
        built.append((document, split_document(document, SplitConfig(), count_words)))
    return tuple(built)


FIRST = {"a.md": [SAME, BEFORE, LOST, SAME.upper()], "b.md": [MOVED, SAME.lower()], "c.md": [GONE]}
SECOND = {"a.md": [SAME, AFTER, "Other words entirely.", SAME.upper(), MOVED], "b.md": [SAME.lower()]}


def cited(document: str, text: str) -> str:
    """Return the id that a passage of a document has for its words."""
    return passage_id(document, text, 1)
