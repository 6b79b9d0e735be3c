"""
Damage for fuzzing: strategies that break bytes, markup, archives, PDF objects, JSON values and lines of text.

`FUZZ=20` in the environment tries twenty times as many examples of every fuzz test.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FACTOR = max(int(os.environ.get("FUZZ", "1")), 1)

ODD_NUMBERS = ("0", "-1", "2147483648", "99999999999999999999", "1e999", "-0.0", "NaN", "0x10", "1" * 5_000)
ODD_TEXTS = (
    *("", " ", "\x00", "\ud800", "\ufeff", "\u202e", "\u2028", "\r", "\x85", "e\u0301" * 40, "\U0001f468\u200d" * 20),
    *("../../etc/passwd", "CON", "a" * 5_000, "'; --", "<b>", "]]>", "&", "&#x110000;", "%ff", "{{7*7}}", "\\u0000"),
    *ODD_NUMBERS,
)
_ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;'
    '&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;"><!ENTITY f '
    '"&e;&e;&e;&e;&e;&e;&e;&e;&e;&e;"><!ENTITY g "&f;&f;&f;&f;&f;&f;&f;&f;&f;&f;"><!ENTITY x SYSTEM '
    '"file:///etc/passwd">]>'
)
_TAG = re.compile(rb"<[^<>]{1,2000}>")
_ATTRIBUTE = re.compile(rb'(?<==)"[^"<>]*"')
_PDF_TOKEN = re.compile(rb"-?\d+(?:\.\d+)?|/[A-Za-z0-9]+|\d+ \d+ R|<<|>>|\[|\]|endobj|endstream|stream|xref|startxref")

_PDF_OBJECT = re.compile(rb"\d+ \d+ obj.*?endobj\s*", re.DOTALL)
_PDF_OPERATORS = (
    *(number.encode() for number in ODD_NUMBERS),
    *(
        b"Tj",
        b"q " * 400,
        b"Q",
        b"ET",
        b"BT",
        b"Do",
        b"(\\",
        b"<ZZ>",
        b"BI ID EI",
        b"cm",
        b"Tm",
        b"[",
        b"TJ",
        b"/F9",
        b"Tf",
    ),
)

Damage = Callable[[st.DrawFn, bytes], bytes]


def examples(n: int) -> settings:
    """Return hypothesis settings for a fuzz test; deterministic unless more is asked for than the suite runs."""
    return settings(
        max_examples=n * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )


def damage_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """Set, cut, insert, double or move a few bytes."""
    damaged = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = int(draw(st.floats(0, 1)) * len(damaged))
        n = draw(st.sampled_from((1, 2, 7, 64, 700)))
        kind = draw(st.sampled_from(("set", "cut", "insert", "double", "end")))
        if kind == "set" and at < len(damaged):
            damaged[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del damaged[at : at + n]
        elif kind == "insert":
            damaged[at:at] = draw(st.one_of(st.binary(max_size=8), _odd_bytes()))
        elif kind == "double":
            damaged[at:at] = damaged[at : at + n] * draw(st.sampled_from((1, 3, 200)))
        elif kind == "end":
            del damaged[max(at, 1) :]
    return bytes(damaged)


def damage_markup(draw: st.DrawFn, data: bytes) -> bytes:
    """Drop, double, move or nest tags, change attributes, declare entities, or send another encoding."""
    kind = draw(st.sampled_from(("tags", "tags", "attributes", "attributes", "entities", "encoding", "deep", "bytes")))
    if kind == "encoding":
        text = data.decode("utf-8", "replace")
        return text.encode(draw(st.sampled_from(("utf-16", "utf-16-be", "utf-32", "utf-7", "cp1252"))), "replace")
    pattern = _ATTRIBUTE if kind == "attributes" else _TAG
    found = [] if kind == "bytes" else list(pattern.finditer(data))
    if not found:
        return damage_bytes(draw, data)
    spot = found[draw(st.integers(0, len(found) - 1))]
    before, it, after = data[: spot.start()], spot.group(), data[spot.end() :]
    if kind == "attributes":
        other = found[draw(st.integers(0, len(found) - 1))].group()
        odd = b'"' + draw(_odd_bytes()) + b'"'
        return before + draw(st.sampled_from((other, odd, b'""'))) + after
    if kind == "entities":
        return before + _ENTITIES.encode() + it + draw(st.sampled_from((b"&g;", b"&x;", b"&b;", b""))) + after
    if kind == "deep":
        return before + it * draw(st.sampled_from((2, 50, 3_000))) + after
    other = found[draw(st.integers(0, len(found) - 1))].group()
    return before + draw(st.sampled_from((b"", it + it, other, it + other, b"<!--", b"<![CDATA[", b"</x>"))) + after


def damage_archive(draw: st.DrawFn, data: bytes) -> bytes:
    """Damage a member and pack all anew, or the names, order and headers of the archive."""
    kind = draw(st.sampled_from(("inside", "inside", "inside", "missing", "twice", "name", "bomb", "flag", "outside")))
    if kind == "outside":
        return damage_bytes(draw, data)
    try:
        members = read_members(data)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError):  # damaged already
        return damage_bytes(draw, data)
    at = draw(st.integers(0, len(members) - 1))
    name, content = members[at]
    if kind == "inside":
        endings = (".xml", ".rels", ".opf", "html", ".ncx")
        marked_up = [i for i, (n, _) in enumerate(members) if n.endswith(endings)] or [at]
        at = draw(st.sampled_from(marked_up))
        members[at] = (members[at][0], damage_markup(draw, members[at][1]))
    elif kind == "missing":
        del members[at]
    elif kind == "twice":
        members.append((name, draw(st.sampled_from((b"", content, content[::-1])))))
    elif kind == "name":
        members[at] = (draw(st.sampled_from(("../x", "/x", "a" * 300, name.upper(), name + "/", "\\x", "ö"))), content)
    elif kind == "bomb":
        members[at] = (name, content + draw(st.sampled_from((b" ", b"\x00", b"<a>"))) * 3_000_000)
    packed = bytearray(write_members(members))
    if kind == "flag":
        # Encrypted, an unknown method, or sizes that are not true, in the directory at the archive's end.
        directory = packed.rfind(b"PK\x01\x02")
        packed[directory + draw(st.sampled_from((8, 10, 20, 24, 27, 28, 42)))] ^= draw(st.integers(1, 255))
    return bytes(packed)


def damage_pdf(draw: st.DrawFn, data: bytes) -> bytes:
    """Exchange numbers, names, references and brackets of a PDF, drop or double objects, or damage page contents."""
    kind = draw(st.sampled_from(("tokens", "tokens", "objects", "streams", "bytes")))
    if kind == "streams":
        return _damage_stream(draw, data)
    pattern = {"tokens": _PDF_TOKEN, "objects": _PDF_OBJECT}.get(kind)
    found = list(pattern.finditer(data)) if pattern else []
    if not found:
        return damage_bytes(draw, data)
    if kind == "objects":
        one, other = (found[draw(st.integers(0, len(found) - 1))] for _ in range(2))
        put_in = draw(st.sampled_from((b"", other.group(), one.group() * 2)))
        return data[: one.start()] + put_in + data[one.end() :]
    for _ in range(draw(st.integers(1, 4))):
        tokens = list(_PDF_TOKEN.finditer(data)) or found
        spot = tokens[draw(st.integers(0, len(tokens) - 1))]
        other = tokens[draw(st.integers(0, len(tokens) - 1))].group()
        odd = draw(st.sampled_from([n.encode() for n in ODD_NUMBERS] + [b"null", b"<<", b"[[[[", b"1 0 R", b"()"]))
        data = data[: spot.start()] + draw(st.sampled_from((other, odd, b""))) + data[spot.end() :]
    return data


def _damage_stream(draw: st.DrawFn, data: bytes) -> bytes:
    """Damage the operators of a page's content, unpacked where it is packed, and packed again."""
    streams = list(re.finditer(rb"stream\r?\n(.*?)\r?\n?endstream", data, re.DOTALL))
    if not streams:
        return damage_bytes(draw, data)
    spot = streams[draw(st.integers(0, len(streams) - 1))]
    try:
        content, pack = zlib.decompress(spot.group(1)), zlib.compress
    except zlib.error:
        content, pack = spot.group(1), bytes
    words = content.split(b" ")
    for _ in range(draw(st.integers(1, 3))):
        words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from((*_PDF_OPERATORS, *words[:200:20])))
    return data[: spot.start(1)] + pack(b" ".join(words)) + data[spot.end(1) :]


def damage_lines(draw: st.DrawFn, data: bytes) -> bytes:
    """Exchange, drop, double and interleave lines, and put odd ones and odd words among them."""
    lines = data.split(b"\n")
    for _ in range(draw(st.integers(1, 5))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        kind = draw(st.sampled_from(("swap", "drop", "double", "odd", "word", "bytes")))
        if kind == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines[at:at] = [lines[other]] * draw(st.sampled_from((1, 2, 300)))
        elif kind == "odd":
            lines.insert(at, draw(st.one_of(_odd_bytes(), st.sampled_from(_ODD_LINES))))
        elif kind == "word":
            words = lines[at].split(b" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(_odd_bytes())
            lines[at] = b" ".join(words)
        else:
            lines[at] = damage_bytes(draw, lines[at] + b" ")
    return b"\n".join(lines)


_ODD_LINES = (
    *(b"---", b"...", b"a: &x [*x, *x]", b"title: !!python/object:os.system x", b"? ? ? :", b"- " * 500, b"> " * 500),
    *(b"[" * 3_000, b"x = " + b"[" * 3_000, b"x = {" + b"a={" * 900, b'x = """', b"[[entries]]", b"[a.b.c]", b"\tx: y"),
    *(
        b"published: 9999-99-99",
        b"published: 0001-01-01",
        b"tags: {a: [b, {c: d}]}",
        b"url: javascript:alert(1)",
        b"```",
    ),
    *(b"title: " + b"x" * 70_000, b"x = 2020-02-30", b"x = 1" + b"0" * 5_000, b"*" * 2_000, b"|a" * 800, b"`" * 999),
)


def damage_json(draw: st.DrawFn, data: bytes) -> bytes:
    """Exchange values anywhere in a JSON document for odd ones, or damage its text."""
    if draw(st.integers(0, 3)) == 0:
        return damage_bytes(draw, data)
    value = json.loads(data)
    for _ in range(draw(st.integers(1, 3))):
        value = _exchange(draw, value)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return text.encode("utf-8", "surrogatepass").replace(b'"@deep@"', b"[" * 3_000 + b"]" * 3_000)


def _exchange(draw: st.DrawFn, value: object) -> object:
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        kind = draw(st.sampled_from(("in", "in", "in", "drop", "rename")))
        rest = {k: v for k, v in value.items() if k != key}
        if kind == "drop":
            return rest
        return {**rest, draw(st.sampled_from(ODD_TEXTS)) if kind == "rename" else key: _exchange(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], _exchange(draw, value[at]), *value[at + draw(st.integers(0, 1)) :]]
    return draw(odd_values())


def odd_values() -> st.SearchStrategy[object]:
    """Return values that a field does not expect, of every JSON type."""
    numbers = (0, -1, 1, 2**63, 10**400, 1e308, float("inf"), float("nan"), 0.1)
    return st.one_of(
        st.sampled_from(ODD_TEXTS),
        st.sampled_from(numbers),
        st.sampled_from((None, True, False, [], {}, [[]], {"": {}}, "@deep@", ["x"] * 60)),
        st.text(max_size=20),
    )


def _odd_bytes() -> st.SearchStrategy[bytes]:
    return st.sampled_from(ODD_TEXTS).map(lambda text: text.encode("utf-8", "surrogatepass"))


def read_members(data: bytes) -> list[tuple[str, bytes]]:
    """Return the members of a zip archive, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def write_members(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return a zip archive of these members, names repeated where they are."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            # zipfile warns of a name that is there already.
            if name in archive.namelist():
                archive.NameToInfo.pop(name)
            archive.writestr(name, content)
    return packed.getvalue()
