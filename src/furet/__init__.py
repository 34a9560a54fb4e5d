"""furet runs language models on the machine you own, inside the memory it has.

    model = furet.load("smollm2")
    print(model.generate("The capital of France is", max_tokens=8, temperature=0).text)

Importing this package does nothing; what is used is loaded when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from furet.chat.chat import Chat as Chat
    from furet.chat.model import Model as Model
    from furet.chat.model import load as load
    from furet.engine.answer import Completion as Completion
    from furet.engine.answer import Piece as Piece
    from furet.engine.answer import Timings as Timings
    from furet.engine.plan import Plan as Plan
    from furet.engine.plan import plan as plan
    from furet.engine.stream import Stream as Stream
    from furet.errors import BadRequest as BadRequest
    from furet.errors import Busy as Busy
    from furet.errors import ContextOverflow as ContextOverflow
    from furet.errors import DoesNotFit as DoesNotFit
    from furet.errors import DownloadFailed as DownloadFailed
    from furet.errors import FuretError as FuretError
    from furet.errors import ModelFileError as ModelFileError
    from furet.errors import NotFound as NotFound
    from furet.errors import UnsupportedModel as UnsupportedModel
    from furet.errors import WorkerDied as WorkerDied

    __version__: str

_HOMES = {
    "furet.chat.chat": ("Chat",),
    "furet.chat.model": ("Model", "load"),
    "furet.engine.answer": ("Completion", "Piece", "Timings"),
    "furet.engine.plan": ("Plan", "plan"),
    "furet.engine.stream": ("Stream",),
    "furet.errors": (
        "BadRequest",
        "Busy",
        "ContextOverflow",
        "DoesNotFit",
        "DownloadFailed",
        "FuretError",
        "ModelFileError",
        "NotFound",
        "UnsupportedModel",
        "WorkerDied",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: object = version("furet")
        except PackageNotFoundError:  # run from its sources
            value = "0+unknown"
    elif name in _HOME:
        from importlib import import_module

        from furet.collector import uncollected

        with uncollected():
            value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'furet' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
