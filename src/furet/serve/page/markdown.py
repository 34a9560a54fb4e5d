"""Markdown to HTML that is safe to show, whole or while it is being written.

The HTML of a text is that of its top-level blocks, each rendered alone and sanitised last of all. So an answer that
grows is rendered from its last open block on: what comes before is final, for CommonMark decides about blocks line by
line and never goes back over one that another has followed. Definitions of links further down, which would reach
back, are switched off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from furet.serve.page.highlight import highlighted
from furet.serve.page.sanitise import sanitised

MAX_BLOCK = 131_072
MAX_SPAN = 8192
"""Characters of a block, and of one paragraph, heading or cell in it; a block with more is shown as it is written, for
some rules of markdown take the square of the length."""

_ALIGNMENT = {"text-align:left": "left", "text-align:center": "centre", "text-align:right": "right"}


@dataclass(frozen=True)
class Frame:
    """What changed since the last frame: from block `first` on, the blocks are these.

    final   how many blocks, counted from the first of the text, will not change any more
    """

    first: int
    blocks: tuple[str, ...]
    final: int


class Growing:
    """The HTML of a text that is being written."""

    def __init__(self) -> None:
        self._final: list[str] = []
        self._open = ""  # the text behind the final blocks

    @property
    def open_length(self) -> int:
        """Characters that the next frame has to render."""
        return len(self._open)

    def feed(self, text: str) -> None:
        """More of the text."""
        self._open += _plain_newlines(text)

    def frame(self) -> Frame:
        """The blocks since the last frame; takes time by the open block, not by what lies before it."""
        first = len(self._final)
        # The last line may still become anything, for one the underline that makes a heading of the line before.
        *final, _ = _sources(self._open[: self._open.rfind("\n") + 1]) or [""]
        self._final += map(_rendered, final)
        self._open = self._open[sum(map(len, final)) :]
        return self.since(first)

    def since(self, have: int) -> Frame:
        """The frame for someone who has `have` blocks that are final."""
        first = max(0, min(have, len(self._final)))
        now = map(_rendered, _sources(self._open))
        return Frame(first, (*self._final[first:], *now), len(self._final))


@lru_cache(maxsize=256)
def render(text: str) -> tuple[str, ...]:
    """The HTML of each top-level block of a whole text."""
    return tuple(map(_rendered, _sources(_plain_newlines(text))))


def _plain_newlines(text: str) -> str:
    """The text with \\n alone, whatever pieces it comes in; a NUL would count as another length once parsed."""
    return text.replace("\r", "").replace("\0", "\ufffd")


def _sources(text: str) -> list[str]:
    """The text of each top-level block, with the empty lines behind it; together, the whole text."""
    starts = [token.map[0] for token in _OUTLINE.parse(text) if token.level == 0 and token.nesting >= 0 and token.map]
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    bounds = [0, *starts[1:], len(lines)]
    return ["".join(lines[start:end]) for start, end in pairwise(bounds)] if starts else []


def _rendered(source: str) -> str:
    longest = max((len(token.content) for token in _OUTLINE.parse(source) if token.type == "inline"), default=0)
    if len(source) > MAX_BLOCK or longest > MAX_SPAN:
        return sanitised(f"<pre>{escape(source)}</pre>")
    return sanitised(_PARSER.render(source))


def _fence(self: RendererProtocol, tokens: list[Token], index: int, options: OptionsDict, env: object) -> str:
    """A block of code, its language above it."""
    token = tokens[index]
    language = token.info.split()[0][:32] if token.info.split() else ""
    caption = f"<figcaption>{escape(language)}</figcaption>"
    return f"<figure>{caption}<pre><code>{highlighted(token.content, language)}</code></pre></figure>\n"


def _image(self: RendererProtocol, tokens: list[Token], index: int, options: OptionsDict, env: object) -> str:
    """A link to the image: showing it would tell its server what was read, and when."""
    token = tokens[index]
    address = str(token.attrs.get("src", ""))
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'


def _aligned(self: RendererProtocol, tokens: list[Token], index: int, options: OptionsDict, env: object) -> str:
    """A cell of a table; its alignment as a class, as the page admits no styles."""
    token = tokens[index]
    alignment = _ALIGNMENT.get(str(token.attrs.get("style", "")))
    return f'<{token.tag} class="{alignment}">' if alignment else f"<{token.tag}>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("reference")
    for name, rule in (("fence", _fence), ("code_block", _fence), ("image", _image)):
        parser.add_render_rule(name, rule)
    for name in ("th_open", "td_open"):
        parser.add_render_rule(name, _aligned)
    return parser


def _ready(parser: MarkdownIt) -> MarkdownIt:
    """The parser with its lists of rules made: it makes them when first used, but not safely in two threads at once."""
    for ruler in (parser.core.ruler, parser.block.ruler, parser.inline.ruler, parser.inline.ruler2):
        ruler.getRules("")
    return parser


_PARSER = _ready(_parser())
_OUTLINE = _ready(_parser().disable(["inline", "text_join"]))
