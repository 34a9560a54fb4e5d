"""`furet bench`: figures that are consistent; how large they are is not a test's business."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from commandline import Furet

from furet.engine.packing import Packing
from furet.measure import bench as bench_file
from furet.measure import compare, limits, random_model, shapes, tasks


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "DECODE", 3)
    monkeypatch.setattr(tasks.Decode.__init__, "__defaults__", (16, 1, 3))
    monkeypatch.setattr(compare, "SETTLE", 0.0)
    monkeypatch.setattr(limits, "PROBE_BYTES", 1 << 20)
    monkeypatch.setattr(limits, "PROBE_SECONDS", 0.01)


@pytest.fixture
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = shapes.Shape("tiny", "llama", 8, 256, 4, 1, 512, 300, 256, True, 1e4, 1e-5)
    monkeypatch.setitem(shapes.SHAPES, "tiny", sizes)
    monkeypatch.setattr(random_model, "PATTERN", 1 << 14)


SHORT = ("--prefill", 4, "--prefill", 8, "--repeat", 1)


def test_the_last_line_is_json(furet: Furet, model: Path) -> None:
    result = furet("bench", model, *SHORT, "-t", 1, "-t", 2)
    found = json.loads(result.out.splitlines()[-1])
    assert result.code == 0 and "measuring with --threads 2" in result.err
    listed = [(each["task"], each["threads"]) for each in found["results"]]
    assert listed == [(task, n) for n in (1, 2) for task in ("prefill 4", "prefill 8", "decode 3")]
    for each in found["results"]:
        share = each.get("bandwidth_share", each.get("peak_share"))
        reached = each.get("bytes_per_second", each.get("operations_per_second"))
        machine = each.get("machine_bytes_per_second", each.get("machine_operations_per_second"))
        assert each["tokens_per_second"] > 0 and share == pytest.approx(reached / machine, abs=1e-3)
        assert "ratio" not in each


def test_json_alone(furet: Furet, model: Path) -> None:
    assert json.loads(furet("bench", model, *SHORT, "--json").out)["model"] == "tiny.gguf"


def test_weights_may_stay_in_the_file(furet: Furet, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[str] = []
    monkeypatch.setattr(Packing, "add", lambda self, file, matrices: packed.extend(matrices))
    assert furet("bench", model, *SHORT, "-t", 1, "--no-repack").code == 0
    assert not packed


def test_sequences_together_are_compared_with_one(furet: Furet, model: Path) -> None:
    result = furet("bench", model, *SHORT, "--sequences", 4, "--depth", 16, "--depth", 40)
    found = {each["task"]: each for each in json.loads(result.out.splitlines()[-1])["results"]}
    assert [*found][2:] == ["decode 3", "decode 3 x 4", "decode 3 after 40", "decode 3 x 4 after 40"]
    for four, one in (("decode 3 x 4", "decode 3"), ("decode 3 x 4 after 40", "decode 3 after 40")):
        ratio = found[four]["tokens_per_second"] / found[one]["tokens_per_second"]
        assert found[four]["ratio_to_one"] == pytest.approx(ratio, rel=0.01)
        assert "ratio_to_one" not in found[one]


@pytest.mark.parametrize(
    ("option", "named"),
    [("--threads", "threads"), ("--repeat", "repeat"), ("--prefill", "prefill"), ("--sequences", "sequences")],
)
def test_numbers_that_make_no_sense(furet: Furet, model: Path, option: str, named: str) -> None:
    result = furet("bench", model, option, 0)
    assert result.code == 2 and named in result.err and not result.out


@pytest.mark.usefixtures("tiny_shape")
def test_a_shape_leaves_nothing_behind(furet: Furet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there := tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    result = furet("bench", "--shape", "tiny", "--type", "q4_k_m", *SHORT)
    assert result.code == 0 and json.loads(result.out.splitlines()[-1])["model"] == "tiny-q4_k_m.gguf"
    assert not list(there.iterdir())


@pytest.mark.usefixtures("tiny_shape")
def test_a_shape_that_is_interrupted_leaves_nothing_behind(
    furet: Furet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> object:
        assert list(there.glob("*/tiny-q8_0.gguf"))
        raise KeyboardInterrupt

    (there := tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    monkeypatch.setattr(bench_file, "Furet", interrupted)
    assert furet("bench", "--shape", "tiny", "--type", "q8_0", *SHORT).code == 130
    assert not list(there.iterdir())


@pytest.mark.usefixtures("tiny_shape")
def test_a_shape_is_kept_where_it_was_asked_for(furet: Furet, tmp_path: Path) -> None:
    kept = tmp_path / "kept.gguf"
    assert furet("bench", "--shape", "tiny", "--keep", kept, *SHORT).code == 0
    assert kept.is_file()
    again = furet("bench", "--shape", "tiny", "--keep", kept, *SHORT)
    assert again.code == 2 and f"furet bench {kept}" in again.err


def test_the_shapes_are_listed(furet: Furet) -> None:
    result = furet("bench", "--shape", "help")
    assert result.code == 0 and all(name in result.out for name in shapes.SHAPES)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--shape", "9b"), "there is no shape '9b'"),
        (("--shape", "7b", "--type", "q9"), "there is no type 'q9'"),
        (("--type", "q8_0"), "--type"),
        (("--keep", "x.gguf"), "--keep"),
        (("model.gguf", "--shape", "7b"), "wanted one of them"),
        (("--peer", "vllm"), "there is no peer 'vllm'"),
        (("--peer-python", "python"), "--peer-python"),
    ],
)
def test_what_makes_no_sense_together(furet: Furet, arguments: tuple[str, ...], named: str) -> None:
    result = furet("bench", *arguments)
    assert result.code == 2 and named in result.err and not result.out


def test_a_missing_peer_is_named_with_the_way_to_get_it(furet: Furet, model: Path) -> None:
    result = furet("bench", model, "--peer", "llama.cpp", "--peer-python", sys.executable)
    assert result.code == 3 and "pip install" in result.err and sys.executable in result.err
    assert furet("bench", model, "--peer", "llama.cpp", "--peer-python", "/no/python").code == 3
