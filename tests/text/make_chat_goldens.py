"""Store what transformers renders, so that parity is tested where it is not installed.

Run it with PYTHONPATH=src:tests/text in an environment that has transformers.
"""

from __future__ import annotations

import json
from datetime import datetime
from itertools import product
from typing import Any

from conversations import CONVERSATIONS, GOLDENS, NOW, OPTIONS, TEMPLATES, TOKENS
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils


class Frozen(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW


def rendered(tokenizer: Any, template: str, conversation: str, options: str) -> str | None:
    """The prompt, or None where transformers refuses."""
    try:
        return tokenizer.apply_chat_template(
            CONVERSATIONS[conversation], chat_template=TEMPLATES[template], tokenize=False, **OPTIONS[options]
        )
    except Exception:
        return None


def main() -> None:
    chat_template_utils.datetime = Frozen
    words = Tokenizer(models.WordLevel({text: number for number, text in enumerate(TOKENS.values())}))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **TOKENS)
    cases = product(sorted(TEMPLATES), CONVERSATIONS, OPTIONS)
    found = {" / ".join(case): rendered(tokenizer, *case) for case in cases}
    GOLDENS.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(found)} prompts, of which {list(found.values()).count(None)} refused, {GOLDENS.stat().st_size} bytes")


if __name__ == "__main__":
    main()
