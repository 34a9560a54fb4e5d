"""`furet serve`: models over HTTP, and the page."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated, Literal

from furet.cli import options
from furet.cli.arguments import Argument, Option
from furet.cli.terminal import note
from furet.errors import FuretError

if TYPE_CHECKING:
    import socket

    from furet.serve.limits import ServerSettings
    from furet.serve.models import Models

_EXTRA = ("fastapi", "uvicorn", "prometheus_client", "nh3", "pygments")  # that `pip install furet` leaves out


def serve(
    models: Annotated[
        list[str], Argument("models to load at once and keep; others are loaded on demand", metavar="MODEL")
    ] = [],  # noqa: B006
    host: Annotated[str, Option("--host", help="address to listen at; default 127.0.0.1, this machine alone")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Option("--port", help="port to listen at; default 8080; 0 takes a free one")] = 8080,
    memory: Annotated[
        str | None,
        Option("--memory", help="budget for all models together, such as 6G; default: what the machine leaves"),
    ] = None,
    threads: options.Threads = None,
    context: options.Context = None,
    sequences: Annotated[int, Option("--sequences", help="conversations a model computes at once; default 8")] = 8,
    kv: options.KvType = "f16",
    draft: Annotated[
        str | None,
        Option(
            "--draft",
            help="with one MODEL: a smaller one with the same tokens, which guesses what that will say: the same "
            "answers, sooner where it is often right",
            metavar="MODEL",
        ),
    ] = None,
    token: Annotated[
        str | None,
        Option("--token", help="what callers must show; better in FURET_TOKEN, where other users do not see it"),
    ] = None,
    allow_host: Annotated[
        list[str] | None, Option("--allow-host", help="another name this server is called by; may be repeated")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        Option("--allow-origin", help="another origin whose pages may call it, https://name; may be repeated"),
    ] = None,
    insecure: Annotated[bool, Option("--insecure", help="without a token, serve others than this machine")] = False,
    keep_alive: Annotated[
        float | None,
        Option("--keep-alive", help="unload a model after so many seconds without a request; default: never"),
    ] = None,
    no_page: Annotated[bool, Option("--no-page", help="only the APIs, no page")] = False,
    offline: Annotated[bool, Option("--offline", help="download nothing")] = False,
    log_level: Annotated[
        Literal["error", "warning", "info", "debug"], Option("--log-level", help="what is said on stderr")
    ] = "warning",
) -> None:
    """Serve models over HTTP: the APIs of OpenAI, Ollama and Anthropic, and a page to chat on.

    Every model runs in a process of its own. Those named here are loaded at once and stay; any other that
    `furet ls` lists is loaded when it is asked for, and makes room when others need it. Ctrl-C ends the
    server, a second one at once.

    examples:
      furet serve
      furet serve smollm2 --port 11434
      furet serve ./model.gguf --memory 8G --context 8192
      furet serve ./large.gguf --draft ./small.gguf
      FURET_TOKEN=... furet serve --host 0.0.0.0 --allow-host models.example.org
    """
    _require_extra()
    import asyncio
    import logging

    from furet.serve import running
    from furet.serve.limits import ServerSettings
    from furet.serve.models import Models, require_one

    token = token or os.environ.get("FURET_TOKEN") or None
    running.require_guarded(host, token, insecure)
    require_one(models, draft)
    if not offline:
        for model in [*models, *([] if draft is None else [draft])]:
            options.model_file(model)
    made = Models(
        memory=memory,
        threads=threads,
        context=context,
        sequences=sequences,
        kv=kv,
        keep=models,
        draft=draft,
        keep_alive=keep_alive,
        offline=offline,
    )
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    listening = running.listen(host, port)
    settings = ServerSettings(
        host=host,
        port=listening.getsockname()[1],
        token=token,
        allowed_hosts=tuple(name.lower() for name in allow_host or ()),
        allowed_origins=tuple(allow_origin or ()),
    )

    with listening:
        number = asyncio.run(_run(made, settings, listening, page=not no_page))
    if number == signal.SIGINT:
        raise KeyboardInterrupt


async def _run(models: Models, settings: ServerSettings, listening: socket.socket, *, page: bool) -> int:
    from contextlib import ExitStack

    from furet.chat.store import Store
    from furet.serve import running

    with ExitStack() as stack:
        store = stack.enter_context(Store()) if page else None
        return await running.serve(models, settings, listening, store=store, ready=lambda: _announce(settings, page))


def _announce(settings: ServerSettings, page: bool) -> None:
    """Where it is; on stdout, for programs that have asked for any free port."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{settings.port}"
    print(address, flush=True)
    if page:
        note(f"the page is at {address}/")
    note(f"for OpenAI's clients: {address}/v1, for Ollama's and Anthropic's: {address}; Ctrl-C ends it")


def _require_extra() -> None:
    """Raise FuretError where libraries are missing that only the server needs."""
    from importlib.util import find_spec

    if missing := [name for name in _EXTRA if find_spec(name) is None]:
        raise FuretError(f"the server needs {', '.join(missing)}", "pip install 'furet[serve]'")
