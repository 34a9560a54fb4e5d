"""Reading messages: a multi-line editor with history on a terminal, plain lines otherwise.

Enter sends. A new line comes from Alt-Enter, a backslash at the end of the line, or inside triple quotes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from furet.cli.terminal import note
from furet.errors import BadRequest

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings

QUOTES = '"""'


def lines(binary: BinaryIO) -> Iterator[str]:
    """The messages of a stream that is not a terminal: one a line, empty ones skipped."""
    for number, line in enumerate(binary, 1):
        try:
            text = line.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise BadRequest(
                f"stdin: line {number} is not UTF-8 (byte {error.start} is 0x{line[error.start]:02x})",
                "convert it first, for example with `iconv -t UTF-8`",
            ) from None
        if text:
            yield text


def typed(**settings: Any) -> Iterator[str]:
    """The messages a person types, until Ctrl-D, or Ctrl-C twice on an empty line.

    settings  for prompt_toolkit's PromptSession: its input and output
    """
    session = _session(**settings)
    interrupted = False
    while True:
        try:
            text = unquoted(session.prompt("> "))
        except EOFError:
            return
        except KeyboardInterrupt:
            if interrupted:
                return
            interrupted = True
            note("Ctrl-C again, or Ctrl-D, quits")
            continue
        interrupted = False
        if text:
            yield text


def unquoted(text: str) -> str:
    """The message without the white space around it and the triple quotes that kept it open."""
    text = text.strip()
    if len(text) >= 2 * len(QUOTES) and text.startswith(QUOTES) and text.endswith(QUOTES):
        return text[len(QUOTES) : -len(QUOTES)].strip("\n")
    return text


def _session(**settings: Any) -> PromptSession[str]:
    from prompt_toolkit import PromptSession

    return PromptSession(
        history=_history(), multiline=True, key_bindings=_keys(), prompt_continuation="  ", **settings
    )


def _history() -> History:
    """What was typed before, readable by its owner only; forgotten at the end where it cannot be kept."""
    from platformdirs import user_state_path
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    path = user_state_path("furet") / "history"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        elif buffer.text.count(QUOTES) % 2:
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    def _(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys
