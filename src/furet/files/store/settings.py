"""What the environment says about the store: folders, the hub's address, the token, whether to stay offline.

The names are the Hugging Face ecosystem's own, so that a model fetched by any tool is found by all of them;
FURET_CACHE alone is ours. They are read at every call: a program may set them after importing furet.

    HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE     where the Hugging Face cache is; else
    HF_HOME, XDG_CACHE_HOME                 the folder that it is in
    HF_ENDPOINT                             the hub's address
    HF_TOKEN, HF_TOKEN_PATH                 access to private and gated models
    HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE    1, on, yes or true: open no socket
    FURET_CACHE                             furet's own cache instead of the platform's
"""

from __future__ import annotations

import os
from pathlib import Path

_TRUE = {"1", "on", "yes", "true"}


def hub_cache() -> Path:
    """The folder of the Hugging Face cache, which may not exist yet."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return _path(os.environ[name])
    return _hub_home() / "hub"


def furet_cache() -> Path:
    """The folder of furet's own cache, which may not exist yet."""
    if os.environ.get("FURET_CACHE"):
        return _path(os.environ["FURET_CACHE"])
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("furet", appauthor=False))


def endpoint() -> str:
    """Scheme and host of the hub, without a slash at the end."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def offline() -> bool:
    """Whether the user forbade the network."""
    return any(
        os.environ.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def token() -> str:
    """The user's hub token, or an empty string. Never part of a message."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").lower() in _TRUE:
        return ""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if os.environ.get(name, "").strip():
            return os.environ[name].strip()
    path = os.environ.get("HF_TOKEN_PATH")
    try:
        return (_path(path) if path else _hub_home() / "token").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _hub_home() -> Path:
    if os.environ.get("HF_HOME"):
        return _path(os.environ["HF_HOME"])
    return _path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()
