"""The command lines of the pages: each is run as it stands, and shows what the page says it does.

`$ ` begins a command; the lines after it are what a terminal would show. The commands of all pages run one after
another, in one folder. Blocks of the language `terminal` are not run: test_pages.py says why.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path
from threading import Timer
from typing import NamedTuple
from urllib.request import urlopen

import pytest
from docs.examples import NAMES, Block, blocks, differs

SECONDS = 120  # for one command, on a machine that does much else
CONSOLES = [block for name in NAMES for block in blocks(name) if block.language == "console"]


class Command(NamedTuple):
    line: str
    shown: str


def commands(block: Block) -> list[Command]:
    """The commands of a block, each with what it shows."""
    assert block.text.startswith("$ "), f"{block} begins with no command"
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    return [Command(*part.split("\n", 1)) for part in parts]


@pytest.mark.parametrize("block", CONSOLES, ids=str)
def test_a_command_shows_what_the_page_says(block: Block, workplace: Path) -> None:
    for command in commands(block):
        listens = command.line.startswith("furet serve") and "http://" in command.shown
        shown = (_served if listens else _ran)(command)
        assert not differs(shown, command.shown), f"{block}: `{command.line}` shows\n\n{shown}"


def _ran(command: Command) -> str:
    """What a command line writes, on stdout and stderr."""
    done = subprocess.run(
        ["bash", "-c", command.line],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
    )  # fmt: skip
    return done.stdout


def _served(command: Command) -> str:
    """What a server writes until it listens; it must answer, and end at Ctrl-C. Its port, a free one, reads 8080."""
    arguments = [*shlex.split(command.line), "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        timer = Timer(SECONDS, process.kill)
        timer.start()
        try:
            written = "".join(process.stdout.readline() for _ in command.shown.splitlines())
            address = re.match(r"http://\S+:(\d+)", written)
            assert address, written
            with urlopen(f"{address[0]}/health", timeout=SECONDS) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            process.wait()
        finally:
            process.kill()
            timer.cancel()
    assert process.returncode == 130
    return written.replace(address[1], "8080")
