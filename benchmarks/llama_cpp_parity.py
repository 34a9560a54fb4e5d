"""Every checkpoint of tests/parity, written as GGUF, in llama.cpp: does it load, and are its logits the same?

    python benchmarks/llama_cpp_parity.py [--fixture gpt2 ...] [--type f16] [--record docs/models.json]

It runs itself twice per case, so that llama.cpp may live in another environment (PEER names its Python; default: this
one): the first writes GGUF files and furet's logits, the second loads them in llama.cpp. Needs src and tests in
PYTHONPATH. The last line is JSON: the largest difference per case, or why there is none.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TOKENS = 40  # llama.cpp's own windows and thresholds are met by the parity tests

# Cases in which llama.cpp computes something else than the checkpoint's authors, for it does not read a key.
DIFFERS = {
    "gemma2 scaled": "takes the scale of attention from the size of the model",
    "gemma3 others": "takes the scale of attention from the size of the model",
    "mistral": "sees all positions, whatever the window, in the architecture llama",
    "starcoder2 far": "sees all positions, whatever the window",
    "qwen2moe normalised": "never makes the weights of a token's experts add up to 1",
    "qwen3moe plain weights": "always makes the weights of a token's experts add up to 1",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fixture", nargs="*", default=[])
    parser.add_argument("--type", default="f16")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the figures there")
    parser.add_argument("--peer", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(peer_logits(Path(arguments.peer))))
        return
    from parity.checkpoint import cases

    results: dict[str, Any] = {}
    for name, (fixture, case) in cases().items():
        if case.kind == "decoder" and (not arguments.fixture or fixture in arguments.fixture):
            with tempfile.TemporaryDirectory() as folder:
                found = difference(name, Path(folder), arguments.type)
            results[name] = f"differs: {DIFFERS[name]}" if name in DIFFERS and isinstance(found, float) else found
            print(f"{name:36} {results[name]}", flush=True)
    if arguments.record:
        record(arguments.record, f"llama.cpp {arguments.type.upper()}", results, set(cases()))
    print(json.dumps(results))


def record(path: Path, column: str, results: dict[str, Any], cases: set[str]) -> None:
    """Replace figures in a column of a file of them by new ones; those of cases that are no more are dropped."""
    figures = json.loads(path.read_text()) if path.is_file() else {}
    new = {name: float(f"{each:.2g}") if isinstance(each, float) else each for name, each in results.items()}
    kept = {**figures.get(column, {}), **new}
    figures[column] = {name: value for name, value in kept.items() if name in cases}
    path.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def difference(name: str, folder: Path, kind: str) -> float | str:
    """The largest difference of logits between furet's reference and llama.cpp on one file."""
    import numpy as np
    from parity.checkpoint import save

    from furet.convert.hugging_face import open_folder
    from furet.convert.write import write_model
    from furet.dtypes import TensorType
    from furet.families import read_model
    from furet.files.gguf import open_gguf
    from furet.ops import reference

    source = open_folder(save(name, folder), tokenizer=False)
    vocab = read_model(source).config.vocab
    source.metadata = {**source.metadata, "tokenizer.ggml.model": "no_vocab"}
    path = folder / "model.gguf"
    write_model(source, path, TensorType[kind.upper()])
    tokens = np.random.RandomState(1).randint(0, vocab, TOKENS)
    with open_gguf(path) as file:
        model = read_model(file, path)
        ours = reference.step(model.forward, reference.decoder(file), tokens, [(reference.Cache(), TOKENS)])
    (folder / "tokens.json").write_text(json.dumps(tokens.tolist()))
    command = [os.environ.get("PEER", sys.executable), __file__, "--peer", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        said = [line for line in run.stderr.splitlines() if "error loading" in line]
        return f"not loaded: {said[-1] if said else 'the program stops'}"
    theirs = np.array(json.loads(run.stdout.splitlines()[-1]))
    return float(np.abs(theirs - ours).max())


def peer_logits(folder: Path) -> list[list[float]]:
    """llama.cpp's logits of every token."""
    from llama_cpp import Llama

    tokens = json.loads((folder / "tokens.json").read_text())
    model = Llama(str(folder / "model.gguf"), logits_all=True, n_ctx=len(tokens) + 8, n_batch=64, type_k=0, type_v=0)
    model.eval(tokens)
    rows: list[list[float]] = model.scores[: len(tokens)].tolist()
    return rows


if __name__ == "__main__":
    main()
