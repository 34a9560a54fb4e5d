"""`furet bench`: figures that are consistent; how large they are is not a test's business."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commandline import Furet

from furet.cli import bench as bench_file


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_file, "_PREFILL", (4, 8))
    monkeypatch.setattr(bench_file, "_DECODE", 3)
    monkeypatch.setattr(bench_file, "_PROBE_BYTES", 1 << 20)
    monkeypatch.setattr(bench_file, "_PROBE_SECONDS", 0.01)


def test_the_last_line_is_json(furet: Furet, model: Path) -> None:
    result = furet("bench", model, "--repeat", 1, "-t", 1, "-t", 2)
    found = json.loads(result.out.splitlines()[-1])
    assert result.code == 0 and "measuring with --threads 2" in result.err
    tasks = [(each["task"], each["threads"]) for each in found["results"]]
    assert tasks == [(task, n) for n in (1, 2) for task in ("prefill 4", "prefill 8", "decode 3")]
    for each in found["results"]:
        share = each.get("bandwidth_share", each.get("peak_share"))
        reached = each.get("bytes_per_second", each.get("operations_per_second"))
        machine = each.get("machine_bytes_per_second", each.get("machine_operations_per_second"))
        assert each["tokens_per_second"] > 0 and share == pytest.approx(reached / machine, abs=1e-3)


def test_json_alone(furet: Furet, model: Path) -> None:
    assert json.loads(furet("bench", model, "-r", 1, "--json").out)["model"] == "tiny.gguf"


def test_work_counts_every_matrix_once(model: Path) -> None:
    """The tiny model is untied: its embedding is looked up, not multiplied with."""
    work = bench_file._work(model)
    attention, ffn, head = 2 * (64 * 64 + 64 * 32), 3 * 64 * 96, 261 * 64
    layers = 2 * (attention + ffn)
    assert (work.operations, work.head) == (2 * layers, 2 * head)
    assert work.bytes == 4 * (layers + head + 5 * 64)


@pytest.mark.parametrize(("option", "named"), [("--threads", "threads"), ("--repeat", "repeat")])
def test_numbers_that_make_no_sense(furet: Furet, model: Path, option: str, named: str) -> None:
    result = furet("bench", model, option, 0)
    assert result.code == 2 and named in result.err and not result.out
