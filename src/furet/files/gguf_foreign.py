"""What a file is when it is not GGUF: a failed download, an older format, or another under the wrong name."""

from __future__ import annotations

import struct

_DOWNLOAD = "download the model again; `furet pull` checks what it gets"
_CONVERT = "get a GGUF file of the same model, or convert this one"

_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"version https://git-lfs", "this is a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    (b"lmgg", "this is a GGML file without a version, the format of early 2023, not GGUF", _CONVERT),
    (b"fmgg", "this is a GGMF file, a format of March 2023, not GGUF", _CONVERT),
    (b"tjgg", "this is a GGJT file, a format of April to August 2023, not GGUF", _CONVERT),
    (b"algg", "this is a GGLA adapter (LoRA) of 2023, not a GGUF model", _CONVERT),
    (b"nsgg", "this is a saved llama.cpp session, not a model", "name the model file itself"),
    (b"qsgg", "this is a saved llama.cpp sequence state, not a model", "name the model file itself"),
    (b"FUGG", "the bytes of this GGUF file are swapped four by four", _DOWNLOAD),
    (b"PK\x03\x04", "this is a zip archive (perhaps a PyTorch checkpoint), not GGUF", _CONVERT),
    (b"\x1f\x8b", "this is a gzip archive, not GGUF", "unpack it first"),
    (b"(\xb5/\xfd", "this is a zstandard archive, not GGUF", "unpack it first"),
    (b"\xfd7zXZ\x00", "this is an xz archive, not GGUF", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "this is a 7z archive, not GGUF", "unpack it first"),
    (b"BZh", "this is a bzip2 archive, not GGUF", "unpack it first"),
    (b"\x89HDF", "this is an HDF5 file, not GGUF", _CONVERT),
    (b"\x93NUMPY", "this is a NumPy array, not GGUF", _CONVERT),
    (b"%PDF", "this is a PDF document, not GGUF", _DOWNLOAD),
    (b"\x7fELF", "this is a program, not GGUF", _DOWNLOAD),
)


def describe_foreign(start: bytes | bytearray, total_bytes: int) -> tuple[str, str]:
    """(what it is, what to do) of a file that begins with `start` and not as GGUF does."""
    head = bytes(start[:512])
    if total_bytes == 0:
        return "the file is empty", _DOWNLOAD
    for magic, what, hint in _STARTS:
        if head.startswith(magic):
            return what, hint
    return _pickle_or_safetensors(head, total_bytes) or _text(head) or _nothing_known(head)


def _pickle_or_safetensors(head: bytes, total_bytes: int) -> tuple[str, str] | None:
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "this is a Python pickle (an old PyTorch checkpoint), which furet never opens", _CONVERT
    if len(head) > 9 and head[8:9] == b"{" and struct.unpack_from("<Q", head)[0] + 8 <= total_bytes:
        return "this is a safetensors file, not GGUF", _CONVERT
    if head[257:262] == b"ustar":
        return "this is a tar archive, not GGUF", "unpack it first"
    return None


def _text(head: bytes) -> tuple[str, str] | None:
    """A page or message that was saved in the place of the file."""
    try:
        text = head.decode("utf-8-sig", "strict" if len(head) < 512 else "ignore").strip()
    except UnicodeDecodeError:
        return None
    lower = text.lower()
    if lower.startswith(("<!doctype", "<html", "<head", "<?xml")):
        return "this is a web page saved under the name of a model, not GGUF", _DOWNLOAD
    if text.startswith(("{", "[")):
        return "this is JSON text, not GGUF", _DOWNLOAD
    if text and all(char.isprintable() or char in "\t\r\n" for char in text):
        return f"this is text, beginning {text[:40]!r}, not GGUF", _DOWNLOAD
    return None


def _nothing_known(head: bytes) -> tuple[str, str]:
    if not any(head):
        return "the file begins with zeros, as an interrupted download does", _DOWNLOAD
    return f"begins with {head[:4]!r}, wanted b'GGUF'", "this is not a GGUF file, or its beginning is damaged"
