"""Fixtures that several modules of this folder share; what they do stands in `browser_support`."""

from browser_support import api, browser, host, stranger

__all__ = ["api", "browser", "host", "stranger"]
