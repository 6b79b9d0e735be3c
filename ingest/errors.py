"""
Errors of reading a library. One shape for all of Citewell; no other kind may reach a user.

    AppError                      code, what, where, fix
    ├── SourceError               one file of the corpus can't become a document
    │   ├── UnreadableSource      missing right, vanished, symlink out of the corpus, not a regular file
    │   ├── UnsupportedSource     no reader for that ending
    │   ├── MalformedSource       is not what its ending says, truncated, broken inside
    │   ├── ProtectedSource       needs a password
    │   ├── NoTextLayer           nothing to quote: scanned, empty, images alone
    │   └── SourceTooLarge        over a cap: bytes, pages, unpacked bytes, nesting, time
    └── LibraryError              the corpus folder or its library.toml
        ├── CorpusMissing         no such folder, or nothing readable in it
        ├── CorpusNotWritable     a file can't be put there or taken out: full, read-only or failing disk
        └── LibraryMalformed      library.toml (or a file's own metadata under lint) is wrong

`index.errors` and `service.errors` continue the tree.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar


class AppError(Exception):
    """
    Something a user can meet and mend.

    Args:
        what: what failed, with both values when two disagree. Never a question's text.
        where: file, line, page, field or snapshot; "" when there is no place.
        fix: what to do next.
    """

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str = "", fix: str) -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process makes the same error: Python's own way forgets arguments that have names."""
        return partial(type(self), where=self.where, fix=self.fix), (self.what,), self.__dict__

    def __str__(self) -> str:
        """Return one line: where, what, fix."""
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what} ({self.fix})"


class SourceError(AppError):
    """One file of the corpus can't become a document; the build goes on without it and reports it."""

    code = "source_error"


class UnreadableSource(SourceError):
    """The file can't be opened, or must not be: no right, vanished, a link out of the corpus."""

    code = "source_unreadable"


class UnsupportedSource(SourceError):
    """No reader knows this ending."""

    code = "source_unsupported"


class MalformedSource(SourceError):
    """The bytes are not what the ending says, or are broken inside."""

    code = "source_malformed"


class ProtectedSource(SourceError):
    """The file needs a password."""

    code = "source_protected"


class NoTextLayer(SourceError):
    """There is nothing to quote in the file."""

    code = "source_without_text"


class SourceTooLarge(SourceError):
    """The file passes a cap on bytes, pages, unpacked bytes, nesting or time."""

    code = "source_too_large"


class LibraryError(AppError):
    """The corpus folder as a whole can't be read."""

    code = "library_error"


class CorpusMissing(LibraryError):
    """There is no such folder, or no readable document in it."""

    code = "corpus_missing"


class CorpusNotWritable(LibraryError):
    """A file could not be put into the corpus folder or taken out of it; what was there is untouched."""

    code = "corpus_not_writable"


class LibraryMalformed(LibraryError):
    """library.toml is not valid."""

    code = "library_malformed"
