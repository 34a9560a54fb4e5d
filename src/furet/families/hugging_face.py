"""Hugging Face's `config.json` in the words of GGUF.

Most keys only have another name. Those that all families share stand below, the others in their family:

    n_inner                     feed_forward_length           another name
    rotary_pct                  -                             changes nothing, or is read by the family's code
    hidden_act                  = silu                        must say this, where it is said at all
    hidden_act                  = gelu|gelu_new               or one of these
    rms_norm_eps                attention.layer_norm_rms_epsilon   1e-6      another name, and the value when missing

A key without a line is an error that names it: it may change what the model computes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from furet.errors import ModelFileError, UnsupportedModel
from furet.ops import Activation

SHARED = """
    num_hidden_layers           block_count
    n_layer                     block_count
    n_layers                    block_count
    hidden_size                 embedding_length
    n_embd                      embedding_length
    d_model                     embedding_length
    intermediate_size           feed_forward_length
    n_inner                     feed_forward_length
    num_attention_heads         attention.head_count
    n_head                      attention.head_count
    n_heads                     attention.head_count
    num_key_value_heads         attention.head_count_kv
    head_dim                    attention.key_length
    max_position_embeddings     context_length
    n_positions                 context_length
    rms_norm_eps                attention.layer_norm_rms_epsilon
    layer_norm_eps              attention.layer_norm_epsilon
    layer_norm_epsilon          attention.layer_norm_epsilon
    vocab_size                  vocab_size
    rope_theta                  -
    rope_scaling                -
    rope_parameters             -
"""

MAX_JSON = 4 << 20  # bytes of a configuration; the largest published have some thousands

# How a model was made, trained or stored, and how Hugging Face's program runs it: not what it computes.
CHANGES_NOTHING = (
    "model_type", "architectures", "auto_map", "_name_or_path", "_commit_hash", "_attn_implementation*",
    "transformers_version", "torch_dtype", "dtype", "use_cache", "is_decoder", "is_encoder_decoder",
    "pretraining_tp", "initializer_range", "initializer_factor", "*dropout*", "*_pdrop", "*_token_id",
    "tie_word_embeddings", "gradient_checkpointing", "task_specific_params", "id2label", "label2id",
    "num_labels", "problem_type", "return_dict*", "output_attentions", "output_hidden_states", "torchscript",
    "chunk_size_feed_forward", "summary_*", "finetuning_task", "prefix", "name_or_path", "use_bfloat16",
    "tokenizer_class", "max_length", "min_length", "do_sample", "temperature", "top_k", "top_p", "num_beams",
    "onnx_export", "classifier_dropout", "add_cross_attention", "cross_attention_hidden_size", "unsloth_*",
    "tie_encoder_decoder", "pruned_heads", "is_composition", "use_return_dict", "layer_types", "init_device",
    "bad_words_ids", "remove_invalid_values", "repetition_penalty", "length_penalty", "transformers.js_config",
    "router_aux_loss_coef", "router_jitter_noise", "output_router_logits", "tf_legacy_loss",
    "attn_implementation", "experts_implementation", "ignore_keys_at_rope_validation",
    "diversity_penalty", "early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty",
    "forced_*", "no_repeat_ngram_size", "num_beam_groups", "num_return_sequences", "output_scores",
    "suppress_tokens", "begin_suppress_tokens", "typical_p", "sep_token_id", "custom_pipelines",
)  # fmt: skip

ACTIVATIONS: Mapping[str, Activation] = {
    **{"gelu": "gelu", "gelu_python": "gelu", "relu": "relu", "silu": "silu", "swish": "silu"},
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_tanh"),
}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a small JSON file; raises ModelFileError for anything else."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise ModelFileError(f"is larger than {MAX_JSON} bytes", path=path)
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}", path=path) from error
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"is not JSON: {error}", path=path) from None
    if not isinstance(found, dict):
        raise ModelFileError("wanted an object", path=path)
    return found


class Word(NamedTuple):
    """One line: how a key is called in GGUF, or what it must say."""

    key: str
    gguf: str  # "" for a key that is not simply renamed
    wanted: tuple[Any, ...] = ()  # what it must say
    default: Any = None


class Words:
    """A `config.json`, read word by word; what nobody read is an error in the end.

    config  the parsed file
    path    named in errors
    """

    def __init__(self, config: Mapping[str, Any], table: str = "", path: Path | None = None) -> None:
        self.config = config
        self.path = path
        self._words = {**_parse(SHARED), **_parse(table)}
        self._left = self._to_read(config)

    def peek(self, key: str, default: Any = None) -> Any:
        """The value of a key, or the default where it is missing or null."""
        value = self.config.get(key)
        return default if value is None else value

    def get(self, key: str, default: Any = None) -> Any:
        """As `peek`; the key counts as read."""
        self._left.discard(key)
        return self.peek(key, default)

    def integer(self, *names: str, usual: int | None = None) -> int:
        """The first of several keys that is there, which all count as read: a whole number from 1 on."""
        name, value = self._first(names, usual)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.damaged(name, "a whole number from 1 on")
        return value

    def number(self, *names: str, usual: float | None = None) -> float:
        """As `integer`: a finite number from 0 on."""
        name, value = self._first(names, usual)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
            raise self.damaged(name, "a number from 0 on")
        return float(value)

    def unfold(self, name: str) -> None:
        """Put the keys of a table within, if it is there, beside the others."""
        table = self.get(name, {})
        if not isinstance(table, Mapping):
            raise self.damaged(name, "a table")
        self.config = {**self.config, **table}
        self._left |= self._to_read(table)

    def activation(self, name: str, usual: str) -> dict[str, object]:
        """GGUF's key for the function of the feed-forward layers, which a key names."""
        function = self.get(name, usual)
        if not isinstance(function, str) or function not in ACTIVATIONS:
            raise self.unsupported(f"{name} is {function!r:.80}, not {', '.join(ACTIVATIONS)}")
        return {"hidden_activation": ACTIVATIONS[function]}

    def translated(self) -> dict[str, object]:
        """All keys that only have another name, under GGUF's; checks those that must say something."""
        from furet.families.rotary import rope_keys

        keys: dict[str, object] = {}
        for word in self._words.values():
            value = self.get(word.key, word.default)
            if isinstance(word.default, float) and type(value) is int:
                value = float(value)
            if word.wanted and value is not None and value not in word.wanted:
                wanted = " or ".join(map(json.dumps, word.wanted))
                raise self.unsupported(f"{word.key} is {json.dumps(value)[:80]}, not {wanted}")
            if word.gguf and value is not None:
                keys[word.gguf] = value
        if "attention.key_length" in keys:
            keys["attention.value_length"] = keys["attention.key_length"]
        return keys | rope_keys(self)

    def beside(self, name: str) -> Mapping[str, Any]:
        """Another JSON file of the folder; empty where there is none."""
        path = self.path.parent / name if self.path else None
        return read_json(path) if path is not None and path.is_file() else {}

    def close(self) -> None:
        """Raise UnsupportedModel for keys that were not read."""
        if self._left:
            names = ", ".join(sorted(self._left)[:3])
            more = f" and {len(self._left) - 3} more" if len(self._left) > 3 else ""
            raise self.unsupported(
                f"no meaning is known for {names}{more}",
                "a newer version may know it; to run the model regardless could give wrong answers",
            )

    def unsupported(self, message: str, hint: str = "") -> UnsupportedModel:
        """The error for a configuration that is sound, but not one of this family."""
        return UnsupportedModel(f"{self.path}: {message}" if self.path else message, hint)

    def _first(self, names: tuple[str, ...], usual: object) -> tuple[str, Any]:
        """(name, value) of the first key that is there."""
        found = {name: value for name in names if (value := self.get(name)) is not None}
        return next(iter(found.items()), (names[0], usual))

    def _to_read(self, table: Mapping[str, Any]) -> set[str]:
        nothing = (*CHANGES_NOTHING, *(key for key in self._words if "*" in key))
        return {key for key in table if not any(fnmatchcase(key, one) for one in nothing)}

    def damaged(self, key: str, wanted: str) -> ModelFileError:
        """The error for a key that says what no sound file says."""
        return ModelFileError(f"is {self.config.get(key)!r:.80}, wanted {wanted}", path=self.path, field=key)


@cache
def _parse(table: str) -> Mapping[str, Word]:
    words = [_word(line.split(maxsplit=2)) for line in table.strip().splitlines() if line.strip()]
    return {word.key: word for word in words}


def _word(line: list[str]) -> Word:
    key, gguf, *rest = line
    if gguf == "=":
        return Word(key, "", wanted=tuple(map(_value, rest[0].split("|"))))
    if gguf == "-":
        return Word(key, "")
    return Word(key, gguf, default=_value(rest[0]) if rest else None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
