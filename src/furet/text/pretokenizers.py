r"""How byte-level BPE cuts text into words before merging: one table, looked up by `tokenizer.ggml.pre`.

A vocabulary was trained on words cut by certain regular expressions; only the same cut gives the same tokens.
Patterns apply in order: each cuts the pieces that the ones before left; text between matches stays a piece.

Source   the `pre_tokenizer` entries of the models' own tokenizer.json; the names are llama.cpp's
Check    benchmarks/tokenizer_fuzz.py compares rows with llama.cpp. They agree, but for approximations on its
         side: in deepseek-coder and deepseek-llm no space beyond ASCII is in the range U+0800 to U+4E00, and
         in tekken and gpt-4o marks are no part of words and only ASCII letters have case
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from furet.errors import UnsupportedModel


@dataclass(frozen=True)
class PreTokenizer:
    """One way of cutting text.

    names         values of `tokenizer.ggml.pre` that mean it, separated by spaces
    patterns      regular expressions, applied in order
    whole_words   a word found in the vocabulary is that token, even where the merges lead elsewhere
    add_bos       whether a file that does not say wants BOS in front
    """

    names: str
    patterns: tuple[str, ...]
    whole_words: bool = False
    add_bos: bool = False


_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}{{1,3}}|{_SYMBOLS}|{_SPACES}"
_QWEN2 = rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}|{_SYMBOLS}|{_SPACES}"

_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CAPITALISED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+"
_CAPITALS = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
_SYMBOLS_OR_SLASH = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

_CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
_HAN_KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_NOT_PUNCTUATION = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
_WIDE_PUNCTUATION = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
_CASED_LETTERS = (  # as DeepSeek-LLM lists them
    "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
    "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
    "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    "\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d"
    "\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a"
    "\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    "\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+"
)
_DEEPSEEK3_WORDS = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{_SPACES}"
)

TABLE = (
    PreTokenizer("default", (r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
    PreTokenizer(
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2",
        (_LLAMA3,),
        whole_words=True,
        add_bos=True,
    ),
    PreTokenizer("dbrx smaug-bpe chatglm-bpe", (_LLAMA3,)),
    PreTokenizer("glm4 glm5", (_LLAMA3,), whole_words=True),
    PreTokenizer("qwen2 deepseek-r1-qwen megrez kormo stablelm2 hunyuan solar-open grok-2", (_QWEN2,)),
    PreTokenizer(
        "qwen35",
        (
            rf"{_CONTRACTION}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
            rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}",
        ),
    ),
    PreTokenizer("smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", (r"\p{N}", GPT2)),
    PreTokenizer(
        "gpt-2 phi-2 mpt olmo jais trillion granite-docling exaone4 gigachat mellum a.x-4.0", (GPT2,)
    ),
    PreTokenizer("deepseek-llm", (r"[\r\n]", _CASED_LETTERS, _WIDE_PUNCTUATION, r"\s+$", _CJK, r"\p{N}+")),
    PreTokenizer("deepseek-coder", (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}")),
    PreTokenizer("deepseek-v3 hunyuan-dense joyai-llm", (r"\p{N}{1,3}", _HAN_KANA, _DEEPSEEK3_WORDS)),
    PreTokenizer("falcon", (r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]")),
    PreTokenizer("poro-chat bloom gpt3-finnish", (_NOT_PUNCTUATION,)),
    PreTokenizer("viking", (_NOT_PUNCTUATION, r"\p{N}")),
    PreTokenizer(
        "tekken",
        (rf"{_CAPITALISED}|{_CAPITALS}|\p{{N}}|{_SYMBOLS_OR_SLASH}|{_SPACES}",),
        whole_words=True,
        add_bos=True,
    ),
    PreTokenizer(
        "gpt-4o llama4 kanana2 minimax-m2",
        (
            rf"{_CAPITALISED}{_CONTRACTION}?|{_CAPITALS}{_CONTRACTION}?|\p{{N}}{{1,3}}"
            rf"|{_SYMBOLS_OR_SLASH}|{_SPACES}",
        ),
    ),
    PreTokenizer(
        "bailingmoe bailingmoe2 llada-moe",
        (
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
            r"|\s*[\r\n]|\s+(?!\S)|\s+",
        ),
    ),
    PreTokenizer("seed-coder", (rf"{_CONTRACTION}|{_LETTERS}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}",)),
)

_BY_NAME = {name: entry for entry in TABLE for name in entry.names.split()}


def find_pretokenizer(name: str) -> PreTokenizer:
    """The entry for a value of `tokenizer.ggml.pre`.

    Raises UnsupportedModel, naming the value and the known ones, when the table has no such entry.
    """
    entry = _BY_NAME.get(name)
    if entry is None:
        raise UnsupportedModel(
            f"tokenizer.ggml.pre is {name[:80]!r}, a way of cutting text into words that is not known here",
            "a wrong guess would give wrong tokens without a sign of it; known: "
            + ", ".join(sorted(_BY_NAME)),
        )
    return entry


def splitter(entry: PreTokenizer) -> Callable[[str], list[tuple[str, tuple[int, int]]]]:
    """A function from text to its words, each with its span, by the patterns of `entry`."""
    from tokenizers import Regex, pre_tokenizers

    steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in entry.patterns]
    cutter = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(steps)
    cut: Callable[[str], list[tuple[str, tuple[int, int]]]] = cutter.pre_tokenize_str
    return cut
