"""From a reference to a model that can step: resolve, open, check, plan, compile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from furet.engine.backend import Backend, compile_backend
from furet.engine.memory import budget, trim
from furet.engine.plan import CHUNK, BackendName, Plan, make_plan, require_fit, settings
from furet.errors import ModelFileError

if TYPE_CHECKING:
    from furet.convert import ModelFile
    from furet.families.family import Config, Kind
    from furet.files.store import Progress
    from furet.ops.cached import CacheType
    from furet.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Loaded:
    """The parts of a model. Closing `file` ends their use.

    kind    what the family's models give
    """

    file: ModelFile
    config: Config
    kind: Kind
    plan: Plan
    backend: Backend
    tokenizer: Tokenizer
    threads: int


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
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Loaded:
    """The parts of the model that `ref` names; the parameters are those of `furet.load`."""
    from furet.convert import open_model as open_file
    from furet.families import read_model
    from furet.families.finite import check_finite
    from furet.files.store import resolve
    from furet.text.from_gguf import tokenizer_from_metadata

    wanted = settings(context, sequences, chunk, threads, backend, repack, reserve, kv)
    limit = budget(memory)
    path = resolve(str(ref), progress=progress, offline=offline)
    file = open_file(path)
    try:
        model = read_model(file, path)
        plan = make_plan(file, model, wanted, limit)
        model.context = plan.context
        require_fit(plan, path.name)
        check_finite(file, path)
        with _naming(path):
            tokenizer = tokenizer_from_metadata(file.metadata)
        trim()  # the vocabulary of a new model is built from several times its size
        compiled = compile_backend(model, file, wanted, plan.context)
        return Loaded(file, model.config, model.kind, plan, compiled, tokenizer, wanted.threads)
    except BaseException:
        file.close()
        raise


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Give errors of those who see only a part of the file its name."""
    try:
        yield
    except ModelFileError as error:
        if error.path is not None:
            raise
        raise ModelFileError(error.message, error.hint, path=path) from error
