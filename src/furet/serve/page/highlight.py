"""Code with the classes of its syntax, as HTML."""

from __future__ import annotations

from functools import cache
from html import escape

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

MAX_CODE = 16_384
"""Characters that are highlighted; lexers are made of regular expressions, and longer code is shown without."""

CLASSES = frozenset(STANDARD_TYPES.values()) - {""}

# Those that people ask models for, and that hold no surprise of time; a language is never guessed from the code.
_LANGUAGES = """
    bash sh shell zsh console c cpp c++ cs csharp css cuda cmake dart diff docker dockerfile elixir erlang fish
    fortran go golang graphql groovy haskell hs html http ini java javascript js json jsx julia kotlin kt latex
    tex less lua make makefile matlab nginx nim nix objective-c objc ocaml octave pascal perl php powershell ps1
    prolog proto python py python3 pycon r rb ruby rs rust sass scala scheme scss sql swift terraform toml ts tsx
    typescript vim xml yaml yml zig
""".split()  # noqa: SIM905


def highlighted(code: str, language: str) -> str:
    """The code as HTML: spans with the short classes of pygments, or plain text for a language not known."""
    lexer = _lexer(language.lower()) if len(code) <= MAX_CODE else None
    return highlight(code, lexer, _FORMATTER) if lexer is not None else escape(code)


@cache
def _lexer(language: str) -> Lexer | None:
    if language not in _LANGUAGES:
        return None
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


_FORMATTER = HtmlFormatter(nowrap=True)
