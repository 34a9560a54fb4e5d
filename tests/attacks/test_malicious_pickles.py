"""Every pickle that would run code is refused by the name of its opcode, and nothing at all happens meanwhile."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from malicious_pickles import BOMBS, CASES, PICKLERS
from pickle_bytes import legacy, number, ordered, pickled, rebuilt, table
from zip_bytes import archive, checkpoint

from furet.errors import FuretError, ModelFileError
from furet.files.torch_file import open_torch
from furet.files.torch_pickle import read_pickle
from furet.files.torch_tensors import TorchTensor

NAMES = [name for name, _, _ in CASES]
_events: list[str] | None = None


def _hook(event: str, args: tuple[object, ...]) -> None:
    if _events is not None:
        _events.append(event)


sys.addaudithook(_hook)  # cannot be taken away again, so it listens only on request


@contextmanager
def audited() -> Iterator[list[str]]:
    """What the interpreter reports meanwhile: imports, opened files, compiled code, processes, sockets."""
    global _events
    _events = events = []
    try:
        yield events
    finally:
        _events = None


def refused(data: bytes) -> ModelFileError:
    """The error that reading a pickle ends with."""
    with pytest.raises(ModelFileError) as caught:
        read_pickle(data, path="x.pt", base=100)
    return caught.value


def test_there_are_many_and_each_has_its_own_name():
    assert len(set(NAMES)) == len(NAMES) >= 200


def test_the_audit_hook_hears_what_it_should():
    with audited() as events:
        compile("1", "x", "eval")
        open(__file__).close()  # noqa: PTH123
    assert {"compile", "open"} <= set(events)


@pytest.mark.parametrize(("name", "opcode", "data"), CASES, ids=NAMES)
def test_a_malicious_pickle_is_refused_by_its_opcode(name, opcode, data):
    refused(data)  # whatever is imported on the way is, by now
    with audited() as events, pytest.raises(ModelFileError) as caught:
        read_pickle(data, path="x.pt", base=100)
    error = caught.value
    assert events == []
    assert error.field == f"opcode {opcode}"
    assert error.offset is not None and 100 <= error.offset < 100 + len(data)
    assert "x.pt: at byte" in error.message and error.hint
    assert error.message.isprintable() and len(error.message) < 600


@pytest.mark.parametrize(("name", "opcode", "data"), BOMBS, ids=[name for name, _, _ in BOMBS])
def test_a_bomb_takes_little_time_and_memory(name, opcode, data):
    begin = time.process_time()
    refused(data)
    assert time.process_time() - begin < 10  # no hang
    if len(data) > 150_000:
        return  # tracing makes it ten times slower; `benchmarks/fuzz_files.py` looks at these
    tracemalloc.start()
    refused(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64e6


@pytest.mark.parametrize(("name", "opcode", "data"), PICKLERS, ids=[name for name, _, _ in PICKLERS])
@pytest.mark.parametrize("form", ["zip", "legacy", "alone"])
def test_within_a_checkpoint_too(form, name, opcode, data, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes({"zip": checkpoint(data), "legacy": legacy(data), "alone": data}[form])
    with pytest.raises(FuretError):
        open_torch(path)  # whatever is imported on the way is, by now
    with audited() as events, pytest.raises(FuretError) as caught:
        open_torch(path)
    if form != "alone" or data[:1] == b"\x80":
        assert f"opcode {opcode}" in caught.value.message
    assert events == ["open", "mmap.__new__"]  # the file itself, once


def test_there_is_no_second_reader(tmp_path):
    """A zip archive that fails is not tried as the older form, or the other way round."""
    path = tmp_path / "x.pt"
    path.write_bytes(archive({"x/data.pkl": pickled(b"\xff")}) + legacy(pickled(table(a=rebuilt()))))
    with pytest.raises(ModelFileError, match="end of directory"):
        open_torch(path)


UNWANTED = {"pickle", "_pickle", "cPickle", "shelve", "marshal", "torch"}


def test_nothing_of_ours_imports_pickle():
    import ast
    from pathlib import Path

    import furet

    for source in Path(furet.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {each.split(".")[0] for each in names} & UNWANTED, source


def test_the_sound_pickle_that_the_attacks_vary_is_read():
    pickle = read_pickle(pickled(table(a=rebuilt(), n=number(1 << 70))))
    tensor = pickle.value["a"]
    assert isinstance(tensor, TorchTensor) and tensor.shape == (2, 3) and tensor.contiguous
    assert pickle.value["n"] == 1 << 70
    assert read_pickle(pickled(ordered(), table(_metadata=ordered()), b"b")).value == {}
