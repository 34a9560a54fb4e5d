"""What transformers computes for a case. Needs torch and transformers, which furet itself never does."""

from __future__ import annotations

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from parity.checkpoint import Case


def transformers_logits(case: Case) -> NDArray[np.float32]:
    """Logits at the rows of a case, in float32. -> [R, V]"""
    sizes, model_class = case.sizes, getattr(transformers, case.transformers)
    config = model_class.config_class(
        num_hidden_layers=sizes["L"],
        hidden_size=sizes["C"],
        intermediate_size=sizes["F"],
        num_attention_heads=sizes["H"],
        num_key_value_heads=sizes["K"],
        vocab_size=sizes["V"],
        max_position_embeddings=max(256, case.length),
        rms_norm_eps=1e-5,
        tie_word_embeddings="output" not in case.model.get("optional", ("output",)),
        attn_implementation="eager",
        **case.config,
    )
    model = model_class(config).float().eval()
    state = {name: torch.tensor(array) for name, array in case.hugging_face().items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and missing == (["lm_head.weight"] if config.tie_word_embeddings else [])
    model.tie_weights()
    with torch.no_grad():
        logits = model(torch.from_numpy(case.tokens)[None]).logits[0]
    return logits[case.rows].numpy()
