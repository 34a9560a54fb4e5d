"""docs/models.md and docs/reference say what the code says; figures are no better than the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from parity.checkpoint import cases

import furet
from furet.cli.main import VERBS
from furet.engine.request import Request

DOCS = Path(__file__).parents[1] / "docs"
AGAIN = "run `PYTHONPATH=src:tests python docs/make_models.py --measure`"
SLACK = 4  # float32 sums of another processor may differ so much more


@pytest.fixture(scope="module")
def make() -> ModuleType:
    """docs/make_models.py, as a module."""
    return _module("make_models")


def _module(name: str) -> ModuleType:
    spec = spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((DOCS / "models.json").read_text())
    return found


def test_the_page_is_what_code_and_figures_give(make: ModuleType, figures: dict[str, dict[str, Any]]) -> None:
    assert (DOCS / "models.md").read_text() == make.page(figures), AGAIN


def test_every_case_has_a_figure_and_no_other(figures: dict[str, dict[str, Any]]) -> None:
    assert figures["reference"].keys() == cases().keys(), AGAIN
    assert all(column.keys() <= cases().keys() for column in figures.values()), AGAIN
    assert max(figures["reference"].values()) <= 1e-4


SHORT = {fixture: name for name, (fixture, case) in reversed(cases().items()) if case.length <= 64}


@pytest.mark.parametrize("name", SHORT.values())
def test_figures_are_no_better_than_the_truth(
    name: str, make: ModuleType, figures: dict[str, dict[str, Any]], core: Any
) -> None:
    found = make.measure([name], core)
    for column in ("reference", "native") if core is not None else ("reference",):
        stated, true = figures[column].get(name), found[column].get(name)
        if isinstance(stated, float):
            assert isinstance(true, float), f"{column}: {true}"
            assert true <= SLACK * stated, AGAIN


@pytest.fixture(scope="module")
def core() -> Any:
    """The native core, or None where it was not built."""
    try:
        from furet import _core
    except ImportError:
        return None
    return _core


@pytest.mark.parametrize(
    ("value", "column", "wanted"),
    [
        (2.1e-6, "reference", "3e-6"), (9.5e-5, "reference", "1e-4"), (3e-6, "reference", "3e-6"),
        (0.0, "reference", "0"), (0.00121, "native", "0.2 %"), (0.012, "native", "2 %"),
        (None, "native", "–"), ("not loaded: why", "llama.cpp F16", "not loaded"), (0.0021, "llama.cpp F16", "3e-3"),
    ],
)  # fmt: skip
def test_figures_are_rounded_up(make: ModuleType, value: object, column: str, wanted: str) -> None:
    shown: Callable[[str, object], str] = make.shown
    assert shown(column, value) == wanted


# docs/reference, which docs/make_reference.py makes


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """docs/make_reference.py, as a module."""
    return _module("make_reference")


@pytest.mark.parametrize("name", ["python.md", "options.md", "cli.md", "http.md"])
def test_the_reference_is_what_the_code_says(name: str, reference: ModuleType) -> None:
    assert (DOCS / "reference" / name).read_text() == reference.page(name), reference.AGAIN


def test_the_reference_has_no_other_page(reference: ModuleType) -> None:
    assert {path.name for path in (DOCS / "reference").iterdir()} == reference.MAKERS.keys()


def test_the_reference_names_all_that_is_public(reference: ModuleType) -> None:
    text = {name: reference.page(name) for name in reference.MAKERS}
    assert all(f"furet.{name}\n" in text["python.md"] or f"| `{name}` |" in text["python.md"]
               for name in furet.__all__ if name != "__version__")  # fmt: skip
    assert all(f"\n## furet {verb}\n" in text["cli.md"] for verb in VERBS)
    assert all(f"| `{field.name}` |" in text["options.md"] for field in fields(Request))
    assert "### POST /v1/chat/completions\n" in text["http.md"] and "### GET /api/tags\n" in text["http.md"]
