"""What a caller may ask of sampling, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real

from furet.errors import BadRequest


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the defaults are those that users of GGUF files are used to.

    temperature     divides the logits; below 1 sharper, above 1 flatter; 0: always the most probable token
    top_k           keep this many of the most probable tokens; 0: all
    top_p           keep the most probable tokens until they hold this share of the probability; 1: all
    min_p           keep tokens at least this probable relative to the most probable one; 0: all
    seed            0 to 2^64 - 1, the same seed gives the same answer; None: a new one for every answer
    raises          BadRequest naming the field
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    seed: int | None = None

    def __post_init__(self) -> None:
        _number("temperature", self.temperature, None)
        _number("top_p", self.top_p, 1)
        _number("min_p", self.min_p, 1)
        whole("top_k", self.top_k)
        if self.seed is not None:
            whole("seed", self.seed)
            if self.seed >= 1 << 64:
                raise BadRequest(f"seed: got {self.seed}, wanted less than 2^64")


def whole(name: str, value: object, least: int = 0) -> None:
    """Raise BadRequest unless the value is a whole number of at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise BadRequest(f"{name}: got {value!r}, wanted a whole number")
    if value < least:
        raise BadRequest(f"{name}: got {value}, wanted at least {least}")


def _number(name: str, value: object, most: float | None) -> None:
    wanted = "a number of at least 0" if most is None else f"a number from 0 to {most}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise BadRequest(f"{name}: got {value!r}, wanted {wanted}")
    number = float(value)
    if not isfinite(number) or number < 0 or (most is not None and number > most):
        raise BadRequest(f"{name}: got {value}, wanted {wanted}")
