"""llama.cpp in a process of its own, played by a module that writes down what it is asked to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from furet.errors import BadRequest, NotFound
from furet.measure.peer import LlamaCpp, require_peer
from furet.measure.tasks import Decode, Job, Prefill

FAKE = '''
import json, os, types

__version__ = "9.9"
LLAMA_FLASH_ATTN_TYPE_ENABLED, LLAMA_FLASH_ATTN_TYPE_DISABLED = 1, 0
MEMORY = False


def log(*words):
    with open(os.environ["FAKE_LOG"], "a") as file:
        print(json.dumps(words), file=file)


def llama_log_callback(function): return function
def llama_log_set(*_): print("chatter that is no answer")
def llama_backend_init(): pass
def llama_print_system_info(): return b"CPU : FAKE = 1"
def llama_model_default_params(): return types.SimpleNamespace()
def llama_context_default_params(): return types.SimpleNamespace()
def llama_model_load_from_file(path, params): return path if os.path.exists(path) else None
def llama_get_memory(context): return context
def llama_synchronize(context): pass


def llama_init_from_model(model, params):
    log("context", params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max, params.n_threads,
        params.n_threads_batch, params.flash_attn_type)
    return params.flash_attn_type + 1


def llama_memory_seq_rm(memory, sequence, first, last): log("forget", sequence, first, last)


def llama_batch_init(size, embeddings, sequences):
    return types.SimpleNamespace(token=[0] * size, pos=[0] * size, logits=[0] * size, n_seq_id=[0] * size,
                                 seq_id=[[0] for _ in range(size)])


def llama_decode(context, batch):
    rows = range(batch.n_tokens)
    log("batch", [[batch.token[i], batch.pos[i], batch.seq_id[i][0], batch.logits[i]] for i in rows])
    return int(batch.token[0] == 666)
'''


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "llama_cpp.py").write_text(FAKE)
    (info := tmp_path / "llama_cpp_python-9.9.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llama-cpp-python\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    (tmp_path / "model.gguf").touch()
    return tmp_path / "log"


def said(log: Path) -> list[list[Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    log.unlink()
    return lines


def test_a_prompt_is_one_batch_from_nothing_with_logits_at_its_end(log: Path) -> None:
    assert require_peer(sys.executable) == "9.9"
    peer = LlamaCpp(log.parent / "model.gguf", 3, [Prefill(600)])
    try:
        assert peer.variants == ("flash attention", "no flash attention")
        assert peer.seconds(Prefill(3), Job([[7, 8, 9]], []), "no flash attention") > 0
        rows = [[7, 0, 0, False], [8, 1, 0, False], [9, 2, 0, True]]
        assert said(log) == [["context", 600, 600, 600, 1, 3, 3, 0], ["forget", 0, 0, -1], ["batch", rows]]
        assert peer.seconds(Prefill(3), Job([[7]], []), "flash attention") > 0
        assert said(log)[0] == ["context", 600, 600, 600, 1, 3, 3, 1]
        assert 0 <= peer.processor_seconds() < 60
    finally:
        peer.close()


def test_sequences_decode_behind_prompts_that_are_computed_once(log: Path) -> None:
    peer = LlamaCpp(log.parent / "model.gguf", 1, [Decode(2, 2, 1)])
    try:
        job = Job([[1, 2], [3, 4]], [[5, 6], [7, 8]])
        peer.seconds(Decode(2, 2, 2), job, "flash attention")
        steps = [
            ["batch", [[5, 2, 0, True], [6, 2, 1, True]]],
            ["batch", [[7, 3, 0, True], [8, 3, 1, True]]],
        ]
        begun = said(log)
        assert begun[0][:3] == ["context", 6, 512] and begun[-2:] == steps
        assert begun[3:5] == [["forget", 1, 0, -1], ["batch", [[3, 0, 1, False], [4, 1, 1, True]]]]
        peer.seconds(Decode(2, 2, 2), job, "flash attention")
        assert said(log) == [["forget", 0, 2, -1], ["forget", 1, 2, -1], *steps]
    finally:
        peer.close()


def test_what_the_peer_said_last_is_the_error(log: Path) -> None:
    with pytest.raises(BadRequest, match="cannot load"):
        LlamaCpp(log.parent / "no.gguf", 1, [Prefill(4)])
    peer = LlamaCpp(log.parent / "model.gguf", 1, [Prefill(4)])
    try:
        with pytest.raises(BadRequest, match="could not compute a batch"):
            peer.seconds(Prefill(1), Job([[666]], []), "flash attention")
    finally:
        peer.close()


def test_an_old_version_is_refused(log: Path) -> None:
    (log.parent / "llama_cpp.py").write_text('__version__ = "0.1"')
    with pytest.raises(BadRequest, match=r"0\.1 is too old: it has no llama_init_from_model"):
        LlamaCpp(log.parent / "model.gguf", 1, [Prefill(4)])


def test_a_missing_interpreter_is_no_peer() -> None:
    with pytest.raises(NotFound, match="/no/python"):
        require_peer("/no/python")
