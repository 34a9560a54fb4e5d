"""Qwen2: with a head of its own, tied and far, and stretched by YaRN as Qwen2.5 is for long contexts."""

from __future__ import annotations

from parity.checkpoint import Case, rope
from parity.llama import YARN, YARN_KEYS


def qwen2(config: dict[str, object], keys: dict[str, object], **more: object) -> Case:
    sizes = more.pop("model", {})
    return Case("qwen2", "Qwen2ForCausalLM", config, {"keys": keys, **sizes}, **more)


CASES = {
    "qwen2": qwen2(rope(1e6), {"rope.freq_base": 1e6}),
    "qwen2 far": qwen2(rope(1e6), {"rope.freq_base": 1e6}, model={"optional": ()}, length=2100),
    "qwen2 yarn": qwen2(rope(**YARN), YARN_KEYS, length=300),
}
