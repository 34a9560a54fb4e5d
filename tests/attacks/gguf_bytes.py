"""The parts of a GGUF file as bytes, written with no opinion about what is valid.

    gguf(keys=[key("a", U32, u32(1))], tensors=[tensor("w", (32,))], data=bytes(128))

Numbers that a test wants to be wrong can be given: counts, lengths, offsets. `order` is '<' or '>'; `wide` is
'Q', or 'I' in version 1.
"""

from __future__ import annotations

import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


def u32(value: int, order: str = "<") -> bytes:
    return struct.pack(order + "I", value)


def u64(value: int, order: str = "<") -> bytes:
    return struct.pack(order + "Q", value)


def string(raw: str | bytes, length: int | None = None, order: str = "<", wide: str = "Q") -> bytes:
    raw = raw.encode() if isinstance(raw, str) else raw
    return struct.pack(order + wide, len(raw) if length is None else length) + raw


def key(name: str | bytes, kind: int, value: bytes, order: str = "<", wide: str = "Q") -> bytes:
    return string(name, None, order, wide) + u32(kind, order) + value


def array(kind: int, count: int, items: bytes = b"", order: str = "<", wide: str = "Q") -> bytes:
    return u32(kind, order) + struct.pack(order + wide, count) + items


def tensor(
    name: str | bytes = "w",
    dims: tuple[int, ...] = (32,),
    kind: int = 0,
    offset: int = 0,
    *,
    n_dims: int | None = None,
    order: str = "<",
    wide: str = "Q",
) -> bytes:
    head = string(name, None, order, wide) + u32(len(dims) if n_dims is None else n_dims, order)
    return head + struct.pack(f"{order}{len(dims)}{wide}", *dims) + u32(kind, order) + u64(offset, order)


def gguf(
    keys: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    data: bytes = b"",
    *,
    n_keys: int | None = None,
    n_tensors: int | None = None,
    magic: bytes = b"GGUF",
    version: int = 3,
    alignment: int = 32,
    order: str = "<",
    wide: str = "Q",
) -> bytes:
    keys, tensors = keys or [], tensors or []
    counts = (len(tensors) if n_tensors is None else n_tensors, len(keys) if n_keys is None else n_keys)
    head = magic + u32(version, order) + struct.pack(f"{order}2{wide}", *counts)
    header = head + b"".join(keys) + b"".join(tensors)
    return header + bytes(-len(header) % alignment if data else 0) + data


def sound(order: str = "<", version: int = 3) -> bytes:
    """A small file with one of everything: what the mutations start from."""
    wide = "I" if version == 1 else "Q"
    how = {"order": order, "wide": wide}
    keys = [
        key("general.architecture", STRING, string("llama", **how), **how),
        key("general.alignment", U32, u32(32, order), **how),
        key("llama.block_count", U32, u32(2, order), **how),
        key("llama.rope.freq_base", F32, struct.pack(order + "f", 1e4), **how),
        key("tokenizer.ggml.add_bos_token", BOOL, b"\1", **how),
        key("small", I8, b"\xff", **how),
        key("wide", U64, u64(1 << 40, order), **how),
        key("exact", F64, struct.pack(order + "d", 0.1), **how),
        key("flags", ARRAY, array(BOOL, 3, b"\0\1\1", **how), **how),
        key("scores", ARRAY, array(F32, 4, struct.pack(order + "4f", 0, -1, -2, 0.5), **how), **how),
        key("tokens", ARRAY, array(STRING, 4, b"".join(string(t, **how) for t in _TOKENS), **how), **how),
        key(
            "nested",
            ARRAY,
            array(ARRAY, 2, array(U8, 2, b"\1\2", **how) + array(I16, 0, **how), **how),
            **how,
        ),
    ]
    tensors = [
        tensor("token_embd.weight", (64, 3), 0, 0, **how),
        tensor("blk.0.attn_q.weight", (32, 2), 2, 768, **how),
        tensor("blk.0.attn_norm.weight", (5,), 0, 832, **how),
        tensor("blk.0.ffn_down.weight", (256, 1, 2), 14, 864, **how),
        tensor("scalar", (), 1, 1312, **how),
    ]
    data = bytes(i * 37 % 256 for i in range(1314))
    return gguf(keys, tensors, data, version=version, **how)


_TOKENS = ("<s>", "", b"\xe2\x96", "été")


def number_fields(data: bytes) -> list[tuple[int, int]]:
    """Every number in the header of a sound file: (position, bytes), found without the reader under test."""
    order = "little" if data[4] else "big"
    wide = 4 if 1 in (data[4], data[7]) else 8
    fields: list[tuple[int, int]] = []
    at = 4

    def number(width: int) -> int:
        nonlocal at
        fields.append((at, width))
        at += width
        return int.from_bytes(data[at - width : at], order)

    def text() -> None:
        nonlocal at
        count = number(wide)
        at += count

    def value(kind: int) -> None:
        if kind == STRING:
            text()
        elif kind == ARRAY:
            kind = number(4)
            for _ in range(number(wide)):
                value(kind)
        else:
            number({U8: 1, I8: 1, BOOL: 1, U16: 2, I16: 2, U64: 8, I64: 8, F64: 8}.get(kind, 4))

    number(4)
    n_tensors, n_keys = number(wide), number(wide)
    for _ in range(n_keys):
        text()
        value(number(4))
    for _ in range(n_tensors):
        text()
        for _ in range(number(4)):
            number(wide)
        number(4)
        number(8)
    return fields
