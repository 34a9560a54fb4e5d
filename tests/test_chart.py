"""The chart in the README is what its script draws from the figures that are stored beside it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def chart() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_chart", DOCS / "make_chart.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_chart_is_up_to_date(chart: ModuleType) -> None:
    drawn = chart.draw(chart.DATA.read_text(encoding="utf-8"))
    assert chart.CHART.read_text(encoding="utf-8") == drawn, "draw it again: python docs/make_chart.py"


def test_bars_are_as_long_as_their_share(chart: ModuleType) -> None:
    result = {"task": "decode 32", "threads": 2, "tokens_per_second": 20.0, "bandwidth_share": 0.8}
    result |= {"peer_tokens_per_second": 10.0, "ratio": 2.0}
    slower = {**result, "threads": 1, "bandwidth_share": 0.1}
    alone = {**result, "task": "decode 32 x 8"}
    del alone["ratio"]
    line = json.dumps({"model": "a<b&c.gguf", "results": [result, slower, alone]})
    root = ElementTree.fromstring(chart.draw(line + "\n"))
    bars = list(root.iter(f"{SVG}rect"))[2:]  # behind the legend
    whole = chart.place(1.0) - chart.LEFT
    assert [round(float(bar.get("width", 0)) / whole, 2) for bar in bars] == [0.8, 0.4]
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {"a<b&c", "20.0 tok/s, 2.0x", "10.0 tok/s", "Decode, 32 tokens"} <= set(texts)


def test_no_bar_leaves_the_chart(chart: ModuleType) -> None:
    assert chart.place(1.3) == chart.place(1.0) < chart.WIDTH
