"""Built vocabularies on disk, so that a model opens without building its tokenizer again.

A file is a JSON header and the arrays of a Vocabulary, end to end. Nothing in it is executed or trusted: the
checksum finds damage, `is_sound` finds indices that lead outside, and anything wrong means building again.
The cache is a convenience: a folder that cannot be written or read only costs time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import sys
import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from furet.text.merge import MergeTable
from furet.text.metadata import Metadata, raw
from furet.text.vocabulary import Kind, Rules, Vocabulary, is_sound

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VERSION = 3  # raise it whenever building gives other tables, or the layout changes
MAGIC = b"furet vocabulary  \r\n"
SUFFIX = ".vocabulary"
MAX_FILE = 64 << 20
MAX_FOLDER = 128 << 20
_PREAMBLE = struct.Struct("<20sIQ")  # magic, checksum of the rest, bytes of the header
_ARRAYS = ("starts", "codes", "symbols", "byte_ids", "words")
_FLAGS = tuple(field.name for field in fields(Rules) if field.type == "bool")
_MERGES = tuple(field.name for field in fields(MergeTable))


def default_folder() -> Path:
    """Where built vocabularies are kept: FURET_CACHE, or the platform's cache folder for furet."""
    if os.environ.get("FURET_CACHE"):
        return Path(os.path.expandvars(os.environ["FURET_CACHE"])).expanduser() / "vocabularies"
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("furet", appauthor=False)) / "vocabularies"


def vocabulary_key(metadata: Metadata) -> str:
    """SHA-256 over all that a vocabulary is built from, and over what decides how it is built and stored."""
    digest = hashlib.sha256(f"{VERSION} {sys.byteorder}".encode())
    for name in sorted(key for key in metadata if key.startswith(("tokenizer.ggml.", "tokenizer.hugg"))):
        content = raw(metadata, name)
        digest.update(f"\n{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def load(folder: Path, key: str) -> Vocabulary | None:
    """The vocabulary stored under `key`, or None when there is none, or none that is whole."""
    try:
        path = folder / (key + SUFFIX)
        if path.stat().st_size > MAX_FILE:
            return None
        return _parse(path.read_bytes(), key)
    except (OSError, ValueError, TypeError, KeyError, LookupError, struct.error, RecursionError):
        return None


def save(folder: Path, key: str, vocabulary: Vocabulary) -> None:
    """Store `vocabulary` under `key`: whole or not at all, and silently not at all where the disk refuses."""
    header, arrays = _header(vocabulary, key), _arrays(vocabulary)
    body = b"".join([header, *(array.tobytes() for array in arrays.values()), vocabulary.text])
    if len(body) > MAX_FILE - _PREAMBLE.size:
        return
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder, folder / (key + SUFFIX), _PREAMBLE.pack(MAGIC, zlib.crc32(body), len(header)) + body)
        _prune(folder)


def _arrays(vocabulary: Vocabulary) -> dict[str, NDArray[Any]]:
    """The arrays in the order of the file: wide elements first, so that all are aligned."""
    found = {name: getattr(vocabulary, name) for name in _ARRAYS}
    found |= {"merges." + name: getattr(vocabulary.merges, name) for name in _MERGES}
    return found | {"scores": vocabulary.scores, "types": vocabulary.types, "charsmap": vocabulary.charsmap}


def _header(vocabulary: Vocabulary, key: str) -> bytes:
    counts = {name: len(array) for name, array in _arrays(vocabulary).items()}
    text = json.dumps({"key": key, "rules": asdict(vocabulary.rules), "counts": counts})
    return text.ljust(-(-len(text) // 8) * 8).encode()  # the arrays after it must be aligned


def _parse(data: bytes, key: str) -> Vocabulary | None:
    import numpy as np

    magic, checksum, length = _PREAMBLE.unpack_from(data)
    at = _PREAMBLE.size + length
    if magic != MAGIC or zlib.crc32(memoryview(data)[_PREAMBLE.size :]) != checksum or at > len(data):
        return None
    header = json.loads(data[_PREAMBLE.size : at])
    if header["key"] != key:
        return None

    def array(name: str, dtype: type[np.generic] = np.uint32) -> NDArray[Any]:
        nonlocal at
        kind, count = np.dtype(dtype), header["counts"][name]
        found = np.frombuffer(data, kind, count, at) if count else np.empty(0, kind)
        at += count * kind.itemsize
        return found

    tables = {name: array(name) for name in _ARRAYS}
    merges = MergeTable(**{name: array("merges." + name) for name in _MERGES})
    rest = {"scores": array("scores", np.float32)}
    rest |= {name: array(name, np.uint8) for name in ("types", "charsmap")}
    rules = _rules(header["rules"])
    vocabulary = Vocabulary(rules=rules, text=data[at:], merges=merges, **tables, **rest)
    return vocabulary if is_sound(vocabulary) else None


def _rules(stored: dict[str, Any]) -> Rules:
    """The rules as they were stored; a value of another type is a TypeError."""
    rules = Rules(**{**stored, "stop_ids": tuple(stored["stop_ids"])})
    ids = (rules.bos_id, rules.eos_id, rules.unk_id)
    if (
        rules.kind not in get_args(Kind)
        or not isinstance(rules.pre, str)
        or any(
            type(token) is not int
            for token in (*rules.stop_ids, *(token for token in ids if token is not None))
        )
        or any(type(stored[name]) is not bool for name in _FLAGS)
        or (rules.add_bos and rules.bos_id is None)
        or (rules.add_eos and rules.eos_id is None)
    ):
        raise TypeError("not the rules of a vocabulary")
    return rules


def _write(folder: Path, path: Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or none of it."""
    import tempfile

    handle, name = tempfile.mkstemp(suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def _prune(folder: Path) -> None:
    """Delete the oldest vocabularies until the folder is within its cap."""
    found = sorted(((entry.stat().st_mtime, entry) for entry in folder.glob("*" + SUFFIX)), reverse=True)
    total = 0
    for _, path in found:
        total += path.stat().st_size
        if total > MAX_FOLDER:
            path.unlink(missing_ok=True)
