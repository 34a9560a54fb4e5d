"""Random models: what is written loads, computes finite numbers and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import furet
from furet import quant
from furet.dtypes import TensorType
from furet.errors import BadRequest, FuretError
from furet.files.gguf import open_gguf
from furet.measure import random_model as made
from furet.measure.mixes import MIXES, find_mix
from furet.measure.random_blocks import SCALE, random_blocks
from furet.measure.shapes import Shape

SIZES = Shape("tiny", "qwen2", 8, 256, 4, 2, 512, 300, 256, False, 1e6, 1e-6)
KINDS = [TensorType.F32, TensorType.F16, TensorType.BF16, TensorType.MXFP4, *(TensorType[name] for name in SCALE)]


@pytest.fixture(autouse=True)
def small_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "PATTERN", 1 << 14)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_values_have_the_size_that_was_asked_for(kind: TensorType) -> None:
    blocks = random_blocks(kind, 64 * 256 // kind.block, 0.05, seed=1)
    values = quant.decode(kind, blocks.reshape(-1), (64, 256))
    assert np.isfinite(values).all()
    assert 0.03 < values.std() < 0.08 and abs(values.mean()) < 0.5 * values.std()
    assert np.array_equal(blocks, random_blocks(kind, len(blocks), 0.05, seed=1))


@pytest.mark.parametrize("mix", MIXES)
def test_a_random_model_runs(mix: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    made.write_random_model(SIZES, find_mix(mix), path)
    with furet.load(path, context=32, threads=1) as model:
        logits = model.logits(range(100, 116))
    assert logits.shape == (16, 300) and np.isfinite(logits).all()
    assert 0.2 < logits.std() < 5


def test_progress_ends_with_all_of_it(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = tmp_path / "model.gguf"
    made.write_random_model(SIZES, find_mix("q8_0"), path, lambda *at: seen.append(at))
    assert seen[0][0] == 0 and seen[-1][0] == seen[-1][1] and seen == sorted(seen)
    with open_gguf(path) as model:
        assert sum(t.nbytes for t in model.tensors.values()) == seen[-1][1]
        q, k = (model.data(f"blk.1.attn_{name}.weight") for name in "qk")
        assert not np.array_equal(q[: len(k)], k) and not np.array_equal(q[:272], q[272:544])


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.write_random_model(SIZES, find_mix("q8_0"), tmp_path / "model.gguf", interrupt)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(FuretError, match="1000 free"):
        made.write_random_model(SIZES, find_mix("q8_0"), tmp_path / "model.gguf", lambda *_: pytest.fail("written"))


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("mine")
    with pytest.raises(BadRequest, match="there already"), made.random_model("135m", "q8_0", keep=path):
        pass
    assert path.read_text() == "mine"
