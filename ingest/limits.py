"""Caps that keep one hostile or broken file from taking the whole build with it. Values alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Caps on one source; passing one is a SourceTooLarge with both numbers.

    The defaults leave room for a book: the longest of 5,486 NIH documents has 0.2 MB of text.
    """

    max_bytes: int = 64_000_000
    max_text_chars: int = 20_000_000
    max_pages: int = 3_000
    max_unpacked_bytes: int = 256_000_000  # all members of a docx or epub together
    max_members: int = 10_000
    max_depth: int = 1_000  # nested elements
    max_seconds: float = 120.0  # of one reader on one file
    max_front_matter_bytes: int = 65_536
