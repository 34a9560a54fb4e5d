"""Beam search and guidance beside transformers' `generate`, on tiny checkpoints of two families.

Contrastive search has left transformers; it is done here as its paper says, over the hidden states that it gives.

    python benchmarks/decoding_parity.py [--prompts 84]

Needs torch and transformers in the interpreter that runs it, and furet on its path. Weights are those of tests/parity,
sharper at the head so that answers end; furet computes with its reference interpreter. Exits with 1 where tokens
differ, or scores by more than 1e-3.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

import furet
from furet.engine.request import Request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from parity.checkpoint import cases, stored, write_safetensors

ENDS = frozenset({5, 17, 40})
BEAMS: list[dict[str, Any]] = [
    {"beams": beams, "length_penalty": penalty, "early_stopping": stopping}
    for beams in (2, 5)
    for penalty in (-1.0, 0.0, 1.0, 2.0)
    for stopping in (True, False, "never")
]
GUIDED: list[dict[str, Any]] = [{"guidance": guidance, "temperature": 0.0} for guidance in (1.5, 3.0)]
CONTRASTED: list[dict[str, Any]] = [{"penalty_alpha": alpha, "top_k": 4} for alpha in (0.3, 0.6)]
ALL = BEAMS + GUIDED + CONTRASTED


def checkpoint(name: str, folder: Path) -> Path:
    """The checkpoint of a parity case with a vocabulary of words, and a head that is sure of itself."""
    _, case = cases()[name]
    golden = stored(name)
    weights = case.weights(golden.shapes)
    weights["lm_head.weight"] *= 8
    (folder / "config.json").write_text(json.dumps(golden.config))
    write_safetensors(folder / "model.safetensors", weights)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(golden.config["vocab_size"] - 5))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


def theirs(
    model: Any, prompt: list[int], ends: frozenset[int], options: dict[str, Any]
) -> tuple[list[list[int]], list[float]]:
    """Answers of transformers and their scores, the best first."""
    renamed = {"beams": "num_beams", "guidance": "guidance_scale"}
    given = {renamed.get(name, name): value for name, value in options.items() if name != "temperature"}
    out = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=16,
        do_sample=False,
        num_return_sequences=options.get("beams", 1),
        return_dict_in_generate=True,
        output_scores=True,
        eos_token_id=sorted(ends),
        pad_token_id=0,
        **given,
    )
    answers = []
    for row in out.sequences[:, len(prompt) :].tolist():
        end = next((at for at, token in enumerate(row) if token in ends), len(row))
        answers.append(row[:end])
    return answers, out.sequences_scores.tolist() if "beams" in options else [0.0]


def contrasted(model: Any, prompt: list[int], ends: frozenset[int], options: dict[str, Any]) -> list[int]:
    """Contrastive search, each candidate computed from the first token on."""
    alpha, tokens = options["penalty_alpha"], list(prompt)
    with torch.no_grad():
        while len(tokens) < len(prompt) + 16:
            shares = model(torch.tensor([tokens])).logits[0, -1].softmax(-1)
            best = shares.topk(options["top_k"])
            tried = torch.tensor([[*tokens, int(token)] for token in best.indices])
            hidden = model(tried, output_hidden_states=True).hidden_states[-1]
            hidden = hidden / hidden.norm(dim=-1, keepdim=True)
            likeness = (hidden[:, :-1] @ hidden[:, -1:].transpose(1, 2)).amax((1, 2))
            token = int(best.indices[((1 - alpha) * best.values - alpha * likeness).argmax()])
            if token in ends:
                break
            tokens.append(token)
    return tokens[len(prompt) :]


def ours(model: furet.Model, prompt: list[int], options: dict[str, Any]) -> tuple[list[list[int]], list[float]]:
    stream = model.answer(prompt, Request(max_tokens=16, **options), ends=ENDS)
    for _ in stream:
        pass
    found = stream.completion
    return ([beam.tokens for beam in found.beams] or [found.tokens]), ([beam.score for beam in found.beams] or [0.0])


def compared(name: str, prompts: int) -> Iterator[bool]:
    """Whether each answer is the same."""
    random = np.random.RandomState(3)
    with TemporaryDirectory() as folder:
        path = checkpoint(name, Path(folder))
        reference = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        with furet.load(path, backend="reference", threads=1, sequences=5, context=64) as model:
            for number in range(prompts):
                prompt = [int(token) for token in random.randint(5, model.vocab, 12)]
                options = ALL[number % len(ALL)]
                ends = ENDS | model.tokenizer.stop_ids
                if "penalty_alpha" in options:
                    wanted, scores = [contrasted(reference, prompt, ends, options)], [0.0]
                else:
                    wanted, scores = theirs(reference, prompt, ends, options)
                found, got = ours(model, prompt, options)
                best = len(found)  # where fewer were complete, transformers fills up
                same = found == wanted[:best] and np.allclose(got, scores[:best], rtol=0, atol=1e-3)
                if not same:
                    print(f"{name}, {options}: got {found} {got}, wanted {wanted} {scores}")
                yield same


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=3 * len(ALL), help="for each family")
    wanted = parser.parse_args()
    different = 0
    for name in ("llama", "qwen2"):
        same = list(compared(name, wanted.prompts))
        different += len(same) - sum(same)
        print(f"{name}: {sum(same)} of {len(same)} answers with all their beams are the same")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
