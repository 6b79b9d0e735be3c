"""
Documents and passages as readers of the library see them, outside any question. Pure, apart from reading a snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from index.catalogue_rows import StoredDocument, StoredPassage
from index.snapshot import Snapshot
from service.answer import Citation, DocumentCard, Proof
from service.citing import cite, document_card, proof
from service.errors import CitationMismatch, NotFound

# About one passage more on each side: enough to see what a quote stands in, too little to replace the document.
_CONTEXT_CHARS = 1_200


@dataclass(frozen=True, slots=True)
class PassageInPlace:
    """A passage with its citation and with what stands around it in its document."""

    stored: StoredPassage
    card: DocumentCard
    citation: Citation
    proof: Proof
    before: str
    after: str


def web_address(url: str) -> str:
    """Return an address if a page may link to it, otherwise ""; a document's metadata may say `javascript:`."""
    return url if url.lower().startswith(("https://", "http://")) else ""


def find_document(snapshot: Snapshot, document_id: str) -> StoredDocument:
    """
    Return one document of the snapshot.

    Raises:
        NotFound: there is none of that id.
    """
    found = snapshot.catalogue.document(document_id)
    if found is None:
        raise NotFound(
            "no document has that id", where="document", fix="see GET /v1/documents; it may have been withdrawn"
        )
    return found


def find_passage(snapshot: Snapshot, passage_id: str, today: date) -> PassageInPlace:
    """
    Return one passage with what leads back to its source.

    Raises:
        NotFound: there is none of that id.
        CitationMismatch: the document does not hold the passage's words at its place.
    """
    stored = snapshot.catalogue.passage_by_id(passage_id)
    if stored is None:
        raise NotFound(
            "no passage has that id", where="passage", fix="its document may have been changed or withdrawn; ask again"
        )
    text = snapshot.catalogue.text(stored.document.id)
    passage = stored.passage
    if text[passage.start : passage.end] != passage.text:
        raise CitationMismatch(
            f"passage {passage.id} is not at its place in its document",
            where=f"{snapshot.id}, {stored.document.id}",
            fix="run `citewell verify`, then build again",
        )
    around = snapshot.catalogue.passages_of(stored.document.id)
    start = max((p.passage.start for p in around if p.passage.end <= passage.start), default=0)
    end = min((p.passage.end for p in around if p.passage.start >= passage.end), default=len(text))
    return PassageInPlace(
        stored=stored,
        card=document_card(stored.document, today),
        citation=cite(stored.document, passage, (passage.start, passage.end), text),
        proof=proof(stored.document),
        before=text[max(start, passage.start - _CONTEXT_CHARS) : passage.start],
        after=text[passage.end : min(end, passage.end + _CONTEXT_CHARS)],
    )
