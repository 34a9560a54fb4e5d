"""Zip archives that two readers might see differently, and older checkpoints that lie about their storages.

Each with a piece of what the error must say.
"""

from __future__ import annotations

import io
import struct
import zipfile

from pickle_bytes import (
    DICT,
    LEGACY_MAGIC,
    LEGACY_VERSION,
    LIST,
    MARK,
    NONE,
    legacy,
    many,
    name,
    number,
    pickled,
    rebuilt,
    storage,
    table,
    text,
)
from zip_bytes import Made, archive, checkpoint, wide_end

VALUE = pickled(table(a=rebuilt()))
FULL = 0xFFFFFFFF


def entries(**changes: object) -> list[Made]:
    """A sound checkpoint's entries, its storage changed."""
    data = Made("x/data/0", bytes(24))
    for field, value in changes.items():
        setattr(data, field, value)
    return [Made("x/data.pkl", VALUE), data]


def compressed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("x/data.pkl", VALUE)
        made.writestr("x/data/0", bytes(24))
    return file.getvalue()


def wide_extra(*sizes: int) -> bytes:
    """The extra field with sizes of 64 bits."""
    return struct.pack(f"<HH{len(sizes)}Q", 1, 8 * len(sizes), *sizes)


def with_wide_end(**changes: object) -> bytes:
    """A sound archive with a 64-bit form of its end, changed."""
    body = archive(entries())
    count, nbytes, begin = struct.unpack_from("<HII", body, len(body) - 12)
    fields = {"count": count, "nbytes": nbytes, "begin": begin, "at": begin + nbytes} | changes
    return archive(entries(), wide=wide_end(**fields))  # type: ignore[arg-type]


SOUND = checkpoint()
SOUND_LEGACY = legacy(VALUE)

ARCHIVES: list[tuple[str, str, bytes]] = [
    ("compressed", "compressed (method 8)", compressed()),
    ("encrypted", "encrypted", archive(entries(flags=0x0809))),
    ("no end", "end of the archive is missing", SOUND[:-22]),
    ("only an end", "wanted a PyTorch checkpoint", b"PK\5\6" + bytes(18)),
    ("cut by a byte", "end of the archive is missing", SOUND[:-1]),
    ("cut in half", "end of the archive is missing", SOUND[: len(SOUND) // 2]),
    ("something behind the end", "end of the archive is missing", SOUND + b"\0"),
    ("two archives", "the directory is said to end", SOUND + SOUND),
    ("a comment", "with a comment", archive(entries(), comment=b"")[:-2] + b"\1\0"),
    ("several volumes", "several volumes", archive(entries(), disk=1)),
    ("more rows than there are", "rows in", archive(entries(), count=9)),
    ("60,000 rows", "rows in", archive(entries(), count=60_000)),
    ("fewer rows than there are", "behind its last row", archive(entries(), count=1)),
    ("no rows", "behind its last row", archive(entries(), count=0)),
    ("a directory elsewhere", "the directory is said to end", archive(entries(), begin=0)),
    ("a directory far away", "the directory is said to end", archive(entries(), begin=FULL - 1)),
    ("a directory of 4 GB", "rows in", archive(entries(), size=FULL - 1)),
    ("a short directory", "the directory is said to end", archive(entries(), size=100)),
    ("a gap before the directory", "said to end", archive(entries(), gap=b"\0" * 8, begin=len(SOUND) - 130)),
    ("something before the first entry", "wanted 0 or later", archive(entries(), before=b"PK\3\4" + bytes(40))),
    ("one name twice", "occurs twice", archive([*entries(), Made("x/data/0", bytes(24))])),
    ("a name that leads up", "leads out", archive([*entries(), Made("x/../../etc/passwd", b"")])),
    ("an absolute name", "leads out", archive([*entries(), Made("/etc/passwd", b"")])),
    ("a name with a drive", "leads out", archive([*entries(), Made("C:/x", b"")])),
    ("a name with a backslash", "no name of an entry", archive([*entries(), Made("x\\data", b"")])),
    ("an empty name", "no name of an entry", archive([*entries(), Made("", b"")])),
    ("a name of a thousand letters", "no name of an entry", archive([*entries(), Made("x" * 1000, b"")])),
    ("a name that is not UTF-8", "no name of an entry", archive([*entries(), Made("y", b"", raw_name=b"\xff\xfe")])),
    ("a name with a line break", "no name of an entry", archive([*entries(), Made("x/a\nb", b"")])),
    ("another name in its own header", "header there is of something else", archive(entries(local_name="x/data/1"))),
    ("a longer name in its own header", "something else", archive(entries(local_name="x/data/00"))),
    ("another size in its own header", "its header says 23 bytes", archive(entries(flags=0, local_size=23))),
    ("no size in its own header", "its header says 0 bytes", archive(entries(flags=0))),
    ("other flags in its own header", "its header says", archive(entries(local_flags=0x0008))),
    ("two places, one entry", "wanted", archive(entries(local=0))),
    ("in the middle of another", "wanted", archive(entries(local=3))),
    ("a place in the directory", "begins at byte", archive(entries(local=len(SOUND) - 100))),
    ("a place behind the file", "begins at byte", archive(entries(local=FULL - 1))),
    ("a size beyond the directory", "ends at byte", archive(entries(size=1000))),
    ("a size of 4 GB", "ends at byte", archive(entries(size=FULL - 1))),
    ("a packed size of its own", "stored in 5", archive(entries(packed=5))),
    ("64 bits announced and missing", "64 bits", archive(entries(size=FULL))),
    ("64 bits in a field too short", "64 bits", archive(entries(size=FULL, extra=wide_extra(24)))),
    ("64 bits of nonsense", "ends at byte", archive(entries(size=FULL, extra=wide_extra(1 << 63, 1 << 63)))),
    ("64 bits for one of two", "64 bits", archive(entries(size=FULL, packed=FULL, extra=wide_extra(24)[:-4]))),
    ("a row with another magic", "a row is malformed", archive(entries(magic=b"PK\1\3"))),
    ("a wide end of other counts", "64-bit form", with_wide_end(count=3)),
    ("a wide end of other sizes", "64-bit form", with_wide_end(nbytes=1)),
    ("a wide end that begins elsewhere", "64-bit form", with_wide_end(begin=0)),
    ("a wide end that is elsewhere", "64-bit form", with_wide_end(at=0)),
    ("a wide end of another magic", "malformed", with_wide_end(magic=b"PK\6\0")),
    ("no pickle", "0 entries NAME/data.pkl", archive({"x/data/0": bytes(24)})),
    ("a pickle at the top", "0 entries NAME/data.pkl", archive({"data.pkl": VALUE, "data/0": bytes(24)})),
    ("two pickles", "2 entries NAME/data.pkl", archive({"x/data.pkl": VALUE, "y/data.pkl": VALUE})),
    ("an empty pickle", "the stream ends before STOP", checkpoint(b"")),
    ("no storage", "storage 0: nothing in the archive", archive({"x/data.pkl": VALUE})),
    ("a short storage", "storage 0: 23 bytes in the archive", checkpoint(storages={"0": bytes(23)})),
    ("a long storage", "storage 0: 25 bytes in the archive", checkpoint(storages={"0": bytes(25)})),
    ("a byte order that does not exist", "byteorder", checkpoint(byteorder=b"middle")),
    ("a byte order of a megabyte", "byteorder", checkpoint(byteorder=b"little" * 200_000)),
    ("no tensors", "a dictionary without a table", checkpoint(pickled(DICT))),
    ("a list of tensors", "a list, wanted a dictionary", checkpoint(pickled(LIST, rebuilt(), b"a"))),
    ("a tensor alone", "a TorchTensor, wanted", checkpoint(pickled(rebuilt()))),
    ("tensors too deep", "without a table", checkpoint(pickled(
        table(model=table(model=table(model=table(model=table(model=table(a=rebuilt())))))))))
    ,
    ("a dictionary within itself", "without a table",
     checkpoint(pickled(DICT, b"q\0", text("model"), b"h\0s"))),
    ("tensors under numbers", "without a table", checkpoint(pickled(DICT, number(1), rebuilt(), b"s"))),
    ("an empty name of a tensor", "no name of a tensor", checkpoint(pickled(DICT, text(""), rebuilt(), b"s"))),
    ("a name with a bell", "no name of a tensor", checkpoint(pickled(DICT, text("a\7"), rebuilt(), b"s"))),
    ("a name of a thousand letters for a tensor", "no name", checkpoint(pickled(table(**{"a" * 1000: rebuilt()})))),
]  # fmt: skip

LEGACY: list[tuple[str, str, bytes]] = [
    ("a pickle of nothing", "magic number", pickled(NONE)),
    ("another magic number", "magic number", pickled(number(1 << 77))),
    ("a magic number alone", "the stream ends before STOP", LEGACY_MAGIC),
    ("another version", "version", LEGACY_MAGIC + pickled(number(7))),
    ("no machine", "the stream ends", LEGACY_MAGIC + LEGACY_VERSION),
    ("no value", "the stream ends", LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT)),
    ("no keys", "the stream ends", LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT) + VALUE),
    ("keys that are no list", "wanted a list", LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT) + VALUE + pickled(NONE)),
    ("keys that are numbers", "no tensor mentions",
     LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT) + VALUE + pickled(LIST, number(0), b"a")),
    ("keys that are lists", "no tensor mentions",
     LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT) + VALUE + pickled(LIST, LIST, b"a")),
    ("no storages", "storage 0: is not in the file", legacy(VALUE, {})),
    ("a storage of another name", "no tensor mentions", legacy(VALUE, {"1": bytes(24)})),
    ("a storage twice", "second of its name", SOUND_LEGACY.replace(
        pickled(LIST, MARK, text("0"), b"e"), pickled(LIST, MARK, text("0"), text("0"), b"e"))),
    ("a short storage in a file", "ends at byte", SOUND_LEGACY[:-1]),
    ("a storage of another size", "5 numbers, wanted 6", legacy(VALUE, {"0": bytes(20)}) + bytes(4)),
    ("a storage of -1 numbers", "numbers, wanted 6", SOUND_LEGACY[:-32] + b"\xff" * 8 + bytes(24)),
    ("something behind the last storage", "belong to nothing", SOUND_LEGACY + b"\0"),
    ("a storage of 2^60 bytes", "ends at byte", legacy(pickled(table(a=rebuilt(storage(count=1 << 58)))))),
    ("a view within a view", "BINPERSID", legacy(pickled(table(a=rebuilt(
        storage(view=many(text("1"), number(1), number(9)))))))),
    ("a class for a machine", "opcode GLOBAL", LEGACY_MAGIC + LEGACY_VERSION + pickled(name("os", "uname"))),
    ("a class among the keys", "opcode GLOBAL",
     LEGACY_MAGIC + LEGACY_VERSION + pickled(DICT) + VALUE + pickled(LIST, name("os", "system"), b"a")),
]  # fmt: skip

MALFORMED = ARCHIVES + LEGACY
