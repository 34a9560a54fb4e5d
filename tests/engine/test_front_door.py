"""`import furet` does nothing, and everything it names is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import furet


def test_importing_loads_nothing_heavy():
    heavy = {"numpy", "jinja2", "tokenizers", "huggingface_hub", "rich", "furet._core", "furet.engine"}
    code = f"import furet, sys; print(len({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


@pytest.mark.parametrize("name", furet.__all__)
def test_every_name_is_there(name):
    assert getattr(furet, name) is not None
    assert name in dir(furet)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = furet.Nothing


def test_load_generate_chat(path):
    with furet.load(str(path), threads=1) as model:
        assert model.generate("the", max_tokens=3, ignore_eos=True).tokens
        assert isinstance(model.chat(), furet.Chat)
        assert model.memory.total == furet.plan(path, threads=1).total
