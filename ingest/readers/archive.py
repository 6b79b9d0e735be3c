"""
Guarded reading of the zip containers that docx and epub are. Knows zips, no document format.

Nothing is ever written to disk, so a hostile member name can't reach a file; such names are refused all the same,
because a container that carries them was made to harm. Members are unpacked one by one, counted as they come out.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable

from ingest.errors import MalformedSource, ProtectedSource, SourceError, SourceTooLarge
from ingest.limits import Limits

_CHUNK_BYTES = 65_536
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the docx and epub standards allow
_ENCRYPTED_FLAG = 0x1
# What zipfile was seen to raise on mutated archives; NotImplementedError and "is encrypted" are RuntimeErrors.
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, struct.error, OSError, OverflowError)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "a PDF"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG\r\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (doc, xls, ppt)"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML file"),
)

_KNOWN_MEMBERS: tuple[tuple[str, str], ...] = (
    ("word/document.xml", "a Word document (docx)"),
    ("xl/workbook.xml", "an Excel workbook (xlsx)"),
    ("ppt/presentation.xml", "a PowerPoint presentation (pptx)"),
    ("META-INF/container.xml", "an EPUB book"),
    ("content.xml", "an OpenDocument file (odt, ods, odp)"),
    ("Index/Document.iwa", "an Apple Pages, Numbers or Keynote file"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)


def describe_bytes(data: bytes) -> str:
    """Return what the first bytes look like, in words: "a PDF", "a text", "of no known kind"."""
    head = data[:256].lstrip(b"\xef\xbb\xbf\r\n\t ").lower()
    for signature, name in _SIGNATURES:
        if head.startswith(signature.lower()):
            return name
    if not data:
        return "empty"
    if not re.search(rb"[\x00-\x08\x0e-\x1f]", data[:4096]):
        return "a text"
    return "of no known kind"


def describe_members(names: Iterable[str]) -> str:
    """Return what a zip with these members is, in words: "an Excel workbook", "some other zip archive"."""
    listed = set(names)
    for member, name in _KNOWN_MEMBERS:
        if member in listed:
            return name
    return "some other zip archive"


class Archive:
    """
    The members of one zip, after its listing passed all checks.

    The cap on unpacked bytes holds over all `read` calls together; a member read twice counts twice.
    """

    def __init__(self, container: zipfile.ZipFile, limits: Limits, where: str) -> None:
        self._container = container
        self._limits = limits
        self._where = where
        self._unpacked_bytes = 0
        self._members = {info.filename: info for info in container.infolist() if not info.is_dir()}

    @property
    def names(self) -> tuple[str, ...]:
        """Return the members' names in the order of the listing."""
        return tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """
        Return a member's bytes.

        Raises:
            MalformedSource: no such member, or its packed bytes are damaged or cut off.
            SourceTooLarge: all that was unpacked so far passes the cap, whatever the listing said.
        """
        info = self._members.get(name)
        if info is None:
            raise MalformedSource(f"the archive has no member {name!r}", where=self._where, fix="export the file again")
        parts: list[bytes] = []
        try:
            with self._container.open(info) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    self._unpacked_bytes += len(chunk)
                    if self._unpacked_bytes > self._limits.max_unpacked_bytes:
                        raise _too_many_bytes(self._unpacked_bytes, self._limits, self._where)
                    parts.append(chunk)
        except _ZIP_FAULTS as error:
            raise MalformedSource(
                f"member {name!r} of the archive is damaged or cut off",
                where=self._where,
                fix="copy or export the file again",
            ) from error
        return b"".join(parts)


def open_archive(data: bytes, limits: Limits, where: str, kind: str) -> Archive:
    """
    Return the members of a zip container once its listing is known to be harmless.

    Args:
        data: the whole file.
        limits: `max_bytes`, `max_members` and `max_unpacked_bytes` are used.
        where: names the file in errors.
        kind: what it should be, for errors ("a Word document (docx)").

    Raises:
        MalformedSource: no zip at all (the error says what it looks like), truncated, or with members that are
            links, lead out of the archive, occur twice or are packed in a way that the formats don't know.
        ProtectedSource: a member is encrypted.
        SourceTooLarge: too many bytes or members, or too many bytes unpacked by its own listing.
    """
    if len(data) > limits.max_bytes:
        raise SourceTooLarge(
            f"has {len(data)} bytes, the cap is {limits.max_bytes}",
            where=where,
            fix="split the file, or raise the cap",
        )
    # zipfile makes an object of every entry of the listing before anyone can count them.
    n_entries = data.count(b"PK\x01\x02")
    if n_entries > 4 * limits.max_members:
        raise _too_many_members(n_entries, limits, where)
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except _ZIP_FAULTS as error:
        raise _not_a_zip(data, where, kind) from error
    members = container.infolist()
    if len(members) > limits.max_members:
        raise _too_many_members(len(members), limits, where)
    _check_members(members, where)
    declared = sum(info.file_size for info in members)
    if declared > limits.max_unpacked_bytes:
        raise _too_many_bytes(declared, limits, where)
    return Archive(container, limits, where)


def _check_members(members: list[zipfile.ZipInfo], where: str) -> None:
    seen: set[str] = set()
    for info in members:
        fault = _name_fault(info)
        if not fault and info.filename in seen and not info.is_dir():
            fault = "occurs twice"
        if not fault and info.compress_type not in _METHODS:
            fault = f"is packed by method {info.compress_type}, only stored and deflated are allowed"
        if fault:
            raise MalformedSource(
                f"member {info.filename!r} of the archive {fault}",
                where=where,
                fix="do not trust this file; get it again from its publisher",
            )
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise ProtectedSource(
                f"member {info.filename!r} of the archive is encrypted",
                where=where,
                fix="save a copy without a password",
            )
        seen.add(info.filename)


def _name_fault(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a symbolic link"
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in re.split(r"[/\\]", name):
        return "leads out of the archive"
    return ""


def _not_a_zip(data: bytes, where: str, kind: str) -> SourceError:
    if data.startswith(b"PK"):
        return MalformedSource(
            f"is {kind} cut off or damaged: the listing at its end can't be read",
            where=where,
            fix="copy or download the file again",
        )
    return MalformedSource(
        f"is not {kind} but {describe_bytes(data)}",
        where=where,
        fix="give it the ending of what it is, or export it again",
    )


def _too_many_members(n_members: int, limits: Limits, where: str) -> SourceError:
    return SourceTooLarge(
        f"has {n_members} members, the cap is {limits.max_members}",
        where=where,
        fix="do not trust this file; get it again from its publisher",
    )


def _too_many_bytes(n_bytes: int, limits: Limits, where: str) -> SourceError:
    return SourceTooLarge(
        f"unpacks to {n_bytes} bytes or more, the cap is {limits.max_unpacked_bytes}",
        where=where,
        fix="take out large images, split the file, or raise the cap",
    )
