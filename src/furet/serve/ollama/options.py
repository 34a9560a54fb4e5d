"""Ollama's options in furet's words; what furet cannot honour is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from furet.engine.request import Request
from furet.errors import BadRequest
from furet.sample.settings import whole

RENAMED = {"num_predict": "max_tokens", "tfs_z": "tail_free", "penalize_newline": "penalise_newline"}
SAME = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "repeat_last_n",
    "presence_penalty",
    "frequency_penalty",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "seed",
    "stop",
    # Ollama has no name for these.
    "dynamic_temperature",
    "dynamic_exponent",
    "top_n_sigma",
    "xtc_probability",
    "xtc_threshold",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_last_n",
    "dry_breakers",
)
OF_LOADING = (
    "f16_kv",
    "low_vram",
    "main_gpu",
    "num_batch",
    "num_gpu",
    "num_thread",
    "numa",
    "use_mlock",
    "use_mmap",
    "vocab_only",
)
ROOM = ("num_ctx", "num_keep")  # of the context, not of the answer


def request_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of an answer as fields of `furet.engine.Request`; without num_predict it may fill the context.

    raises  BadRequest naming the option that is unknown, has no equal here or is out of bounds
    """
    found: dict[str, Any] = {"max_tokens": None}
    for name, value in (options or {}).items():
        if value is None or name in ROOM:
            continue
        if name in OF_LOADING:
            raise BadRequest(
                f"options.{name}: not set by requests", "how models are loaded is said once, to `furet serve`"
            )
        if name not in SAME and name not in RENAMED:
            raise BadRequest(f"options.{name[:60]}: no such option", f"known: {', '.join((*RENAMED, *SAME, *ROOM))}")
        found[RENAMED.get(name, name)] = value
    if found["max_tokens"] in (-1, -2):  # no bound; as much as the context holds
        found["max_tokens"] = None
    if found.get("seed") == -1:
        found["seed"] = None
    _check(found)
    return found


def wanted_context(options: Mapping[str, Any] | None) -> int | None:
    """The context that a request wants at least, or None; BadRequest for what is no size.

    Nothing that is in the context is ever shifted out of it during an answer, so that any num_keep is kept.
    """
    options = options or {}
    if options.get("num_keep") is not None:
        whole("options.num_keep", options["num_keep"], -1)
    if options.get("num_ctx") is None:
        return None
    whole("options.num_ctx", options["num_ctx"], 1)
    return int(options["num_ctx"])


def form(format: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The form of an answer: "json" is any JSON object, an object is a schema."""
    if format is None or format == "":
        return {}
    return {"json_schema": {"type": "object"} if format == "json" else format}


def _check(found: dict[str, Any]) -> None:
    """Raise what `Request` raises, under the name that the client knows."""
    if not isinstance(found.get("stop", ()), str | list | tuple):
        raise BadRequest(f"options.stop: got {found['stop']!r:.60}, wanted a text or a list of texts")
    try:
        Request(**found)
    except BadRequest as error:
        field, colon, rest = error.message.partition(":")
        theirs = {ours: theirs for theirs, ours in RENAMED.items()}.get(field, field)
        raise BadRequest(f"options.{theirs}{colon}{rest}", error.hint) from None
