"""The samplers beside llama.cpp's and transformers': what each keeps of the same logits, and what it makes of them.

    python benchmarks/sampler_parity.py MODEL.gguf [--rows 200]

Needs llama-cpp-python and transformers in the interpreter that runs it, and furet on its path. MODEL is read for its
vocabulary alone, which llama.cpp's DRY wants. Exits with 1 where anything differs beyond the rounding of float32.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from collections.abc import Callable, Iterator

import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray
from transformers.generation import logits_process

from furet.sample import filters, mirostat, temperature
from furet.sample.candidates import Candidates
from furet.sample.dry import penalise_repeats
from furet.sample.penalties import penalise

Kept = dict[int, float]  # tokens and their logits
Row = NDArray[np.float32]
BREAKERS = ("\n", ":", '"', "*")


def furet_keeps(filter: Callable[[Candidates], Candidates]) -> Callable[[Row, list[int]], Kept]:
    def run(row: Row, recent: list[int]) -> Kept:
        found = filter(Candidates(row))
        return {found.id(place): float(logit) for place, logit in enumerate(found.logits)}

    return run


def furet_changes(change: Callable[[Row, list[int]], None]) -> Callable[[Row, list[int]], Kept]:
    def run(row: Row, recent: list[int]) -> Kept:
        changed = row.copy()
        change(changed, recent)
        return dict(enumerate(changed.tolist()))

    return run


def llama_keeps(make: Callable[[], object], accept: bool = False) -> Callable[[Row, list[int]], Kept]:
    def run(row: Row, recent: list[int]) -> Kept:
        data = (llama_cpp.llama_token_data * len(row))()
        for id, logit in enumerate(row.tolist()):
            data[id] = llama_cpp.llama_token_data(id, logit, 0.0)
        array = llama_cpp.llama_token_data_array(data, len(row), -1, False)
        sampler = make()
        for token in recent if accept else ():
            llama_cpp.llama_sampler_accept(sampler, token)
        llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
        kept = {array.data[place].id: float(array.data[place].logit) for place in range(array.size)}
        llama_cpp.llama_sampler_free(sampler)
        return {id: logit for id, logit in kept.items() if np.isfinite(logit)}

    return run


def transformers_keeps(processor: logits_process.LogitsProcessor) -> Callable[[Row, list[int]], Kept]:
    def run(row: Row, recent: list[int]) -> Kept:
        out = processor(torch.tensor([recent]), torch.from_numpy(row.copy())[None])[0].numpy()
        return {id: float(logit) for id, logit in enumerate(out) if np.isfinite(logit)}

    return run


def breaks(model: llama_cpp.Llama, recent: list[int]) -> list[bool]:
    texts = [model.detokenize([token], special=True).decode("utf-8", "replace") for token in recent]
    return [any(breaker in text for breaker in BREAKERS) for text in texts]


def cases(
    model: llama_cpp.Llama,
) -> Iterator[tuple[str, Callable[[Row, list[int]], Kept], Callable[[Row, list[int]], Kept]]]:
    """Names, ours and theirs."""
    c, p, vocab = llama_cpp, logits_process, model.n_vocab()
    for k in (1, 40, 1000):
        ours = furet_keeps(lambda row, k=k: filters.top_k(row, k))
        yield f"top-k {k}, llama.cpp", ours, llama_keeps(lambda k=k: c.llama_sampler_init_top_k(k))
        yield f"top-k {k}, transformers", ours, transformers_keeps(p.TopKLogitsWarper(k))
    for value in (0.1, 0.5, 0.95):
        ours = furet_keeps(lambda row, v=value: filters.top_p(row, v))
        yield f"top-p {value}, llama.cpp", ours, llama_keeps(lambda v=value: c.llama_sampler_init_top_p(v, 1))
        yield f"top-p {value}, transformers", ours, transformers_keeps(p.TopPLogitsWarper(value))
        ours = furet_keeps(lambda row, v=value: filters.min_p(row, v))
        yield f"min-p {value}, llama.cpp", ours, llama_keeps(lambda v=value: c.llama_sampler_init_min_p(v, 1))
        yield f"min-p {value}, transformers", ours, transformers_keeps(p.MinPLogitsWarper(value))
        ours = furet_keeps(lambda row, v=value: filters.typical_p(row, v))
        yield f"typical {value}, llama.cpp", ours, llama_keeps(lambda v=value: c.llama_sampler_init_typical(v, 1))
        yield f"typical {value}, transformers", ours, transformers_keeps(p.TypicalLogitsWarper(value))
        ours = furet_keeps(lambda row, v=value: filters.xtc(row, v / 10))
        yield (
            f"xtc {value / 10}, llama.cpp",
            ours,
            llama_keeps(lambda v=value: c.llama_sampler_init_xtc(1.0, v / 10, 1, 0)),
        )
    for n in (0.5, 1.0, 2.0):
        ours = furet_keeps(lambda row, n=n: filters.top_n_sigma(row, n))
        yield f"top-n-sigma {n}, llama.cpp", ours, llama_keeps(lambda n=n: c.llama_sampler_init_top_n_sigma(n))
    for spread, exponent in ((0.5, 1.0), (1.5, 2.0)):

        def warm(row: Candidates, spread: float = spread, exponent: float = exponent) -> Candidates:
            degrees = temperature.dynamic(row, 1.0, spread, exponent)
            return Candidates((row.logits / np.float32(degrees)).astype(np.float32))

        theirs = llama_keeps(lambda s=spread, e=exponent: c.llama_sampler_init_temp_ext(1.0, s, e))
        yield f"dynamic temperature {spread}, llama.cpp", furet_keeps(warm), theirs
    for tau in (2.0, 5.0):
        ours = furet_keeps(lambda row, t=tau: mirostat.cut_by_law(row, 2 * t, vocab))
        yield (
            f"mirostat 1 {tau}, llama.cpp",
            ours,
            llama_keeps(lambda t=tau: c.llama_sampler_init_mirostat(vocab, 0, t, 0.1, 100)),
        )
        ours = furet_keeps(lambda row, t=tau: mirostat.cut_by_surprise(row, 2 * t))
        yield (
            f"mirostat 2 {tau}, llama.cpp",
            ours,
            llama_keeps(lambda t=tau: c.llama_sampler_init_mirostat_v2(0, t, 0.1)),
        )
    for repeat, frequency, presence in ((1.1, 0.0, 0.0), (1.0, 0.3, 0.2), (1.3, 0.1, -0.2)):
        ours = furet_changes(
            lambda row, recent, r=repeat, f=frequency, q=presence: penalise(
                row, recent, repeat=r, frequency=f, presence=q
            )
        )
        theirs = llama_keeps(
            lambda r=repeat, f=frequency, q=presence: c.llama_sampler_init_penalties(vocab, 64, r, f, q), accept=True
        )
        yield f"penalties {repeat} {frequency} {presence}, llama.cpp", ours, theirs
    ours = furet_changes(lambda row, recent: penalise(row, recent, repeat=1.2, frequency=0, presence=0))
    yield "repetition 1.2, transformers", ours, transformers_keeps(p.RepetitionPenaltyLogitsProcessor(1.2))
    ours = furet_changes(
        lambda row, recent: penalise_repeats(row, recent, breaks(model, recent), multiplier=0.8, base=1.2, allowed=2)
    )
    texts = (ctypes.c_char_p * len(BREAKERS))(*(text.encode() for text in BREAKERS))
    pointer = c.llama_model_get_vocab(model.model)
    dry = llama_keeps(
        lambda: c.llama_sampler_init_dry(pointer, 0.8, 1.2, 2, 64, texts, len(BREAKERS)), accept=True
    )
    yield "dry, llama.cpp", ours, dry


def same(ours: Kept, theirs: Kept) -> bool:
    """The same tokens and logits up to a constant, and up to what sums in float32 over a vocabulary leave open."""
    apart = [ours[id] - theirs[id] for id in ours.keys() & theirs.keys()]
    scale = max(1.0, float(np.ptp(list(theirs.values()))))
    border = len(ours.keys() ^ theirs.keys())
    return bool(apart) and float(np.ptp(apart)) < 5e-4 * scale and border <= 4 + len(theirs) / 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=100)
    wanted = parser.parse_args()
    model = llama_cpp.Llama(wanted.model, vocab_only=True, verbose=False)
    failed = 0
    for name, ours, theirs in cases(model):
        random = np.random.default_rng(0)
        different = bordering = 0
        for n in range(wanted.rows):
            row = random.normal(scale=(0.5, 2.0, 5.0)[n % 3], size=model.n_vocab()).astype(np.float32)
            recent = random.integers(100, 104 + 40 * (n % 2), size=64).tolist()
            mine, yours = ours(row, recent), theirs(row, recent)
            bordering += mine.keys() != yours.keys()
            different += not same(mine, yours)
        failed += different > 0
        print(
            f"{name}: {different} of {wanted.rows} differ"
            + (f", {bordering} have others at the border" if bordering else ""),
            flush=True,
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
