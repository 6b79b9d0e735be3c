"""How a passage is named, found again and proved: citation text, W3C selectors, links, flags. Pure."""

from __future__ import annotations

from datetime import date
from urllib.parse import quote, urldefrag

from index.catalogue_rows import StoredDocument
from ingest.model import Metadata, Passage, SourceType
from service.answer import Citation, DocumentCard, Proof, TextPositionSelector, TextQuoteSelector
from service.text_fragment import text_directive

# Characters around a quote in its selector; the W3C model leaves the number open, 32 is what annotation tools use.
_CONTEXT_CHARS = 32
# Past this age without a review a page is flagged; ten years is long for treatment advice.
_OLD_DAYS = 10 * 365


def document_card(stored: StoredDocument, today: date) -> DocumentCard:
    """Return what a reader needs to judge a document; flags by `today`."""
    meta = stored.metadata
    return DocumentCard(
        id=stored.id,
        source_path=stored.id,
        title=meta.title,
        publisher=meta.publisher,
        authors=meta.authors,
        published=meta.published,
        reviewed=meta.reviewed,
        review_due=meta.review_due,
        source_type=meta.source_type,
        url=meta.url,
        license=meta.license,
        language=meta.language,
        tags=meta.tags,
        audience=meta.audience,
        funding=meta.funding,
        disclosure=meta.disclosure,
        content_note=meta.content_note,
        flags=flags(meta, today),
    )


def flags(meta: Metadata, today: date) -> tuple[str, ...]:
    """Return what a reader should beware of, by the clock: undated, old, review_overdue, commercial, personal."""
    last = max((d for d in (meta.published, meta.reviewed) if d), default=None)
    found = {
        "undated": last is None,
        "old": last is not None and (today - last).days > _OLD_DAYS,
        "review_overdue": meta.review_due is not None and meta.review_due < today,
        "commercial": meta.source_type is SourceType.TREATMENT_PROVIDER,
        "personal_testimony": meta.source_type is SourceType.PERSONAL,
    }
    return tuple(name for name, holds in found.items() if holds)


def cite(stored: StoredDocument, passage: Passage, evidence: tuple[int, int], document_text: str) -> Citation:
    """Return the citation of a passage; the link leads to its evidence."""
    exact = document_text[passage.start : passage.end]
    return Citation(
        text=citation_text(stored.metadata, passage),
        quote_selector=TextQuoteSelector(
            exact=exact,
            prefix=document_text[max(0, passage.start - _CONTEXT_CHARS) : passage.start],
            suffix=document_text[passage.end : passage.end + _CONTEXT_CHARS],
        ),
        position_selector=TextPositionSelector(passage.start, passage.end),
        link=deep_link(stored, passage, evidence, document_text),
        permalink=f"/c/{passage.id}",
    )


def citation_text(meta: Metadata, passage: Passage) -> str:
    """Return `Authors. Title. Publisher, 2016. Section "...". p. 3. URL`, leaving out what is not known."""
    year = str(meta.published.year) if meta.published else "no date"
    parts = [
        ", ".join(author for author in meta.authors if author != meta.publisher),
        meta.title,
        f"{meta.publisher}, {year}" if meta.publisher else year,
        f'Section "{passage.heading_path[-1]}"' if passage.heading_path else "",
        _page_text(passage.pages),
        meta.url,
    ]
    return " ".join(f"{part.rstrip('.')}." if part != meta.url else part for part in parts if part)


def _page_text(pages: tuple[int, int] | None) -> str:
    if pages is None:
        return ""
    return f"p. {pages[0]}" if pages[0] == pages[1] else f"pp. {pages[0]}-{pages[1]}"


def deep_link(stored: StoredDocument, passage: Passage, evidence: tuple[int, int], document_text: str) -> str:
    """
    Return an address that opens the source at the evidence, "" for a document without an address.

    PDF viewers understand `#page=`; browsers a text fragment, with the section's element id before it as a fallback.
    """
    if not stored.metadata.url:
        return ""
    base, _ = urldefrag(stored.metadata.url)
    if passage.pages is not None:
        return f"{base}#page={passage.pages[0]}"
    # In an EPUB the id lies in a chapter's file, which the address of the book knows nothing of.
    element_id = "" if "#" in passage.element_id else quote(passage.element_id, safe="")
    return f"{base}#{element_id}:~:text={text_directive(document_text, *evidence)}"


def proof(stored: StoredDocument) -> Proof:
    """Return what re-proving a quote of this document takes."""
    return Proof(text_sha256=stored.text_sha256, source_sha256=stored.source.sha256, reader=stored.reader)
