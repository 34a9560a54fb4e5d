"""From a reference to a model that can step: resolve, open, check, plan, compile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from furet.collector import uncollected
from furet.engine.backend import Backend, compile_backend
from furet.engine.drafting import require_same_tokens
from furet.engine.memory import Budget, budget, trim
from furet.engine.plan import (
    CHUNK,
    BackendName,
    Plan,
    Settings,
    draft_bytes,
    draft_context,
    make_plan,
    require_fit,
    settings,
)
from furet.errors import BadRequest, ModelFileError

if TYPE_CHECKING:
    from furet.convert import ModelFile
    from furet.families.family import Config, Family, Kind
    from furet.files.store import Progress
    from furet.ops.cached import CacheType
    from furet.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Loaded:
    """The parts of a model. Closing `file` ends their use.

    kind    what the family's models give
    draft   a second model that guesses what this one will say
    """

    file: ModelFile
    config: Config
    kind: Kind
    plan: Plan
    backend: Backend
    tokenizer: Tokenizer
    threads: int
    draft: LoadedDraft | None = None


@dataclass(frozen=True)
class LoadedDraft:
    """The parts of a second model.

    context     tokens of a sequence that it can follow
    """

    file: ModelFile
    backend: Backend
    context: int


def open_model(
    ref: str | Path,
    *,
    threads: int | None = None,
    memory: str | int | None = None,
    context: int | None = None,
    sequences: int = 1,
    chunk: int = CHUNK,
    backend: BackendName = "native",
    repack: bool = True,
    kv: CacheType = "f16",
    reserve: int = 0,
    draft: str | Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Loaded:
    """The parts of the model that `ref` names; the parameters are those of `furet.load`."""
    from furet.files.store import resolve

    wanted = settings(context, sequences, chunk, threads, backend, repack, reserve, kv)
    limit = budget(memory)
    with ExitStack() as opened:  # closes what was opened when anything goes wrong
        first = _opened(resolve(str(ref), progress=progress, offline=offline), opened)
        second = None
        if draft is not None:
            second = _opened(resolve(str(draft), progress=progress, offline=offline), opened)
        with uncollected():
            plan = _planned(first, second, wanted, limit)
            require_fit(plan, first.path.name)
            tokenizer = _read_tokenizer(first)
            if second is not None:
                require_same_tokens(tokenizer, _read_tokenizer(second))
            trim()  # the vocabulary of a new model is built from several times its size
            compiled = compile_backend(first.model, first.file, wanted, plan.context)
            loaded = second and _loaded_draft(second, wanted, plan.context, compiled)
        opened.pop_all()
    return Loaded(
        first.file, first.model.config, first.model.kind, plan, compiled, tokenizer, wanted.threads, loaded
    )


class _Opened(NamedTuple):
    path: Path
    file: ModelFile
    model: Family


def _opened(path: Path, opened: ExitStack) -> _Opened:
    from furet.convert import open_model as open_file
    from furet.families import read_model

    with uncollected():
        file = open_file(path)
        opened.callback(file.close)
        return _Opened(path, file, read_model(file, path))


def _planned(first: _Opened, second: _Opened | None, wanted: Settings, limit: Budget) -> Plan:
    """The plan for both; refuses what cannot guess, or cannot be guessed for."""
    from furet.ops.cache_shape import cache_shape
    from furet.ops.trace import trace

    if second is None:
        plan = make_plan(first.file, first.model, wanted, limit)
    else:
        for each, which in ((first, "draft: the model"), (second, "draft: the draft")):
            if each.model.kind != "decoder" or cache_shape(trace(each.model.forward)).states:
                raise BadRequest(
                    f"{which} must continue texts and keep no state: guesses are taken back", "load it without `draft`"
                )
        plan = make_plan(
            first.file, first.model, wanted, limit, partial(draft_bytes, second.file, second.model, wanted)
        )
    first.model.context = plan.context
    return plan


def _read_tokenizer(opened: _Opened) -> Tokenizer:
    from furet.families.finite import check_finite
    from furet.text.from_gguf import tokenizer_from_metadata

    check_finite(opened.file, opened.path)
    with _naming(opened.path):
        return tokenizer_from_metadata(opened.file.metadata)


def _loaded_draft(second: _Opened, wanted: Settings, context: int, beside: Backend) -> LoadedDraft:
    second.model.context = draft_context(second.model, context)
    backend = compile_backend(second.model, second.file, wanted, second.model.context, beside)
    return LoadedDraft(second.file, backend, second.model.context)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors of those who see only a part of the file its name."""
    try:
        yield
    except ModelFileError as error:
        if error.path is not None:
            raise
        raise ModelFileError(error.message, error.hint, path=path) from error
