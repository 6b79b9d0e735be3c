"""A small application to ask, with chosen answers where a test needs them. No network, no real model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

from starlette.testclient import TestClient

from index.live import LiveSnapshot
from index.model import QueryEncoder
from index.snapshot import Snapshot
from index.store import IndexDir
from index.testing import HashingEmbedder, write_tiny_snapshot
from ingest.model import Document, Passage
from service.answer import Answer, AnswerPassage, Notice, NoticeLink, Segment
from service.app import create_app
from service.citing import cite, document_card, proof
from service.settings import Settings

TODAY = date(2026, 6, 1)
PROBLEM_MEMBERS = {"type", "title", "status", "code", "detail", "fix", "request_id"}


def hashing_encoder(fingerprint: str) -> QueryEncoder:
    """Return the encoder that tiny snapshots are made with."""
    encoder = HashingEmbedder()
    assert encoder.fingerprint == fingerprint
    return encoder


@contextmanager
def tiny_client(
    folder: Path,
    library: tuple[tuple[Document, tuple[Passage, ...]], ...] | None = None,
    *,
    is_built: bool = True,
    **settings: object,
) -> Iterator[TestClient]:
    """Serve a tiny snapshot; unexpected errors are answered, not raised into the test."""
    index_dir = IndexDir(folder / "index")
    if is_built:
        write_tiny_snapshot(index_dir, library)
    chosen = Settings(index_dir=index_dir.path, **{"min_confidence": 0.0, "rate_limit": "", **settings})
    app = create_app(chosen, LiveSnapshot(index_dir), hashing_encoder)
    with TestClient(app, follow_redirects=False) as client:
        yield client


def quoted(snapshot: Snapshot, ordinal: int, rank: int = 1) -> AnswerPassage:
    """Return a passage as an answer quotes it; its first sentence is the evidence."""
    (stored,) = snapshot.catalogue.passages([ordinal])
    passage = stored.passage
    start, end = passage.sentences[0]
    cuts = (
        (passage.text[: start - passage.start], False),
        (passage.text[start - passage.start : end - passage.start], True),
        (passage.text[end - passage.start :], False),
    )
    return AnswerPassage(
        id=passage.id,
        rank=rank,
        score=0.5,
        text=passage.text,
        start=passage.start,
        end=passage.end,
        evidence=((start, end),),
        segments=tuple(Segment(text, is_evidence) for text, is_evidence in cuts if text),
        heading_path=passage.heading_path,
        pages=passage.pages,
        document=document_card(stored.document, TODAY),
        citation=cite(stored.document, passage, (start, end), snapshot.catalogue.text(stored.document.id)),
        proof=proof(stored.document),
    )


def answer_of(snapshot: Snapshot) -> Answer:
    """Return an answer with two passages."""
    return Answer(
        answered=True,
        confidence=0.9,
        reason=None,
        passages=(quoted(snapshot, 0), quoted(snapshot, 3, rank=2)),
        nearest=(),
        notices=(),
        snapshot_id=snapshot.id,
        built_at=snapshot.manifest.created_at,
        took_ms=1.5,
    )


def abstention_of(snapshot: Snapshot) -> Answer:
    """Return an abstention with one closest passage and a notice."""
    link = NoticeLink("Call", "tel:112")
    notice = Notice("crisis", "overdose", "Call now", "Stay with the person.", (link,), date(2026, 1, 1), "en")
    return replace(
        answer_of(snapshot),
        answered=False,
        reason="off_topic",
        passages=(),
        nearest=(quoted(snapshot, 1),),
        notices=(notice,),
    )
