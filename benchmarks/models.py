"""What a benchmark's MODEL may be: the path of a file, or a shape such as shape:7b:q4_k_m, made up for the occasion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from furet.errors import FuretError
from furet.measure.random_model import random_model

HELP = "a file, or random weights: shape:NAME:TYPE"


@contextmanager
def model_file(name: str) -> Iterator[Path]:
    """The file of a model; one of random weights is gone afterwards."""
    if not name.startswith("shape:"):
        yield Path(name)
        return
    shape, _, kind = name.removeprefix("shape:").partition(":")
    print(f"making {name}", file=sys.stderr)
    try:
        with random_model(shape, kind or "q4_k_m") as path:
            yield path
    except FuretError as error:
        raise SystemExit(str(error)) from error
