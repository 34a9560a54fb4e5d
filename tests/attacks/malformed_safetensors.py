"""safetensors files that break one rule each, with a piece of what the error must say."""

from __future__ import annotations

import json
import struct


def made(header: bytes | str | dict, data: bytes = b"", *, length: int | None = None) -> bytes:
    """A file of this header, in bytes, text or as an object, and this data."""
    text = json.dumps(header) if isinstance(header, dict) else header
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def entry(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8), **more: object) -> dict:
    """One tensor's entry."""
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


W = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
DATA = bytes(8)
SOUND = made(
    {
        "__metadata__": {"format": "pt", "note": 'with "quotes"'},
        "a": entry("F32", [2, 3], [0, 24]),
        "b": entry("BF16", [4], [24, 32]),
        "scalar": entry("F64", [], [32, 40]),
        "empty": entry("I8", [0, 7], [40, 40]),
        "mask": entry("BOOL", [3], [40, 43]),
    },
    bytes(43),
)

MALFORMED: list[tuple[str, str, bytes]] = [
    ("seven bytes", "7 bytes, wanted 8", bytes(6) + b"\x81"),
    ("a header of 2^64 bytes", "at most", made("{}", length=(1 << 64) - 1)),
    ("a header of 2^63 bytes", "at most", made("{}", length=1 << 63)),
    ("a header of 100 MB", "at most", made("{}", length=100_000_000)),
    ("a header longer than the file", "are left", made("{}", length=3)),
    ("an empty header", "wanted '{'", made("", b"\x80" * 8)),
    ("a list", "wanted '{'", made("[]", b"\x80" * 8)),
    ("spaces before the object", "wanted '{'", made(" {}")),
    ("an object without an end", "wanted a string for a name", made("{")),
    ("a comma too many", "wanted a string for a name", made("{" + W + ",}", DATA)),
    ("a comma too few", "wanted ',' or '}'", made("{" + W + ' "v":{}}', DATA)),
    ("something behind the object", "something follows", made("{" + W + "}x", DATA)),
    ("two objects", "something follows", made("{" + W + "}{}", DATA)),
    ("zeros for padding", "something follows", made("{" + W + "}\0\0", DATA)),
    ("a number for a name", "wanted a string for a name", made("{1:2}")),
    ("a name without an end", "has no end", made('{"w')),
    ("a name that ends in a backslash", "has no end", made('{"w\\"')),
    ("a name with a broken escape", "not a JSON string", made('{"\\x":1}')),
    ("a name with a lone surrogate", "not a JSON string", made('{"\\ud800":1}')),
    ("a name that is not UTF-8", "not a JSON string", made(b'{"\xff":1}')),
    ("a name in UTF-16", "not a JSON string", made(b'{"\0\xd8":1}')),
    ("a name with a control character", "not a JSON string", made('{"a\nb":1}')),
    ("a name with an escaped bell", "not printable", made('{"a\\u0007":1}')),
    ("an empty name", "is empty", made({"": entry()}, DATA)),
    ("a name of 256 bytes", "longer than 255", made({"w" * 256: entry()}, DATA)),
    ("a name twice", "the name occurs twice", made("{" + W + "," + W + "}", DATA)),
    ("a name twice, once escaped", "occurs twice", made("{" + W + "," + W.replace('"w"', '"\\u0077"') + "}", DATA)),
    ("a list for an entry", "wanted {", made({"w": []})),
    ("an entry of nothing", "wanted {", made({"w": {}})),
    ("an entry without a type", "wanted {", made({"w": {"shape": [2], "data_offsets": [0, 8]}}, DATA)),
    ("an entry with more", "wanted {", made({"w": entry(more=1)}, DATA)),
    ("an entry with a field twice", "a field occurs twice",
     made('{"w":{"dtype":"F32","dtype":"F32","shape":[2]}}', DATA)),
    ("a number for a type", "wanted {", made({"w": entry(7)}, DATA)),
    ("a type that does not exist", "'F99' does not exist", made({"w": entry("F99")}, DATA)),
    ("a type in lower case", "wanted {", made({"w": entry("f32")}, DATA)),
    ("a type of a thousand letters", "wanted {", made({"w": entry("F" * 1000)}, DATA)),
    ("text for a shape", "wanted {", made({"w": entry(shape="2")}, DATA)),
    ("a negative size", "wanted {", made({"w": entry(shape=[-2])}, DATA)),
    ("a fraction for a size", "wanted {", made({"w": entry(shape=[2.0])}, DATA)),
    ("a power of ten for a size", "wanted {", made('{"w":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', DATA)),
    ("true for a size", "wanted {", made({"w": entry(shape=[True])}, DATA)),
    ("a size with a leading zero", "wanted {", made('{"w":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', DATA)),
    ("a size of 5,000 digits", "wanted {", made("{" + W.replace("[2]", "[" + "9" * 5000 + "]") + "}", DATA)),
    ("a size of 2^62", "takes", made({"w": entry(shape=[1 << 62])}, DATA)),
    ("sizes that wrap round", "takes", made({"w": entry(shape=[1 << 32, 1 << 32])}, DATA)),
    ("sizes that wrap round to the right one", "takes", made({"w": entry(shape=[(1 << 62) + 2])}, DATA)),
    ("nine dimensions", "dimensions", made({"w": entry(shape=[1] * 8 + [2])}, DATA)),
    ("a thousand dimensions", "wanted {", made({"w": entry(shape=[1] * 999 + [2])}, DATA)),
    ("a shape nested a hundred deep", "wanted {", made("{" + W.replace("[2]", "[" * 99 + "2" + "]" * 99) + "}", DATA)),
    ("an entry nested a million deep", "wanted {", made('{"w":' * 1_000_000)),
    ("one offset", "wanted [begin, end]", made({"w": entry(offsets=[8])}, DATA)),
    ("three offsets", "wanted [begin, end]", made({"w": entry(offsets=[0, 8, 8])}, DATA)),
    ("an end before its begin", "wanted [begin, end]", made({"w": entry(offsets=[8, 0])}, DATA)),
    ("a negative offset", "wanted {", made({"w": entry(offsets=[-8, 0])}, DATA)),
    ("a span of another size", "data_offsets span 7", made({"w": entry(offsets=[0, 7])}, DATA)),
    ("data beyond the file", "the file at", made({"w": entry(offsets=[8, 16])}, DATA)),
    ("data far beyond the file", "the file at", made({"w": entry(offsets=[1 << 60, (1 << 60) + 8])}, DATA)),
    ("a gap", "belong to nothing", made({"w": entry(), "v": entry(offsets=[16, 24])}, bytes(24))),
    ("a gap before the first", "belong to nothing", made({"w": entry(offsets=[8, 16])}, bytes(16))),
    ("an overlap", "overlaps", made({"w": entry(), "v": entry(offsets=[4, 12])}, bytes(12))),
    ("one place for two", "overlaps", made({"w": entry(), "v": entry()}, DATA)),
    ("something behind the data", "belong to nothing", made({"w": entry()}, bytes(9))),
    ("data without a tensor", "belong to nothing", made("{}", DATA)),
    ("data that is cut", "the file at", made({"w": entry()}, bytes(7))),
    ("numbers in the metadata", "wanted a string", made({"__metadata__": {"a": 1}})),
    ("a list for metadata", "wanted an object", made({"__metadata__": []})),
    ("an object in the metadata", "wanted a string", made({"__metadata__": {"a": {}}})),
    ("metadata twice", "occurs twice", made('{"__metadata__":{},"__metadata__":{}}')),
    ("a key twice in the metadata", "'a' occurs twice", made('{"__metadata__":{"a":"","a":""}}')),
    ("metadata without an end", "wanted ',' or '}'", made('{"__metadata__":{"a":"b"')),
    ("metadata without a colon", "wanted ':'", made('{"__metadata__":{"a" "b"}}')),
    ("5 MB of metadata", "longer than", made({"__metadata__": {"a": "x" * (5 << 20)}})),
    ("a million pairs of metadata", "more than", made({"__metadata__": dict.fromkeys(map(str, range(300_000)), "")})),
    ("10 MB of escaped quotes", "longer than", made('{"__metadata__":{"a":"' + '\\"' * (5 << 20) + '"}}')),
    ("40,000 tensors", "more than 32768 tensors",
     made({f"{i:x}": entry("I8", [0], [0, 0]) for i in range(40_000)})),
]  # fmt: skip
