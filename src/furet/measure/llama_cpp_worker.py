"""llama.cpp as an engine that is timed, in a process and an interpreter of its own: it needs llama-cpp-python alone.

    python llama_cpp_worker.py MODEL.gguf '{"threads": 2, "context": 512, "batch": 512}'

Lines of JSON come on stdin and are answered on stdout. Every context computes with as many threads for prompts as for
tokens, takes a prompt in batches as large as the longest one, and gives logits of the last token only. One with and one
without flash attention share the weights, so that the faster one can be chosen for each task.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from time import perf_counter, process_time
from typing import Any

VARIANTS = ("flash attention", "no flash attention")
NEEDED = ("llama_init_from_model", "llama_get_memory", "llama_memory_seq_rm", "LLAMA_FLASH_ATTN_TYPE_ENABLED")


class Context:
    """Sequences of tokens beside shared weights, and the prompt that each of them begins with."""

    def __init__(self, api: Any, model: Any, settings: dict[str, int], flash: bool, sequences: int) -> None:
        params = api.llama_context_default_params()
        params.n_ctx = settings["context"] * sequences
        params.n_batch = params.n_ubatch = settings["batch"]
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = settings["threads"]
        on, off = api.LLAMA_FLASH_ATTN_TYPE_ENABLED, api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.flash_attn_type = on if flash else off
        params.offload_kqv = params.op_offload = False
        self._api, self._size = api, settings["batch"]
        self._context = api.llama_init_from_model(model, params)
        if not self._context:
            raise SystemExit("llama.cpp refused the context")
        self._memory = api.llama_get_memory(self._context)
        self._batch = api.llama_batch_init(max(self._size, sequences), 0, 1)
        self._prompts: list[list[int]] = [[]] * sequences

    def prefill(self, prompt: list[int]) -> float:
        """Seconds for a prompt from nothing."""
        self._forget(0, 0)
        self._prompts[0] = []
        began = perf_counter()
        self._fill(0, prompt)
        return perf_counter() - began

    def decode(self, prompts: list[list[int]], steps: list[list[int]]) -> float:
        """Seconds for steps of one token a sequence behind the prompts."""
        for sequence, prompt in enumerate(prompts):
            if self._prompts[sequence] == prompt:
                self._forget(sequence, len(prompt))
            else:
                self._forget(sequence, 0)
                self._fill(sequence, prompt)
                self._prompts[sequence] = prompt
        places = [len(prompt) for prompt in prompts]
        began = perf_counter()
        for step, tokens in enumerate(steps):
            self._step([(token, places[i] + step, i, True) for i, token in enumerate(tokens)])
        return perf_counter() - began

    def _forget(self, sequence: int, length: int) -> None:
        self._api.llama_memory_seq_rm(self._memory, sequence, length, -1)

    def _fill(self, sequence: int, prompt: list[int]) -> None:
        last = len(prompt) - 1
        for at in range(0, len(prompt), self._size):
            part = enumerate(prompt[at : at + self._size], at)
            self._step([(token, place, sequence, place == last) for place, token in part])

    def _step(self, rows: list[tuple[int, int, int, bool]]) -> None:
        """Token, position, sequence, and whether logits are wanted."""
        batch = self._batch
        batch.n_tokens = len(rows)
        for i, (token, place, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.logits[i] = token, place, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        if self._api.llama_decode(self._context, batch):
            raise SystemExit("llama.cpp could not compute a batch")
        self._api.llama_synchronize(self._context)


def main() -> None:
    """Load, say so, then do what the lines of stdin ask."""
    path, settings = sys.argv[1], json.loads(sys.argv[2])
    # What llama.cpp prints, on either stream, must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import llama_cpp as api

    missing = [name for name in NEEDED if not hasattr(api, name)]
    if missing:
        raise SystemExit(f"llama-cpp-python {api.__version__} is too old: it has no {missing[0]}")
    silence = api.llama_log_callback(lambda level, text, data: None)
    api.llama_log_set(silence, ctypes.c_void_p(0))
    api.llama_backend_init()
    params = api.llama_model_default_params()
    params.n_gpu_layers = 0
    model = api.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise SystemExit(f"llama.cpp cannot load {path}")
    contexts: dict[tuple[bool, int], Context] = {}

    def tell(**answer: object) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    system = " ".join(api.llama_print_system_info().decode().split())
    tell(version=api.__version__, system=system, variants=VARIANTS)
    for request in map(json.loads, sys.stdin):
        if "steps" in request:
            key = (request["variant"] == VARIANTS[0], len(request["prompts"]))
            if key not in contexts:
                contexts[key] = Context(api, model, settings, *key)
            if request["steps"]:
                tell(seconds=contexts[key].decode(request["prompts"], request["steps"]))
            else:
                tell(seconds=contexts[key].prefill(request["prompts"][0]))
        else:
            tell(processor_seconds=process_time())


if __name__ == "__main__":
    main()
