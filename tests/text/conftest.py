"""Tokenizers with a cache of the test's own; its place makes the fuzzed strings of benchmarks/ importable."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from furet.text.from_gguf import tokenizer_from_metadata
from furet.text.tokenizer import Tokenizer

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Mapping[str, Any]], Tokenizer]:
    """From metadata to a tokenizer."""
    return lambda metadata: tokenizer_from_metadata(metadata, cache_dir=tmp_path)
