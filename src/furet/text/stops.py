"""Which tokens end an answer: files name one, models use several, so the others are known by their text.

Source: the list and the exceptions that llama.cpp applies when it loads a vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping

from furet.errors import ModelFileError
from furet.text.metadata import Metadata, numbers, token_id

KEYS = tuple(
    f"tokenizer.ggml.{name}_token_id" for name in ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")
)
END_IDS = "tokenizer.ggml.eos_token_ids"  # our own key: all that end an answer, where a file names several
MAX_ENDS = 256
TEXTS = frozenset(
    (
        *("</s>", "<eos>", "[EOS]", "<|endoftext|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "[e~["),
        *(
            "<|im_end|>",
            "<|eot_id|>",
            "<|eom_id|>",
            "<|end|>",
            "<end_of_turn>",
            "<end_of_utterance>",
            "<turn|>",
        ),
        *("<EOT>", "_<EOT>", "[EOT]", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<|tool_response>"),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
        *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>", "<|file_sep|>"),
    )
)
_NOT_BESIDE = (  # a text that ends nothing in a vocabulary that also has all of the others
    ("<|end|>", ("<|return|>", "<|call|>")),
    ("<|end|>", ("<|calls|>", "<|flush|>")),
    ("</s>", ("<|tool_response>",)),
    ("</s>", ("<|plamo:eos|>",)),
)


def named_stops(metadata: Metadata, vocab_size: int) -> set[int]:
    """Tokens that the file's keys name as ending something; one beyond the vocabulary is a ModelFileError."""
    import numpy as np

    found = {token for key in KEYS if (token := token_id(metadata, key, vocab_size)) is not None}
    listed = metadata.get(END_IDS)
    if listed is None:
        return found
    count = len(listed) if hasattr(listed, "__len__") else 0
    if not 0 < count <= MAX_ENDS:
        raise ModelFileError(f"expected a list of at most {MAX_ENDS} token ids", field=END_IDS)
    ends = numbers(metadata, END_IDS, count, np.int64).tolist()
    return found | {end for token in ends if (end := token_id({END_IDS: token}, END_IDS, vocab_size)) is not None}


def likely_stops(ids: Mapping[str, int]) -> set[int]:
    """Tokens whose text says that they end something; `ids` maps text to id."""
    found = {text for text in TEXTS if text in ids}
    for text, others in _NOT_BESIDE:
        if all(other in ids for other in others):
            found.discard(text)
    return {ids[text] for text in found}
