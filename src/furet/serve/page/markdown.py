"""Markdown to HTML that is safe to show, whole or while it is being written.

The HTML of a text is that of its top-level blocks, each rendered alone and sanitised last of all. So an answer that
grows is rendered from its last open block on: what comes before is final, for CommonMark decides about blocks line by
line and never goes back over one that another has followed. Definitions of links further down, which would reach
back, are switched off.

What a reasoning model thinks before it answers, `<think>...</think>` at the very beginning, is one block, folded.
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

BEGIN, END = "<think>", "</think>"
_THOUGHT = re.compile(rf"\s{{0,64}}{BEGIN}")

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
    """The HTML of a text that is being written; `thoughts`: it may begin with a thought."""

    def __init__(self, thoughts: bool = True) -> None:
        self._final: list[str] = []
        self._told = 0  # of these, how many the last frame called final
        self._open = ""  # the text behind the final blocks
        self._thought: Growing | None = None  # that has not ended; the open text is then the last of it
        self._undecided = thoughts  # whether it begins with one

    @property
    def open_length(self) -> int:
        """Characters that the next frame has to render, or to repeat."""
        thought = self._thought
        return len(self._open) + (thought.open_length + sum(map(len, thought._final)) if thought else 0)

    def feed(self, text: str) -> None:
        """More of the text."""
        self._open += _plain_newlines(text)
        if self._undecided:
            self._decide()
        if self._thought is not None:
            self._think(self._thought)

    def frame(self) -> Frame:
        """The blocks since the last frame; takes time by the open block, not by what lies before it."""
        if self._thought is not None:
            self._thought.frame()
        elif not self._undecided:
            # The last line may still become anything, for one the underline that makes a heading of the line before.
            *final, _ = _sources(self._open[: self._open.rfind("\n") + 1]) or [""]
            self._final += map(_rendered, final)
            self._open = self._open[sum(map(len, final)) :]
        first, self._told = self._told, len(self._final)
        return self.since(first)

    def since(self, have: int, thinking: str = "Thinking…") -> Frame:
        """The frame for someone who has `have` blocks that are final; a thought that has not ended is called so."""
        first = max(0, min(have, len(self._final)))
        if self._thought is not None:
            now = [_folded(thinking, self._thought.since(0).blocks)]
        else:
            now = list(map(_rendered, _sources(self._open)))
        return Frame(first, (*self._final[first:], *now), len(self._final))

    def _decide(self) -> None:
        """See whether the text begins with a thought, as soon as that is certain."""
        if begins := _THOUGHT.match(self._open):
            self._thought = Growing(thoughts=False)
            self._open = self._open[begins.end() :]
        elif len(self._open) < 64 + len(BEGIN) and BEGIN.startswith(self._open.lstrip()):
            return
        self._undecided = False

    def _think(self, thought: Growing) -> None:
        """Add to a thought what has come of it; where it ends it becomes a block, unless nothing was thought."""
        inside, end, rest = self._open.partition(END)
        mark = inside.rfind("<")
        if not end and mark >= 0 and END.startswith(inside[mark:]):  # perhaps its end has begun
            inside, rest = inside[:mark], inside[mark:]
        thought.feed(inside)
        self._open = rest
        if end:
            self._thought = None
            if blocks := thought.since(0).blocks:
                self._final.append(_folded("Thought", blocks))


@lru_cache(maxsize=256)
def render(text: str) -> tuple[str, ...]:
    """The HTML of each top-level block of a whole text."""
    growing = Growing()
    growing.feed(text)
    return growing.since(0, "Thought").blocks


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


def _folded(title: str, blocks: tuple[str, ...]) -> str:
    """Blocks that are shown when they are asked for."""
    return sanitised(f"<details><summary>{title}</summary>{''.join(blocks)}</details>")


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
