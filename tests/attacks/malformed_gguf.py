"""Every way of being a bad GGUF file that we could think of: name, what the refusal says, and the file.

    python tests/attacks/malformed_gguf.py FOLDER      writes them all there, to try on other programs

`MALFORMED` rows are refused with ModelFileError, `UNSUPPORTED` rows with UnsupportedModel. What wraps does so
in 64-bit unsigned arithmetic: the sums and products that C programs got wrong.
"""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from pathlib import Path

from gguf_bytes import (
    ARRAY,
    BOOL,
    F32,
    I32,
    STRING,
    U8,
    U32,
    U64,
    array,
    gguf,
    key,
    sound,
    string,
    tensor,
    u32,
    u64,
)  # fmt: skip

TOP = (1 << 64) - 1
F32_DATA = bytes(128)


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("model/data.pkl", b"")
    return out.getvalue()


def _nested(depth: int) -> bytes:
    return array(ARRAY, 1) * (depth - 1) + array(U8, 1, b"\1")


def _one(value: bytes, kind: int = ARRAY) -> bytes:
    return gguf([key("k", kind, value)])


def _one_of_version_1(value: bytes) -> bytes:
    return gguf([key("k", ARRAY, value, wide="I")], version=1, wide="I")


def _one_of_big_endian(value: bytes) -> bytes:
    return gguf([key("k", ARRAY, value, ">")], order=">")


def _aligned(kind: int, value: bytes) -> bytes:
    return gguf([key("general.alignment", kind, value)], [tensor()], F32_DATA)


def _two(first: bytes, second: bytes, data: int = 512) -> bytes:
    return gguf([], [first, second], bytes(data))


FOREIGN = [
    ("empty", "is empty", b""),
    ("html", "web page", b"<!DOCTYPE html><html><title>Sign in</title></html>" * 20),
    ("html_bom", "web page", b"\xef\xbb\xbf\n<html>" + bytes(40)),
    ("json", "JSON", b'{"error":"Repository not found"}'),
    ("text", "Entry not found", b"Entry not found"),
    ("lfs_pointer", "Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    ("zip", "zip archive", _zip()),
    ("gzip", "gzip", b"\x1f\x8b\x08" + bytes(60)),
    ("zstandard", "zstandard", b"(\xb5/\xfd" + bytes(60)),
    ("tar", "tar archive", b"model.gguf".ljust(257, b"\0") + b"ustar\x0000" + bytes(300)),
    ("pickle", "pickle", pickle.dumps({"weights": [1.0] * 50}, protocol=2)),
    (
        "safetensors",
        "safetensors",
        u64(60) + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(60) + bytes(4),
    ),
    ("ggml", "GGML", b"lmgg" + bytes(60)),
    ("ggmf", "GGMF", b"fmgg" + u32(1) + bytes(60)),
    ("ggjt", "GGJT", b"tjgg" + u32(3) + bytes(60)),
    ("ggla", "GGLA", b"algg" + u32(1) + bytes(60)),
    ("session", "session", b"nsgg" + u32(9) + bytes(60)),
    ("swapped_magic", "swapped", b"FUGG" + bytes(60)),
    ("zeros", "zeros", bytes(4096)),
    ("noise", "wanted b'GGUF'", bytes(i * 73 % 251 | 128 for i in range(600))),
]

PREAMBLE = [
    ("magic_half", "2 are left", b"GG"),
    ("magic_only", "version", b"GGUF"),
    ("version_0", "version 0", gguf(version=0)),
    ("version_4", "version 4", gguf(version=4)),
    ("version_huge", "GGUF version", gguf(version=0xFFFFFFFF)),
    ("ends_after_version", "0 are left", gguf()[:8]),
    ("ends_in_counts", "4 are left", gguf()[:20]),
    ("keys_top", "cannot fit", gguf(n_keys=TOP)),
    ("keys_negative", "cannot fit", gguf(n_keys=1 << 63)),
    ("keys_more_than_bytes", "cannot fit", gguf([key("a", U8, b"\1")], n_keys=3)),
    ("keys_one_too_many", "are left", gguf([key("a", STRING, string("b" * 40))], n_keys=2)),
    ("keys_over_cap", "at most", gguf([key(f"{i:x}", U8, b"\1") for i in range(16_385)])),
    ("tensors_top", "cannot fit", gguf(n_tensors=TOP)),
    ("tensors_product_wraps", "cannot fit", gguf(n_tensors=(1 << 64) // 25 + 1)),
    ("tensors_one_too_many", "tensor", gguf([], [tensor()], F32_DATA, n_tensors=2)),
    ("tensors_over_cap", "at most", gguf([], [tensor("w", (), 0, 0)] * 65_537)),
    ("little_marked_big", "cannot fit", sound("<")[:4] + sound(">")[4:8] + sound("<")[8:]),
    ("version_1_with_wide_counts", "printable UTF-8", sound()[:4] + u32(1) + sound()[8:]),
]

KEYS = [
    ("key_length_top", "wanted 1 to", gguf([u64(TOP) + b"k" * 40])),
    ("key_length_wraps_back", "wanted 1 to", gguf([u64(TOP - 7) + b"k" * 40])),
    ("key_empty", "wanted 1 to", gguf([key("", U8, b"\1"), bytes(8)], n_keys=1)),
    ("key_too_long", "wanted 1 to", gguf([key("k" * 65_536, U8, b"\1")])),
    ("key_past_the_end", "are left", gguf([u64(60_000) + b"k" * 40])),
    ("key_not_utf8", "printable UTF-8", gguf([key(b"a\xff\xfe", U8, b"\1")])),
    ("key_with_escape", "printable UTF-8", gguf([key("a\x1b[2J", U8, b"\1")])),
    ("key_with_nul", "printable UTF-8", gguf([key("a\0b", U8, b"\1")])),
    ("key_with_line_end", "printable UTF-8", gguf([key("a\nb", U8, b"\1")])),
    ("key_right_to_left_override", "printable UTF-8", gguf([key("a\u202eb", U8, b"\1")])),
    ("key_surrogate", "printable UTF-8", gguf([key(b"a\xed\xa0\x80", U8, b"\1")])),
    ("key_twice", "twice", gguf([key("same", U8, b"\1"), key("same", U8, b"\2")])),
    ("value_type_13", "value type 13", _one(bytes(8), 13)),
    ("value_type_top", "value type 4294967295", _one(bytes(8), 0xFFFFFFFF)),
    ("value_missing", "are left", gguf([key("k" * 30, U64, b"\1\2\3")])),
    ("string_length_top", "of text", _one(string("abc", TOP), STRING)),
    ("string_past_the_end", "are left", _one(string("abc", 4), STRING)),
    ("strings_over_cap", "of text", _one(string(bytes((8 << 20) + 1)), STRING)),
    ("bool_2", "not a bool", _one(b"\2", BOOL)),
    ("bool_array", "not a bool", _one(array(BOOL, 3, b"\0\1\7"))),
]

ARRAYS = [
    ("array_type_13", "value type 13", _one(array(13, 1, bytes(8)))),
    ("array_count_top", "cannot fit", _one(array(U8, TOP, bytes(8)))),
    ("array_bytes_wrap", "cannot fit", _one(array(U64, (1 << 61) + 1, bytes(8)))),
    ("array_past_the_end", "cannot fit", _one(array(U32, 3, bytes(8)))),
    ("array_strings_top", "cannot fit", _one(array(STRING, TOP, bytes(8)))),
    ("array_strings_wrap", "cannot fit", _one(array(STRING, (1 << 61) + 1, bytes(8)))),
    ("array_string_length_top", "are left", _one(array(STRING, 2, u64(TOP) + bytes(8)))),
    ("array_string_wraps_back", "are left", _one(array(STRING, 3, u64(TOP - 7) + u64(0) * 2))),
    ("array_string_negative", "are left", _one(array(STRING, 2, u64(1 << 63) + u64(0)))),
    ("array_string_past_the_end", "are left", _one(array(STRING, 2, string("ab") + string("cd", 3)))),
    ("array_string_ends_in_length", "are left", _one(array(STRING, 2, string("abcdefgh") + b"\1\0\0"))),
    ("nested_5", "nested", _one(_nested(5))),
    ("nested_10000", "nested", _one(_nested(10_000))),
    ("nested_count_top", "cannot fit", _one(array(ARRAY, TOP, array(U8, 0)))),
    ("nested_over_cap", "at most", _one(array(ARRAY, 20_000, array(U8, 0) * 20_000))),
]

ALIGNMENT = [
    ("alignment_0", "power of two", _aligned(U32, u32(0))),
    ("alignment_1", "power of two", _aligned(U32, u32(1))),
    ("alignment_24", "power of two", _aligned(U32, u32(24))),
    ("alignment_huge", "power of two", _aligned(U32, u32(1 << 31))),
    ("alignment_top", "power of two", _aligned(U64, u64(1 << 63))),
    ("alignment_negative", "power of two", _aligned(I32, struct.pack("<i", -32))),
    ("alignment_float", "integer", _aligned(F32, struct.pack("<f", 32.0))),
    ("alignment_bool", "integer", _aligned(BOOL, b"\1")),
    ("alignment_string", "integer", _aligned(STRING, string("32"))),
    ("alignment_array", "integer", _aligned(ARRAY, array(U32, 1, u32(32)))),
]

TENSORS = [
    ("name_empty", "wanted 1 to", gguf([], [tensor("")], F32_DATA)),
    ("name_too_long", "wanted 1 to", gguf([], [tensor("w" * 256)], F32_DATA)),
    ("name_length_top", "wanted 1 to", gguf([], [u64(TOP) + bytes(60)])),
    ("name_not_utf8", "printable UTF-8", gguf([], [tensor(b"\xc3(")], F32_DATA)),
    ("name_with_escape", "printable UTF-8", gguf([], [tensor("w\x1b]0;x\7")], F32_DATA)),
    ("name_twice", "twice", _two(tensor("w"), tensor("w", offset=128))),
    ("dims_5", "5 dimensions", gguf([], [tensor("w", (1, 1, 1, 1, 32))], F32_DATA)),
    ("dims_top", "4294967295 dimensions", gguf([], [tensor("w", (32,), n_dims=0xFFFFFFFF)], F32_DATA)),
    ("dim_0", "zero", gguf([], [tensor("w", (32, 0))], F32_DATA)),
    ("dim_top", "data ends", gguf([], [tensor("w", (TOP,))], F32_DATA)),
    ("dim_negative", "data ends", gguf([], [tensor("w", (1 << 63,))], F32_DATA)),
    ("elements_wrap_to_0", "data ends", gguf([], [tensor("w", (1 << 32, 1 << 32))], F32_DATA)),
    ("elements_wrap_to_32", "data ends", gguf([], [tensor("w", (32, (1 << 59) + 1))], F32_DATA)),
    ("bytes_wrap", "data ends", gguf([], [tensor("w", (1 << 62,))], F32_DATA)),
    ("four_dims_wrap", "data ends", gguf([], [tensor("w", (1 << 16,) * 4)], F32_DATA)),
    ("row_not_whole_blocks", "multiple of 32", gguf([], [tensor("w", (33,), 2)], F32_DATA)),
    ("row_not_whole_superblocks", "multiple of 256", gguf([], [tensor("w", (128,), 12)], F32_DATA)),
    ("scalar_of_blocks", "multiple of 32", gguf([], [tensor("w", (), 8)], F32_DATA)),
    ("type_99", "type 99", gguf([], [tensor(kind=99)], F32_DATA)),
    ("type_top", "type 4294967295", gguf([], [tensor(kind=0xFFFFFFFF)], F32_DATA)),
    ("offset_unaligned", "alignment", gguf([], [tensor(offset=4)], bytes(160))),
    ("offset_beyond_the_file", "data ends", gguf([], [tensor(offset=1 << 20)], F32_DATA)),
    ("offset_wraps", "data ends", gguf([], [tensor(offset=TOP - 31)], F32_DATA)),
    ("offset_negative", "data ends", gguf([], [tensor(offset=1 << 63)], F32_DATA)),
    ("data_missing", "data ends", gguf([], [tensor()])),
    ("data_one_byte_short", "data ends", gguf([], [tensor()], F32_DATA[:-1])),
    ("second_tensor_short", "tensor v", _two(tensor("w"), tensor("v", offset=128), 255)),
    ("same_data_twice", "overlaps", _two(tensor("w"), tensor("v"))),
    ("overlap_at_the_end", "overlaps", _two(tensor("w"), tensor("v", offset=96))),
    ("overlap_in_other_order", "overlaps", _two(tensor("w", offset=96), tensor("v"))),
    ("overlap_inside", "overlaps", _two(tensor("w", (128,)), tensor("v", (8,), 0, 64))),
    ("ends_in_tensor_table", "are left", gguf([], [tensor("w" * 60), tensor("v")])[:-6]),
]

OTHER_LAYOUTS = [
    ("v1_keys_top", "cannot fit", gguf(n_keys=0xFFFFFFFF, version=1, wide="I")),
    ("v1_tensors_top", "cannot fit", gguf(n_tensors=0xFFFFFFFF, version=1, wide="I")),
    ("v1_key_length_top", "wanted 1 to", gguf([u32(0xFFFFFFFF) + b"k" * 40], version=1, wide="I")),
    ("v1_string_top", "are left", _one_of_version_1(array(STRING, 2, u32(0xFFFFFFFF) + bytes(9), wide="I"))),
    ("big_keys_top", "cannot fit", gguf(n_keys=TOP, order=">")),
    ("big_string_top", "are left", _one_of_big_endian(array(STRING, 2, u64(TOP, ">") + bytes(9), ">"))),
    ("big_elements_wrap", "data ends", gguf([], [tensor(dims=(1 << 32, 1 << 32), order=">")], order=">")),
]

MALFORMED = [*FOREIGN, *PREAMBLE, *KEYS, *ARRAYS, *ALIGNMENT, *TENSORS, *OTHER_LAYOUTS]

UNSUPPORTED = [
    ("type_removed", "Q4_2", gguf([], [tensor(kind=4)], F32_DATA)),
    ("type_repacked", "Q4_0_4_4", gguf([], [tensor(kind=31)], F32_DATA)),
    ("type_newer", "NVFP4", gguf([], [tensor(kind=40)], F32_DATA)),
    ("type_of_a_fork", "IQ4_K ", gguf([], [tensor(kind=139)], F32_DATA)),
]


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, data in [*MALFORMED, *UNSUPPORTED]:
        (folder / f"{name}.gguf").write_bytes(data)
    print(f"{len(MALFORMED) + len(UNSUPPORTED)} files in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
