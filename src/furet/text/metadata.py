"""Checked reading of `tokenizer.*` metadata: whatever a file holds, a value or a ModelFileError.

Values are strings and numbers, and for arrays any sequence. An array that offers `raw` (its bytes in the
file), `blobs()` (strings as bytes) or `numpy()`, as those of the GGUF reader do, is read through these: going
element by element is ten times slower.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from furet.errors import ModelFileError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Metadata = Mapping[str, object]
Number = TypeVar("Number", bound="np.generic")


def text(metadata: Metadata, key: str, default: str = "") -> str:
    """The string under `key`, or `default` when the key is absent."""
    value = metadata.get(key, default)
    if not isinstance(value, str):
        raise ModelFileError(f"is {_kind(value)}, expected a string", field=key)
    return value


def flag(metadata: Metadata, key: str, default: bool) -> bool:
    """The boolean under `key`, or `default` when the key is absent."""
    value = metadata.get(key, default)
    if isinstance(value, bool):
        return value
    number = _integer(value)
    if number not in (0, 1):
        raise ModelFileError(f"is {_kind(value)}, expected true or false", field=key)
    return bool(number)


def token_id(metadata: Metadata, key: str, vocab_size: int) -> int | None:
    """The token id under `key`, or None when the key is absent; an id outside the vocabulary is an error."""
    value = metadata.get(key)
    if value is None:
        return None
    number = _integer(value)
    if number is None or isinstance(value, bool):
        raise ModelFileError(f"is {_kind(value)}, expected a token id", field=key)
    if not 0 <= number < vocab_size:
        raise ModelFileError(f"is {number}, but the vocabulary has {vocab_size} tokens", field=key)
    return number


def strings(metadata: Metadata, key: str) -> list[str]:
    """The array of strings under `key`; absent, mistyped or not UTF-8 is an error."""
    values = _array(metadata, key)
    blobs: Callable[[], list[bytes]] | None = getattr(values, "blobs", None)
    items: list[object] = list(blobs() if blobs is not None else values)
    try:
        return _all_decoded(items)
    except (TypeError, ValueError):
        return [_decoded(item, index, key) for index, item in enumerate(items)]


def _all_decoded(items: list[object]) -> list[str]:
    """All of `items` from bytes in one go, which is worth it for 150,000 of them."""
    if not items:
        return []
    found = b"\0".join(items).decode("utf-8").split("\0")  # type: ignore[arg-type]
    if len(found) != len(items):
        raise ValueError("a string has the separator in it")
    return found


def _decoded(item: object, index: int, key: str) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, bytes):
        raise ModelFileError(f"element {index} is {_kind(item)}, expected a string", field=key)
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelFileError(f"element {index} is not UTF-8: {item[:32]!r}", field=key) from None


def numbers(metadata: Metadata, key: str, count: int, dtype: type[Number]) -> NDArray[Number]:
    """The array of `count` numbers under `key` as `dtype` [count]; a wrong length or type is an error."""
    import numpy as np

    values = _array(metadata, key)
    if len(values) != count:
        raise ModelFileError(f"has {len(values)} elements for {count} tokens", field=key)
    if not count:
        return np.empty(0, dtype)
    view: Callable[[], object] | None = getattr(values, "numpy", None)
    try:
        array = np.asarray(view() if view is not None else values)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0, object)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise ModelFileError("holds something else than numbers", field=key)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ModelFileError(f"element {int(np.argmin(np.isfinite(array)))} is not finite", field=key)
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(dtype)


def raw(metadata: Metadata, key: str) -> bytes:
    """Bytes that stand for the value under `key`: different values give different bytes."""
    value = metadata.get(key)
    found = getattr(value, "raw", None)
    if isinstance(found, bytes):
        return found
    view: Callable[[], object] | None = getattr(value, "numpy", None)
    if view is not None:
        value = view()
    dump: Callable[[], bytes] | None = getattr(value, "tobytes", None)
    if dump is not None:
        return dump()
    return repr(list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value).encode()


def _array(metadata: Metadata, key: str) -> Sequence[object]:
    value = metadata.get(key)
    if value is None:
        raise ModelFileError(
            "missing", "the file was made without a tokenizer; convert the model again", field=key
        )
    if isinstance(value, str | bytes) or not (hasattr(value, "__len__") and hasattr(value, "__getitem__")):
        raise ModelFileError(f"is {_kind(value)}, expected an array", field=key)
    return value  # type: ignore[return-value]


def _integer(value: object) -> int | None:
    """`value` as an int when it is an integer of any library, else None."""
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def _kind(value: object) -> str:
    """What a value is, for a message."""
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) <= 40 else shown[:37] + '...'}"
