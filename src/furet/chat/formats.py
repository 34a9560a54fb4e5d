"""How a model wants conversations written: its own template, or one to fall back on when it has none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from furet.errors import ModelFileError

if TYPE_CHECKING:
    from furet.engine import Model
    from furet.text.template import ChatTemplate
    from furet.text.tokenizer import Tokenizer

KEY = "tokenizer.chat_template"

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLAIN = (
    "{% for message in messages %}{{ message.role | capitalize }}: {{ message.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)


@dataclass(frozen=True)
class Format:
    """A chat template and what ends an answer under it.

    name    "model", "chatml" or "plain"
    ends    tokens, besides the tokenizer's own
    stops   texts
    note    what people should know about it, or nothing
    """

    name: str
    template: ChatTemplate
    ends: frozenset[int] = frozenset()
    stops: tuple[str, ...] = ()
    note: str = ""


def find_format(model: Model) -> Format:
    """The format of a model; raises ModelFileError when its template is none."""
    from furet.text.template import ChatTemplate

    tokenizer = model.tokenizer
    source = model.metadata.get(KEY)
    if source is not None:
        if not isinstance(source, str):
            raise ModelFileError("wanted a text", path=model.path, field=KEY)
        return Format("model", ChatTemplate(source, tokenizer.bos, tokenizer.eos))
    start, end = (_token(tokenizer, name) for name in ("<|im_start|>", "<|im_end|>"))
    if start is not None and end is not None:
        template = ChatTemplate(CHATML, tokenizer.bos, tokenizer.eos)
        note = "the model has no chat template; its tokens suggest ChatML, which is used"
        return Format("chatml", template, frozenset([end]), note=note)
    template = ChatTemplate(PLAIN, tokenizer.bos, tokenizer.eos)
    note = "the model has no chat template; it may not be made for conversations"
    return Format("plain", template, stops=("\nUser:", "\nSystem:"), note=note)


def _token(tokenizer: Tokenizer, name: str) -> int | None:
    ids = tokenizer.encode(name, add_special=False)
    return ids[0] if len(ids) == 1 else None
