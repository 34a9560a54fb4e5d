"""A damaged config.json is a model of other sizes or an error that a person understands, never a crash."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_config.py"


def test_damaged_configurations_of_every_family() -> None:
    spec = importlib.util.spec_from_file_location("fuzz_config", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    counts, wrong, _ = module.fuzz(600, seed=1)
    assert not wrong, wrong[0]
    assert min(counts["model"], counts["ModelFileError"], counts["UnsupportedModel"]) > 50
