"""Examples for the OpenAPI document, as data; a test holds each against its schema."""

from __future__ import annotations

from typing import Any

_SNAPSHOT = {"id": "20261121T101500Z-3f9ab2c41d07", "built_at": "2026-11-21T10:15:00Z"}
_TEXT = (
    "Withdrawal usually starts 8 to 24 hours after the last use of heroin. "
    "The worst of it passes within a week for most people."
)
_PROOF = {
    "text_sha256": "5b7b1d1f7a2f0c6a4e1b9e0d8c3f6a25d4c7e8b90a1f2e3d4c5b6a7980f1e2d3",
    "source_sha256": "5b7b1d1f7a2f0c6a4e1b9e0d8c3f6a25d4c7e8b90a1f2e3d4c5b6a7980f1e2d3",
    "reader": "markdown/1",
}
_CARD: dict[str, Any] = {
    "id": "withdrawal/onset.md",
    "source_path": "withdrawal/onset.md",
    "title": "When heroin withdrawal starts",
    "publisher": "Citewell starter library",
    "authors": [],
    "published": "2026-10-01",
    "reviewed": None,
    "review_due": "2027-10-01",
    "source_type": "other",
    "url": "https://example.org/withdrawal/onset",
    "license": "CC-BY-4.0",
    "language": "en",
    "tags": ["withdrawal"],
    "audience": [],
    "funding": "",
    "disclosure": "",
    "content_note": "",
    "flags": [],
}
_CITATION = {
    "text": "Citewell starter library, When heroin withdrawal starts, 2026-10-01",
    "selectors": [
        {"type": "TextQuoteSelector", "exact": _TEXT, "prefix": "# Onset\n\n", "suffix": "\n"},
        {"type": "TextPositionSelector", "start": 812, "end": 812 + len(_TEXT)},
    ],
    "link": "https://example.org/withdrawal/onset#:~:text=Withdrawal%20usually%20starts",
    "permalink": "/c/5f0c2a9d41be7730",
}
_QUOTE: dict[str, Any] = {
    "id": "5f0c2a9d41be7730",
    "text": _TEXT,
    "start": 812,
    "end": 812 + len(_TEXT),
    "heading_path": ["Onset"],
    "pages": None,
    "document": _CARD,
    "citation": _CITATION,
    "proof": _PROOF,
}
_FIRST_SENTENCE = _TEXT.index(" The worst")

ASK_REQUEST: dict[str, Any] = {
    "question": "how soon does dope sickness kick in",
    "top_k": 5,
    "filters": {"source_type": ["government", "health_service", "other"], "language": "en"},
    "explain": False,
}
ASK_RESPONSE: dict[str, Any] = {
    "answered": True,
    "confidence": 0.93,
    "reason": None,
    "passages": [
        {
            **_QUOTE,
            "rank": 1,
            "score": 0.71,
            "evidence": [{"start": 812, "end": 812 + _FIRST_SENTENCE}],
            "segments": [
                {"text": _TEXT[:_FIRST_SENTENCE], "evidence": True},
                {"text": _TEXT[_FIRST_SENTENCE:], "evidence": False},
            ],
            "also_in": [],
            "answers": 0.83,
        }
    ],
    "nearest": [],
    "notices": [],
    "matched": [],
    "languages": [],
    "snapshot": _SNAPSHOT,
    "took_ms": 6.1,
}
ABSTENTION: dict[str, Any] = {
    **ASK_RESPONSE,
    "answered": False,
    "confidence": 0.04,
    "reason": "off_topic",
    "passages": [],
}
DOCUMENT: dict[str, Any] = {
    **_CARD,
    "n_chars": 2_310,
    "n_pages": 0,
    "n_passages": 6,
    "warnings": [],
    "proof": _PROOF,
    "text_path": "/v1/documents/withdrawal/onset.md/text",
    "sources": [{"title": "Heroin", "publisher": "NIDA", "published": "2018-06-01", "url": "https://example.org/x"}],
}
DOCUMENT_PAGE: dict[str, Any] = {
    "documents": [DOCUMENT],
    "total": 26,
    "limit": 1,
    "offset": 0,
    "next": "/v1/documents?limit=1&offset=1",
    "snapshot": _SNAPSHOT,
}
PASSAGE: dict[str, Any] = {
    "state": "same",
    "moved_from": None,
    **_QUOTE,
    "context": {"before": "# Onset\n\n", "after": "\n"},
    "snapshot": _SNAPSHOT,
}
MOVED_PASSAGE: dict[str, Any] = {**PASSAGE, "state": "moved", "moved_from": "5f0c2a9d41be77301c22"}
CHANGED_PASSAGE: dict[str, Any] = {
    "state": "changed",
    "id": "5f0c2a9d41be77301c22",
    "since": "2026-11-21",
    "document": _CARD,
    "current": PASSAGE,
    "snapshot": _SNAPSHOT,
}
_DENSE = {
    "index": "IVF256,SQ8",
    "effort": 128,
    "recall_at_10": 0.994,
    "recall_at_200": 0.992,
    "n_measured": 300,
    "measured_on": "passages",
    "vectors": "float16",
}
HEALTH: dict[str, Any] = {
    "live": True,
    "ready": True,
    "version": "0.1.0",
    "snapshot": {**_SNAPSHOT, "documents": 26, "passages": 214, "model": "all-MiniLM-L6-v2", "dense": _DENSE},
    "engine": {"name": "local", "reachable": True},
    "judge": {"in_use": True, "sha256": "9b1c" * 16, "missed": 0},
    "warnings": [],
    "last_reload_error": None,
}
