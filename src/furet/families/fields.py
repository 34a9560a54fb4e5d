"""Reading a model's configuration: every key typed, ranged and accounted for.

A key of the architecture that nobody read may change what the model computes, so it is an error, unless it
stands in a list of keys to ignore, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from furet.errors import ModelFileError, UnsupportedModel

IGNORED = {
    "vocab_size": "the token list says it",
    "rope.scaling.finetuned": "says how the model was trained, not how it runs",
    "tensor_data_layout": "the order of the rows of q and k is the family's, in every GGUF file",
}
MOST = 2**24  # no width, head count or vocabulary of a real model comes near
MOST_TOKENS = 2**31 - 1


class Axis(NamedTuple):
    """The size of an axis letter, and where it was read; `sizes` where layers differ."""

    size: int
    origin: str
    sizes: tuple[int, ...] = ()

    def at(self, layer: int) -> int:
        """The size in a layer."""
        return self.sizes[layer] if self.sizes else self.size

    @property
    def shown(self) -> str:
        """The size, for a message."""
        return str(list(self.sizes)) if self.sizes else str(self.size)


class Fields:
    """Typed reader of one architecture's metadata; keys are given without the architecture's name.

    axes    the axis letters read so far, by which the family's tensor table is checked
    path    named in errors
    """

    def __init__(
        self,
        metadata: Mapping[str, Any],
        architecture: str,
        ignored: Mapping[str, str] | None = None,
        path: str | Path | None = None,
    ) -> None:
        self.metadata = metadata
        self.architecture = architecture
        self.path = path
        self.axes: dict[str, Axis] = {}
        self._left = {key for key in metadata if key.startswith(f"{architecture}.")}
        self._left -= {self.name(key) for key in (*IGNORED, *(ignored or ()))}

    def name(self, key: str) -> str:
        """The key as it stands in the file."""
        return f"{self.architecture}.{key}"

    def has(self, key: str) -> bool:
        """Whether the file has the key."""
        return self.name(key) in self.metadata

    def integer(self, key: str, default: int | None = None, *, low: int = 0, high: int = MOST) -> int:
        """A whole number within [low, high]; required when there is no default."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.damaged(key, value, "a whole number")
        if not low <= value <= high:
            raise self.damaged(key, value, f"{low} to {high}")
        return value

    def number(self, key: str, default: float | None = None, *, low: float = 0.0) -> float:
        """A finite number above `low`, or the default; required when there is no default."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.damaged(key, value, "a number")
        if not (isfinite(value) and (value > low or value == default)):
            raise self.damaged(key, value, f"a finite number above {low:g}")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false; required when there is no default."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self.damaged(key, value, "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required when there is no default."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self.damaged(key, value, "a string")
        return value

    def axis(self, letter: str, key: str, default: int | None = None, *, high: int = MOST) -> int:
        """A size of at least 1, remembered under its axis letter."""
        size = self.integer(key, default, low=1, high=high)
        self.axes[letter] = Axis(size, self.name(key) if self.has(key) else f"{self.name(key)}, by default")
        return size

    def per_layer(self, letter: str, key: str, layers: int) -> tuple[int, ...]:
        """A size of at least 1 for every layer, remembered under its axis letter; one number is that of all."""
        value = self.metadata.get(self.name(key))
        if isinstance(value, int):
            return (self.axis(letter, key),) * layers
        self._left.discard(self.name(key))
        if value is None or isinstance(value, str) or not isinstance(value, Sequence) or len(value) != layers:
            raise self.damaged(key, value, f"a number for each of {layers} layers")
        sizes = tuple(value[i] for i in range(layers))
        if not all(isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= MOST for size in sizes):
            raise self.damaged(key, sizes, f"numbers of 1 to {MOST}")
        self.axes[letter] = Axis(max(sizes), self.name(key), sizes)
        return sizes

    def vocabulary(self) -> int:
        """V: how many tokens the file lists or, without a list, what `vocab_size` says."""
        listed = self.metadata.get("tokenizer.ggml.tokens")
        if listed is None:
            return self.axis("V", "vocab_size")
        if isinstance(listed, str) or not isinstance(listed, Sequence) or not 1 <= len(listed) <= MOST:
            raise ModelFileError("wanted a list of tokens", path=self.path, field="tokenizer.ggml.tokens")
        self.axes["V"] = Axis(len(listed), "the length of tokenizer.ggml.tokens")
        return len(listed)

    def expect(self, key: str, wanted: object, otherwise: str) -> None:
        """Refuse the model when the key is there and says anything else; `otherwise` tells why."""
        value = self._get(key, wanted)
        if value != wanted:
            raise self.unsupported(f"{self.name(key)} is {_short(value)}: {otherwise}")

    def require(self, holds: bool, key: str, wanted: str) -> None:
        """Refuse the file when a relation between its keys does not hold."""
        if not holds:
            raise self.damaged(key, self.metadata.get(self.name(key)), wanted)

    def close(self) -> None:
        """Raise UnsupportedModel when a key of the architecture was neither read nor ignored."""
        if self._left:
            names = sorted(self._left)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise self.unsupported(
                f"no meaning is known for {', '.join(name[:80] for name in names[:3])}{more}",
                hint="a newer version may know it; to run the model regardless could give wrong answers",
            )

    def damaged(self, key: str, got: object, wanted: str) -> ModelFileError:
        """The error for a key that says what no sound file says."""
        return ModelFileError(f"is {_short(got)}, wanted {wanted}", path=self.path, field=self.name(key))

    def unsupported(self, message: str, hint: str = "") -> UnsupportedModel:
        """The error for a model that is sound, but not one of this family."""
        return UnsupportedModel(f"{self.path}: {message}" if self.path else message, hint)

    def _get(self, key: str, default: object) -> Any:
        self._left.discard(self.name(key))
        value = self.metadata.get(self.name(key), default)
        if value is None:
            raise self.damaged(key, "missing", "a value")
        if isinstance(value, Sequence) and not isinstance(value, str):
            raise self.unsupported(f"{self.name(key)} has a value per layer: this family has one for all")
        return value


def _short(value: object) -> str:
    text = value if value == "missing" else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
