"""
What a search engine or another program can read of a document's page: JSON-LD in the words of schema.org. Pure.

Source: https://schema.org/MedicalWebPage; `lastReviewed` is the day of the last review, not of the last change.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ingest.model import Metadata, SourceType
from service.library_view import web_address

_CONTEXT = "https://schema.org"


def describe_document(metadata: Metadata, library: str) -> str:
    """
    Return the JSON-LD of a document's page, safe inside a script element. What is not known is left out.

    Args:
        library: name of the library that holds the document.
    """
    is_person = metadata.source_type is SourceType.PERSONAL
    described: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "WebPage" if is_person else "MedicalWebPage",
        "name": metadata.title,
        "inLanguage": metadata.language,
        "datePublished": metadata.published and metadata.published.isoformat(),
        "lastReviewed": metadata.reviewed and metadata.reviewed.isoformat(),
        "expires": metadata.review_due and metadata.review_due.isoformat(),
        "publisher": _named("Organization", metadata.publisher),
        "author": [_named("Person", author) for author in metadata.authors if author != metadata.publisher],
        "license": metadata.license,
        "funding": metadata.funding and {"@type": "Grant", "description": metadata.funding},
        "keywords": list(metadata.tags),
        "isBasedOn": web_address(metadata.url),
        "citation": [
            _known({"@type": "CreativeWork", "name": source.title, "url": web_address(source.url)})
            for source in metadata.sources
        ],
        "isPartOf": _named("Collection", library),
    }
    # "</script>" in a title would end the element; "\u003c" is the same to a reader of JSON.
    return json.dumps(_known(described), ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")


def _named(kind: str, name: str) -> dict[str, str] | None:
    return {"@type": kind, "name": name} if name else None


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
