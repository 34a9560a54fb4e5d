"""`furet plan`: the table, the verdict, the exit code."""

from __future__ import annotations

import json
from pathlib import Path

from commandline import Furet

from furet import plan


def test_json_is_what_the_library_says(furet: Furet, model: Path) -> None:
    result = furet("plan", model, "--context", 128, "--sequences", 2, "--memory", "1G", "--json")
    found = json.loads(result.out)
    expected = plan(model, context=128, sequences=2, memory="1G")
    assert result.code == 0
    assert found["rows"] == dict(expected.rows) and found["total"] == expected.total == sum(
        found["rows"].values()
    )
    assert (found["context"], found["sequences"], found["fits"]) == (128, 2, True)
    assert found["largest_context"] == expected.largest_context


def test_the_type_of_keys_and_values(furet: Furet, model: Path) -> None:
    for option in ("--kv", "--cache-type"):
        found = json.loads(furet("plan", model, "--context", 128, option, "q8_0", "--json").out)
        assert found["kv"] == "q8_0" and found["rows"] == dict(plan(model, context=128, kv="q8_0").rows)
    assert "kept as q4_0" in furet("plan", model, "--kv", "q4_0").out
    assert furet("plan", model, "--kv", "q5_0").code == 2


def test_text(furet: Furet, model: Path) -> None:
    shown = furet("plan", model).out
    for row in ("weights", "KV cache", "activations", "total", "budget"):
        assert f"\n{row} " in shown
    assert "fits into what" in shown


def test_too_large_is_exit_code_5_after_the_table(furet: Furet, model: Path) -> None:
    result = furet("plan", model, "--memory", "1M")
    assert result.code == 5 and "does not fit into the budget asked for" in result.out
    assert result.err.startswith("furet: tiny.gguf") or str(model) in result.err
    assert not json.loads(furet("plan", model, "--memory", "1M", "--json").out)["fits"]


def test_a_context_beyond_what_the_model_knows_is_remarked(furet: Furet, model: Path) -> None:
    result = furet("plan", model, "--context", 512)
    assert result.code == 0 and "note: " in result.err and "256" in result.err
