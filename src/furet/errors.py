"""The error tree. Every error a user can cause or meet is one of these.

    FuretError                exit 1
    ├── BadRequest            exit 2   an argument, prompt or parameter that cannot be honoured
    │   └── ContextOverflow            more tokens than the context holds
    ├── NotFound              exit 3   no such file, model or alias
    ├── DownloadFailed        exit 1   the network, the disk or a checksum said no
    ├── ModelFileError        exit 4   the file is damaged, hostile or not what it claims to be
    ├── UnsupportedModel      exit 4   a sound file that this version cannot run
    ├── DoesNotFit            exit 5   more memory than the budget leaves
    ├── Busy                  exit 1   so much is being done already that this would have to wait too long
    └── WorkerDied            exit 1   the process that ran the model is gone, and an answer with it

A message names the file, tensor or field, what was got and what was wanted; `hint` is the next step.
"""

from __future__ import annotations

from pathlib import Path


class FuretError(Exception):
    """Base of all errors raised on purpose; the command line prints it without a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message


class BadRequest(FuretError):
    """An argument, prompt or parameter that cannot be honoured."""

    exit_code = 2


class ContextOverflow(BadRequest):
    """More tokens than the context window holds."""


class NotFound(FuretError):
    """No such file, model or alias."""

    exit_code = 3


class DownloadFailed(FuretError):
    """The network, the disk or a checksum refused; what was fetched so far is kept for resuming."""


class ModelFileError(FuretError):
    """A file that is damaged, hostile or not what it claims to be.

    path    the file, when known
    offset  byte offset of the field at fault, when known
    field   name of the header field, tensor or metadata key at fault
    """

    exit_code = 4

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        path: str | Path | None = None,
        offset: int | None = None,
        field: str = "",
    ) -> None:
        where = [str(path)] if path is not None else []
        if offset is not None:
            where.append(f"at byte {offset}")
        if field:
            where.append(field)
        super().__init__(": ".join([*where, message]), hint)
        self.path = path
        self.offset = offset
        self.field = field


class UnsupportedModel(FuretError):
    """A sound file that this version of furet cannot run."""

    exit_code = 4


class DoesNotFit(FuretError):
    """More memory than the budget leaves; the message holds the figures."""

    exit_code = 5


class Busy(FuretError):
    """As many requests as may wait are waiting already, or a model is needed by others; later it may go."""


class WorkerDied(FuretError):
    """The process that ran a model ended by itself or was killed; the answer that it was making is lost."""
