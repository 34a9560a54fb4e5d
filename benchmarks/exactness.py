"""How far each engine's answers are from exact arithmetic on the same weights, as KL divergence.

The first 512 tokens of text.txt are one sequence; the reference is `transformers` on the dequantised weights
in float64. For every position, KL(reference || engine) in nats over the whole vocabulary; then mean, largest,
and how often both rank the same token first. The weights are the same on both sides, so what remains is what
the kernels lose, which is mostly the rounding of activations to 8 bits.

The peers live in an environment of their own (torch, transformers, gguf, accelerate, llama-cpp-python), so
this is four steps, which meet in a folder with room for 5 arrays of 512 x vocabulary float32:

    PEER/python benchmarks/exactness.py reference MODEL.gguf FOLDER
    PEER/python benchmarks/exactness.py llama     MODEL.gguf FOLDER     with and without flash attention
    python      benchmarks/exactness.py furet     MODEL.gguf FOLDER [--kv q8_0] [--label furet-portable]
    python      benchmarks/exactness.py report    FOLDER

Several models may share the folder. `reference` takes some minutes of processor time, and 12 bytes of
memory for each weight; with it goes its own error, measured as the KL between its float64 and its float32
run. `report` prints a table and ends with a line of JSON; the exit code is 1 when furet's mean KL is larger
than llama.cpp's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXT = Path(__file__).with_name("text.txt")
REFERENCE, BAR, OURS = "reference", "llama.cpp", "furet"
ROWS = 32  # positions compared at a time, so that float64 copies stay small

Floats = NDArray[np.float32] | NDArray[np.float64]


def main() -> int:
    options = read_arguments()
    if options.step == "report":
        return report(options.folder)
    folder = options.folder / options.model.stem
    folder.mkdir(parents=True, exist_ok=True)
    if options.step == "reference":
        make_reference(options.model, folder, options.tokens)
        return 0
    ids = read_ids(options.model, folder)
    if options.step == "furet":
        label = options.label or (OURS if options.kv == "f16" else f"{OURS} {options.kv}")
        save(folder, label, furet_logits(options.model, ids, options.threads, options.kv))
    else:
        save(folder, BAR, llama_logits(options.model, ids, options.threads, flash=False))
        save(folder, BAR + " flash", llama_logits(options.model, ids, options.threads, flash=True))
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    steps = parser.add_subparsers(dest="step", required=True)
    for name in ("reference", "llama", "furet", "report"):
        step = steps.add_parser(name)
        if name != "report":
            step.add_argument("model", type=Path, metavar="MODEL.gguf")
        step.add_argument("folder", type=Path, metavar="FOLDER")
        if name == "reference":
            step.add_argument("--tokens", type=int, default=512)
        if name in ("llama", "furet"):
            step.add_argument("--threads", type=int, default=2)
        if name == "furet":
            step.add_argument("--kv", default="f16", help="the type of keys and values")
            step.add_argument("--label", help="its name in the report; default: furet, with the type if not f16")
    return parser.parse_args()


def save(folder: Path, name: str, logits: Floats) -> None:
    np.save(folder / f"{name}.npy", logits.astype(np.float32, copy=False))
    print(f"{folder.name}: {name}: {logits.shape[0]} x {logits.shape[1]} logits")


def read_ids(model: Path, folder: Path) -> list[int]:
    """The tokens that the reference was made of, which must have been made of this file."""
    about = json.loads((folder / "about.json").read_text())
    if about["bytes"] != model.stat().st_size:
        raise SystemExit(f"{model} is not the file that {folder} was made of; run `reference` again")
    ids: list[int] = about["ids"]
    return ids


# ---- the engines; each gives [T, V] logits of the same token ids


def make_reference(model: Path, folder: Path, count: int) -> None:
    """Exact logits and what is needed to compare with them; results of other engines are now out of date."""
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(model.parent), gguf_file=model.name)
    ids = tokenizer(TEXT.read_text(), add_special_tokens=False)["input_ids"][:count]
    if len(ids) < count:
        raise SystemExit(f"{TEXT.name} has only {len(ids)} tokens, {count} were asked for")
    for old in folder.glob("*.npy"):
        old.unlink()
    single = transformers_logits(model, ids, torch.float32)
    double = transformers_logits(model, ids, torch.float64)
    error = float(divergence(double, single)[0].mean())
    save(folder, REFERENCE, double)
    about = {"model": model.name, "bytes": model.stat().st_size, "reference_error": error, "ids": ids}
    (folder / "about.json").write_text(json.dumps(about))
    print(f"{folder.name}: mean KL of float32 to float64 arithmetic {error:.2e}")


def transformers_logits(model: Path, ids: list[int], dtype: Any) -> Floats:
    """Dense weights, as the file's blocks decode; norms and angles are float32 even in a float64 run."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    loaded = AutoModelForCausalLM.from_pretrained(
        str(model.parent),
        gguf_file=model.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=dtype,
        attn_implementation="eager",
    ).eval()
    assert type(loaded.lm_head) is torch.nn.Linear and loaded.lm_head.weight.dtype == dtype
    with torch.inference_mode():
        logits: Floats = loaded(torch.tensor([ids]), use_cache=False).logits[0].numpy()
    return logits


def furet_logits(model: Path, ids: list[int], threads: int, kv: Any) -> Floats:
    import furet

    loaded = furet.load(model, threads=threads, context=len(ids), kv=kv)
    try:
        return loaded.logits(ids)
    finally:
        loaded.close()


def llama_logits(model: Path, ids: list[int], threads: int, *, flash: bool) -> Floats:
    from llama_cpp import Llama

    loaded = Llama(
        str(model),
        n_ctx=max(512, len(ids)),
        n_threads=threads,
        n_threads_batch=threads,
        logits_all=True,
        flash_attn=flash,
        verbose=False,
    )
    loaded.eval(ids)
    logits: Floats = loaded.scores[: len(ids)].copy()
    loaded.close()
    return logits


# ---- the comparison


def report(folder: Path) -> int:
    results = [result for each in sorted(folder.glob("*/about.json")) for result in compare(each.parent)]
    if not results:
        raise SystemExit(f"{folder} holds no reference; run `reference` first")
    print(f"{'model':<34} {'engine':<18} {'mean KL':>9} {'± s.e.':>9} {'largest':>9} {'same first':>10}")
    for row in results:
        figures = "{mean_kl:>9.6f} {standard_error:>9.6f} {max_kl:>9.6f} {top1:>10.4f}".format(**row)
        print(f"{row['model']:<34} {row['engine']:<18} {figures}")
    means = {(row["model"], row["engine"]): row["mean_kl"] for row in results}
    worse = [
        model
        for (model, engine), mean in means.items()
        if engine == OURS and mean > means.get((model, BAR), float("inf"))
    ]
    print(json.dumps({"benchmark": "exactness", "worse_than_peer": worse, "results": results}))
    return 1 if worse else 0


def compare(folder: Path) -> Iterator[dict[str, Any]]:
    """One row for each engine whose logits lie in a model's folder."""
    about = json.loads((folder / "about.json").read_text())
    exact = np.load(folder / f"{REFERENCE}.npy", mmap_mode="r")
    for path in sorted(folder.glob("*.npy")):
        if path.stem == REFERENCE:
            continue
        kl, same = divergence(exact, np.load(path, mmap_mode="r"))
        yield {
            "model": about["model"],
            "engine": path.stem,
            "tokens": len(kl),
            "mean_kl": float(kl.mean()),
            "standard_error": float(kl.std(ddof=1) / np.sqrt(len(kl))),
            "max_kl": float(kl.max()),
            "top1": float(same.mean()),
            "reference_error": about["reference_error"],
        }


def divergence(exact: Floats, other: Floats) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Two [T, V] of logits -> [T] KL(exact || other) in nats, and [T] whether both have the same maximum."""
    if exact.shape != other.shape:
        raise SystemExit(f"logits of shape {other.shape} cannot be compared with {exact.shape}")
    kl, same = np.empty(len(exact)), np.empty(len(exact), bool)
    for start in range(0, len(exact), ROWS):
        part = slice(start, start + ROWS)
        p, q = log_softmax(exact[part]), log_softmax(other[part])
        kl[part] = (np.exp(p) * (p - q)).sum(axis=-1)
        same[part] = p.argmax(axis=-1) == q.argmax(axis=-1)
    return kl, same


def log_softmax(logits: Floats) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


if __name__ == "__main__":
    sys.exit(main())
