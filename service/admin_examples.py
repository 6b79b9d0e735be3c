"""Examples of the admin routes' JSON, for the OpenAPI document; values alone."""

from __future__ import annotations

from typing import Any

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_READ: dict[str, Any] = {
    "readable": True,
    "reader": "markdown/1",
    "n_chars": 4210,
    "n_pages": 0,
    "n_passages": 9,
    "metadata": {
        "title": "How to use naloxone",
        "publisher": "Our clinic",
        "authors": [],
        "published": "2024-05-17",
        "reviewed": None,
        "review_due": "2026-05-17",
        "url": "https://clinic.example.org/naloxone",
        "license": "CC BY 4.0",
        "language": "en",
        "tags": ["overdose"],
        "audience": [],
        "source_type": "health_service",
        "funding": "",
        "disclosure": "",
        "content_note": "",
    },
    "findings": [
        {
            "field": "review_due",
            "problem": "a review was due on 2026-05-17",
            "fix": "review it and set the dates anew",
            "is_error": False,
        }
    ],
    "error": None,
}
STORED: dict[str, Any] = {
    "id": "guides/naloxone.md",
    "created": True,
    "size_bytes": 4312,
    "sha256": _SHA256,
    "read": _READ,
}
DOCUMENT_LIST: dict[str, Any] = {
    "documents": [
        {
            "id": "guides/naloxone.md",
            "state": "new",
            "title": "How to use naloxone",
            "size_bytes": 4312,
            "modified_at": "2026-06-01T09:30:00Z",
            "sha256": _SHA256,
            "read": _READ,
        }
    ],
    "total": 1,
    "limit": 100,
    "offset": 0,
    "changes": {"new": 1, "indexed": 0, "changed": 0, "removed": 0, "failed": 0},
    "ignored": [],
}
BUILD: dict[str, Any] = {
    "id": "20260601T093000Z-5f0c2a9d",
    "state": "running",
    "revision": 12,
    "phase": "embed",
    "done": 480,
    "total": 1310,
    "created_at": "2026-06-01T09:30:00Z",
    "updated_at": "2026-06-01T09:30:09Z",
    "finished_at": None,
    "options": {"refuse_failures": False},
    "report": None,
    "error": None,
}
BUILD_LIST: dict[str, Any] = {"builds": [BUILD]}
SNAPSHOT_LIST: dict[str, Any] = {
    "snapshots": [
        {
            "id": "20260601T093012Z-7be13a02",
            "created_at": "2026-06-01T09:30:12Z",
            "is_current": True,
            "is_served": True,
            "documents": 31,
            "passages": 604,
            "model": "all-MiniLM-L6-v2",
            "size_bytes": 4_812_000,
            "problem": "",
        }
    ]
}
ROLLBACK: dict[str, Any] = {"current": "20260601T093012Z-7be13a02", "previous": "20260602T101500Z-1c9e44d0"}
