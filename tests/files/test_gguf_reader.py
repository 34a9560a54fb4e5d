"""Opening GGUF files: what a sound one gives, and what the caller's mistakes are told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from furet.dtypes import TensorType
from furet.errors import ModelFileError, NotFound
from furet.files.gguf import NeedMoreBytes, ValueType, open_gguf, read_header, write_gguf

WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.gguf"
    metadata = {
        "general.architecture": "llama",
        "tokens": ["a", b"\xe2\x96", "é"],
        "scores": [0.5, -1.0, 2.0],
    }
    write_gguf(
        path, metadata, [("w", TensorType.F32, (3, 4), WEIGHTS), ("b", TensorType.F16, (4,), bytes(8))]
    )
    return path


def test_tensors_have_numpy_shapes_and_their_bytes_are_views_of_the_file(path):
    with open_gguf(path) as model:
        assert model.tensors["w"].shape == (3, 4)
        assert model.tensors["w"].type is TensorType.F32
        data = model.data("w")
        assert data.dtype == np.uint8
        assert not data.flags.owndata
        np.testing.assert_array_equal(data.view(np.float32).reshape(3, 4), WEIGHTS)
        with pytest.raises(ValueError, match="read-only"):
            data[0] = 1
        with pytest.raises(KeyError):
            model.data("nobody")


def test_arrays_outlive_the_model_they_came_from(path):
    with open_gguf(path) as model:
        data = model.data("w")
        scores = model.metadata["scores"].numpy()
    np.testing.assert_array_equal(data.view(np.float32), WEIGHTS.ravel())
    assert scores.tolist() == [0.5, -1.0, 2.0]
    with pytest.raises(ValueError, match="closed"):
        model.data("w")


def test_what_the_file_says_about_itself(path):
    with open_gguf(path) as model:
        assert (model.version, model.byteorder, model.alignment) == (3, "little", 32)
        assert model.file_bytes == path.stat().st_size
        assert model.types["tokens"] is ValueType.ARRAY
        assert model.metadata["general.architecture"] == "llama"
        with pytest.raises(TypeError):
            model.metadata["general.architecture"] = "other"


def test_reading_a_header_does_not_import_numpy(path):
    code = "import sys, furet.files.gguf as f; f.open_gguf(sys.argv[1]); print('numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_several_threads_may_share_a_model(path):
    wrong = []
    with open_gguf(path) as model:

        def read():
            for _ in range(200):
                if model.data("w").sum() != expected or model.metadata["tokens"][2] != "é":
                    wrong.append(1)

        expected = model.data("w").sum()
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_a_prefix_that_is_too_short_asks_for_more_and_then_suffices(path):
    data = path.read_bytes()
    wanted, rounds = 0, 0
    while True:
        try:
            header = read_header(data[:wanted], len(data))
            break
        except NeedMoreBytes as more:
            assert wanted < more.wanted <= len(data)
            wanted, rounds = more.wanted, rounds + 1
    assert rounds > 2
    assert header == read_header(data)
    assert read_header(memoryview(data)[: header.header_bytes], len(data)) == header


def test_data_beyond_the_size_of_the_remote_file_is_refused_from_the_header_alone(path):
    data = path.read_bytes()
    with pytest.raises(ModelFileError, match="data ends"):
        read_header(data[:512], len(data) - 64)


@pytest.mark.parametrize("change", ["truncate", "append", "rewrite"])
def test_a_file_changed_while_open_is_noticed_before_its_data_is_touched(path, change):
    model = open_gguf(path)
    model.check_unchanged()
    size = path.stat().st_size
    if change == "truncate":
        os.truncate(path, 100)
    elif change == "append":
        with path.open("ab") as file:
            file.write(b"more")
    else:
        os.utime(path, ns=(0, 0))
    with pytest.raises(ModelFileError, match="while it was open") as caught:
        model.check_unchanged()
    assert caught.value.path == path
    with pytest.raises(ModelFileError):
        model.data("w")
    assert model.metadata["tokens"][0] == "a", f"the header is in memory, of {size} bytes or not"
    model.close()


def test_a_released_tensor_is_read_from_the_file_again(path):
    with open_gguf(path) as model:
        data = model.data("w")
        for name in model.tensors:
            model.release(name)
        np.testing.assert_array_equal(data.view(np.float32), WEIGHTS.ravel())


def test_a_file_replaced_by_renaming_stays_readable(path, tmp_path):
    with open_gguf(path) as model:
        other = tmp_path / "other.gguf"
        write_gguf(other, {}, [])
        other.replace(path)
        model.check_unchanged()
        np.testing.assert_array_equal(model.data("w").view(np.float32), WEIGHTS.ravel())


@pytest.mark.parametrize("name", ["nobody.gguf", "model.gguf/inside.gguf", "nul\0.gguf"])
def test_a_missing_file_is_not_found(path, name):
    with pytest.raises(NotFound, match="no such file"):
        open_gguf(path.parent / name)


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path):
    with pytest.raises(ModelFileError, match="is a directory"):
        open_gguf(tmp_path)
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError, match="not a regular file"):
        open_gguf(tmp_path / "pipe.gguf")
    with pytest.raises(ModelFileError, match="not a regular file"):
        open_gguf("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_refused(path):
    path.chmod(0)
    with pytest.raises(ModelFileError, match="Permission denied"):
        open_gguf(path)


def test_failed_opening_leaves_no_file_open(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(ModelFileError):
            open_gguf(bad)
    assert len(list(Path("/dev/fd").iterdir())) == before
