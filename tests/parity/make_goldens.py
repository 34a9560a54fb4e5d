"""Store what transformers saves and computes for every case, so that parity is tested where torch is not installed.

Run it with PYTHONPATH=src:tests, in an environment that has torch and transformers; names of fixtures as arguments
limit it to these. A fixture with a function `golden(case)` of its own has its reference elsewhere.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import transformers
from parity.checkpoint import FIXTURES, Case, Stored, cases
from safetensors.numpy import load_file

AUTO = {
    "decoder": transformers.AutoModelForCausalLM,
    "encoder": transformers.AutoModel,
    "answer": transformers.AutoModelForSeq2SeqLM,
}


def golden(case: Case) -> Stored:
    """What transformers saves and computes for a case, in float32."""
    config = transformers.AutoConfig.for_model(**case.config)
    config._attn_implementation = "eager"
    torch.manual_seed(0)
    model = AUTO[case.kind].from_config(config).float()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shapes = {name: list(t.shape) for name, t in load_file(Path(folder) / "model.safetensors").items()}
        saved = json.loads((Path(folder) / "config.json").read_text())
        (Path(folder) / "model.safetensors").unlink()
        state = {name: torch.tensor(array) for name, array in case.weights(shapes).items()}
        transformers.modeling_utils.safe_save_file(state, Path(folder) / "model.safetensors", {"format": "pt"})
        model = AUTO[case.kind].from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()
    vocab = config.vocab_size
    tokens = torch.from_numpy(case.tokens(vocab))[None]
    with torch.no_grad():
        match case.kind:
            case "decoder":
                logits = model(tokens, use_cache=False).logits[0]
            case "encoder":
                logits = model(tokens).last_hidden_state[0]
            case "answer":
                source = torch.from_numpy(case.source_tokens(vocab))[None]
                logits = model(input_ids=source, decoder_input_ids=tokens).logits[0]
    return Stored(saved, shapes, logits[case.rows].numpy())


def main(only: list[str]) -> None:
    for fixture in only or sorted({fixture for fixture, _ in cases().values()}):
        make = getattr(import_module(f"parity.fixtures.{fixture}"), "golden", golden)
        arrays = {}
        for name, (home, case) in cases().items():
            if home == fixture:
                found = make(case)
                about = {"config": found.config, "shapes": found.shapes}
                arrays |= {f"{name}: about": np.array(json.dumps(about)), f"{name}: logits": found.logits}
                print(f"{fixture}.npz: {name}, largest logit {np.abs(found.logits).max():.2f}")
        np.savez_compressed(FIXTURES / f"{fixture}.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1:])
