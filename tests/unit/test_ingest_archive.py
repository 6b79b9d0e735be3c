"""Guarded reading of zip containers: every hostile listing is refused, every honest one read."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
from dataclasses import replace

import pytest

from ingest.errors import MalformedSource, ProtectedSource, SourceTooLarge
from ingest.limits import Limits
from ingest.readers.archive import describe_bytes, describe_members, open_archive

LIMITS = Limits()


def pack(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as container:
        for name, content in members.items():
            container.writestr(name, content)
    return packed.getvalue()


def test_members_are_read_as_they_were_packed() -> None:
    """This ensures that an ordinary archive gives its members back, directories left out."""
    data = pack({"a.txt": b"one", "folder/": b"", "folder/b.txt": b"two" * 1000})

    archive = open_archive(data, LIMITS, "x", "a book")

    assert archive.names == ("a.txt", "folder/b.txt")
    assert archive.read("folder/b.txt") == b"two" * 1000


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"<!DOCTYPE html><p>x", "an HTML page"),
        (b"just words", "a text"),
        (b"", "empty"),
        (b"\x00\x01\x02\x03", "of no known kind"),
    ],
)
def test_other_files_are_named_for_what_they_are(data: bytes, looks_like: str) -> None:
    """This ensures that a file that is no zip is refused with the name of what it looks like."""
    with pytest.raises(MalformedSource) as caught:
        open_archive(data, LIMITS, "x.docx", "a Word document (docx)")

    assert looks_like in caught.value.what
    assert describe_bytes(data) == looks_like


def test_cut_off_zip_is_refused() -> None:
    """This ensures that half a zip is malformed and says that it is cut off."""
    data = pack({"a.txt": b"some text"})

    with pytest.raises(MalformedSource, match="cut off"):
        open_archive(data[: len(data) // 2], LIMITS, "x", "a book")


@pytest.mark.parametrize("name", ["../up.txt", "a/../../up.txt", "/etc/passwd", "C:/x", "..\\up.txt", "\\x"])
def test_names_that_lead_out_are_refused(name: str) -> None:
    """This ensures that path traversal and absolute names are refused."""
    with pytest.raises(MalformedSource, match=r"absolute path|leads out"):
        open_archive(pack({name: b"x"}), LIMITS, "x", "a book")


def test_symbolic_links_are_refused() -> None:
    """This ensures that a member that is a symbolic link is refused."""
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container:
        container.writestr(link, "/etc/passwd")

    with pytest.raises(MalformedSource, match="symbolic link"):
        open_archive(packed.getvalue(), LIMITS, "x", "a book")


def test_duplicate_names_are_refused() -> None:
    """This ensures that two members of one name, which readers would tell apart differently, are refused."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as container, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        container.writestr("a.txt", "one")
        container.writestr("a.txt", "two")

    with pytest.raises(MalformedSource, match="twice"):
        open_archive(packed.getvalue(), LIMITS, "x", "a book")


def test_encrypted_members_are_protected() -> None:
    """This ensures that a password-protected zip is reported as such."""
    data = bytearray(pack({"a.txt": b"x"}))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 0x1)

    with pytest.raises(ProtectedSource):
        open_archive(bytes(data), LIMITS, "x", "a book")


def test_unknown_packing_is_refused() -> None:
    """This ensures that packing methods outside of the formats' standards are refused."""
    with pytest.raises(MalformedSource, match="method"):
        open_archive(pack({"a.txt": b"x"}, zipfile.ZIP_LZMA), LIMITS, "x", "a book")


def test_declared_bomb_is_refused_unopened() -> None:
    """This ensures that a listing that announces too many bytes is refused before anything is unpacked."""
    limits = replace(LIMITS, max_unpacked_bytes=10_000)

    with pytest.raises(SourceTooLarge, match="10000"):
        open_archive(pack({"a": b"0" * 6_000, "b": b"0" * 6_000}), limits, "x", "a book")


def test_lying_bomb_is_stopped_while_unpacking() -> None:
    """This ensures that a member that is larger than its listing says does no harm."""
    data = bytearray(pack({"a": b"0" * 1_000_000}))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 10)
    archive = open_archive(bytes(data), replace(LIMITS, max_unpacked_bytes=1_000), "x", "a book")

    with pytest.raises((MalformedSource, SourceTooLarge)):
        archive.read("a")


def test_reads_together_stay_under_the_cap() -> None:
    """This ensures that the cap on unpacked bytes counts what actually came out, over all reads."""
    archive = open_archive(pack({"a": b"0" * 600}), replace(LIMITS, max_unpacked_bytes=1_000), "x", "a book")

    archive.read("a")

    with pytest.raises(SourceTooLarge, match="1200"):
        archive.read("a")


def test_too_many_members_are_refused() -> None:
    """This ensures that the number of members is capped, by a count before the listing is even parsed."""
    data = pack({f"{n}": b"" for n in range(50)})

    with pytest.raises(SourceTooLarge, match="50 members"):
        open_archive(data, replace(LIMITS, max_members=40), "x", "a book")
    with pytest.raises(SourceTooLarge, match="50 members"):
        open_archive(data, replace(LIMITS, max_members=3), "x", "a book")


def test_large_files_are_refused() -> None:
    """This ensures that the cap on the file's own bytes holds, with both numbers in the error."""
    data = pack({"a": b"x"})

    with pytest.raises(SourceTooLarge, match=rf"{len(data)} bytes, the cap is 10"):
        open_archive(data, replace(LIMITS, max_bytes=10), "x", "a book")


def test_damaged_member_names_itself() -> None:
    """This ensures that a flipped byte in a member is found and the member named."""
    data = bytearray(pack({"chapter": b"some text that is packed"}, zipfile.ZIP_STORED))
    data[data.index(b"some text")] ^= 0xFF
    archive = open_archive(bytes(data), LIMITS, "x", "a book")

    with pytest.raises(MalformedSource, match="'chapter'"):
        archive.read("chapter")


def test_missing_member_is_named() -> None:
    """This ensures that asking for a member that isn't there is an error of the file."""
    archive = open_archive(pack({"a": b"x"}), LIMITS, "x", "a book")

    with pytest.raises(MalformedSource, match="'b'"):
        archive.read("b")


def test_zips_of_other_kinds_are_recognised() -> None:
    """This ensures that a workbook with a wrong ending is called a workbook."""
    assert describe_members(["xl/workbook.xml"]) == "an Excel workbook (xlsx)"
    assert describe_members(["x.txt"]) == "some other zip archive"
