"""What a server adds to the time until the first token: the same questions to the engine and over HTTP, by turns.

    python benchmarks/first_token.py [MODEL] [--words 10 100 400] [--rounds 15]

Each question begins with a word of its own, so that nothing but the head of the template was computed before. Prints
the medians for every length, and the median of the ratios of pairs. The server is one that the script starts and ends.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
from itertools import count
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import furet

NUMBERS = count(1)
TEXT = "the old ferret walks along the river and looks for a place to sleep before it rains"
WORDS = TEXT.split()
TEXT_CAME = re.compile(rb'"content":"[^"]')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2")
    parser.add_argument("--words", type=int, nargs="+", default=[10, 100, 400])
    parser.add_argument("--rounds", type=int, default=15)
    wanted = parser.parse_args()
    command = [sys.executable, "-m", "furet", "serve", wanted.model, "--port", "0", "--no-page", "--context", "2048"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = urlsplit(process.stdout.readline().strip())
            assert address.hostname and address.port, "the server did not start"
            model = furet.load(wanted.model, context=2048)
            for words in wanted.words:
                compare(model, address.hostname, address.port, wanted.model, words, wanted.rounds)
        finally:
            process.terminate()


def compare(model: furet.Model, host: str, port: int, name: str, words: int, rounds: int) -> None:
    """Print what one length of questions takes."""
    engine, server = [], []
    for turn in range(-1, rounds):  # the first warms up
        asked = [question(words), question(words)]
        pair = [0.0, 0.0]
        for which in (0, 1) if turn % 2 else (1, 0):
            pair[which] = of_server(host, port, name, asked[1]) if which else of_engine(model, asked[0])
        if turn >= 0:
            engine.append(pair[0])
            server.append(pair[1])
    ratio = median(b / a for a, b in zip(engine, server, strict=True))
    print(f"{words:5} words: engine {median(engine) * 1e3:.1f} ms, server {median(server) * 1e3:.1f} ms, {ratio:.3f}x")


def question(words: int) -> str:
    return " ".join([f"Story {next(NUMBERS)}:", *(WORDS[place % len(WORDS)] for place in range(words))])


def of_engine(model: furet.Model, text: str) -> float:
    """Seconds until the first piece of an answer."""
    began = perf_counter()
    stream = model.chat().say(text, temperature=0, max_tokens=4)
    next(stream)
    took = perf_counter() - began
    for _ in stream:
        pass
    return took


def of_server(host: str, port: int, name: str, text: str) -> float:
    """The same over HTTP, from before the connection is made to the first event with text.

    The bytes of the request are made before, and those of the answer are only searched: a client's own work is not the
    server's.
    """
    asked = {"model": name, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 4}
    body = json.dumps({**asked, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    request = f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    came, took = b"", 0.0
    began = perf_counter()
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.sendall(request)
        while more := connection.recv(1 << 16):
            came += more
            if not took and TEXT_CAME.search(came):
                took = perf_counter() - began
    assert took, f"no answer: {came[:300]!r}"
    return took


if __name__ == "__main__":
    main()
