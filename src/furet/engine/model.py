"""A loaded model: text or tokens in, text and tokens out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from furet.engine.answer import Completion
from furet.engine.generate import Progress, Task, generate
from furet.engine.leases import Leases
from furet.engine.memory import budget, readable
from furet.engine.request import Options, Request
from furet.engine.session import Session
from furet.engine.stream import Draft, Stream
from furet.errors import BadRequest, ContextOverflow, DoesNotFit, ModelFileError
from furet.sample.draws import fresh_seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self, Unpack

    from furet.engine.load import Loaded
    from furet.engine.plan import Plan
    from furet.families.decoder import Config
    from furet.text.tokenizer import Tokenizer

Prompt = str | Sequence[int]
ROOM_FOR_LOGITS = 64 << 20  # bytes of logits that are handed out without asking what the machine leaves


class Model:
    """A model in memory. Every method may be called from any thread; requests take turns.

    path        its (first) file
    config      sizes and constants
    memory      the plan it was loaded by
    notes       what was decided on the caller's behalf, for people
    context     tokens of prompt and answer together
    threads     that compute
    tokenizer   text to tokens and back
    metadata    of its file
    """

    def __init__(self, loaded: Loaded, seed: int | None = None) -> None:
        self._file = loaded.file
        self._seed = Request(seed=seed).seed
        self._closed = False
        self._steps = Lock()
        self.config: Config = loaded.config
        self.memory: Plan = loaded.plan
        self.notes: tuple[str, ...] = loaded.plan.notes
        self.context = loaded.plan.context
        self.threads = loaded.threads
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.vocab = loaded.backend.vocab
        sessions = [Session(loaded.backend, self._steps, self.context) for _ in range(self.memory.sequences)]
        self.leases = Leases(sessions)

    @property
    def path(self) -> Path:
        return self._file.path

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self._file.metadata

    def generate(
        self, prompt: Prompt, *, progress: Progress | None = None, **options: Unpack[Options]
    ) -> Completion:
        """Continue a prompt and return the whole answer.

        prompt      text, in which the names of special tokens count as these, or token ids
        progress    called with tokens of the prompt done and in all
        options     the fields of `Request`
        raises      BadRequest, ContextOverflow; ModelFileError for weights not finite, or a changed file
        """
        stream = self.stream(prompt, progress=progress, **options)
        try:
            for _ in stream:
                pass
        finally:
            stream.close()
        return stream.completion

    def stream(
        self, prompt: Prompt, *, progress: Progress | None = None, **options: Unpack[Options]
    ) -> Stream:
        """As `generate`, but piece by piece as the answer is made; nothing runs before the first."""
        return self.answer(self.tokens(prompt), Request(**options), progress=progress)

    def logits(self, tokens: Prompt) -> NDArray[np.float32]:
        """The logits that follow each token. [T] -> [T, V]

        raises  as `generate`; DoesNotFit when the machine does not leave the memory for them
        """
        ids = self.tokens(tokens)
        self._require_room(len(ids))
        self._require_memory(4 * len(ids) * self.vocab)
        out = np.empty((len(ids), self.vocab), dtype=np.float32)
        self.check()
        lease = self.leases.take(ids)
        assert lease is not None and lease.session is not None, "nobody can cancel it"
        try:
            lease.session.fill_all(ids, out)
        finally:
            self.leases.give_back(lease)
        self.check_logits(out)
        return out

    def tokens(self, prompt: Prompt) -> list[int]:
        """The token ids of a prompt, checked; an empty prompt is the BOS token.

        raises  BadRequest for ids outside the vocabulary, and for an empty prompt of a model without BOS
        """
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else _ids(prompt, self.vocab)
        if ids:
            return ids
        if self.tokenizer.bos_id is None:
            raise BadRequest("the prompt is empty", "this model has no token that begins a text")
        return [self.tokenizer.bos_id]

    def answer(
        self,
        prompt: list[int],
        request: Request,
        *,
        ends: frozenset[int] = frozenset(),
        continuing: bool = True,
        progress: Progress | None = None,
        finished: Callable[[Completion], None] | None = None,
    ) -> Stream:
        """The stream of an answer to checked tokens.

        ends        tokens that end it besides the model's own
        continuing  a space that the answer begins with belongs to it
        finished    called with the answer however it ended, once it was begun
        """
        room = self._require_room(len(prompt))
        self.check()
        seed = request.seed if request.seed is not None else self._seed
        draft = Draft(len(prompt), fresh_seed() if seed is None else int(seed), request.logprobs is not None)
        task = Task(
            prompt=prompt,
            request=request,
            limit=room if request.max_tokens is None else min(room, int(request.max_tokens)),
            ends=frozenset() if request.ignore_eos else self.tokenizer.stop_ids | ends,
            progress=progress,
        )
        detokenizer = self.tokenizer.detokenizer(continuing=continuing)
        return Stream(draft, generate(self, task, detokenizer, draft), finished)

    def check(self) -> None:
        """Raise what forbids the next step: the model was closed, or its file was changed."""
        try:
            self._file.check_unchanged()
        except (OSError, ValueError):  # another thread has closed the file, or is about to say so
            if not self._closed:
                raise
        if self._closed:
            raise BadRequest("the model is closed", "load it again")

    def check_logits(self, logits: NDArray[np.float32]) -> None:
        """Raise ModelFileError for logits that are no numbers."""
        # The extremes of an array with NaN are NaN; looking at every value would take an array of its own.
        if not (np.isfinite(logits.max()) and np.isfinite(logits.min())):
            raise ModelFileError(
                "the logits are not finite: the weights hold NaN, infinity or values beyond all measure",
                "the file is damaged or badly converted: get it again, or from another source",
                path=self.path,
            )

    def close(self) -> None:
        """Give the memory back; requests that are running end with BadRequest."""
        self._closed = True
        with self._steps:  # a step that is running reads the file
            self.leases.clear()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.path.name}: context of {self.context} tokens, {readable(self.memory.total)}>"

    def _require_room(self, prompt_tokens: int) -> int:
        """Tokens that an answer may have; ContextOverflow when there are none."""
        if prompt_tokens <= self.context:
            return self.context - prompt_tokens + 1  # the last one is not fed back
        could = self.memory.largest_context
        more = f"load it with a context of at least {prompt_tokens}" if could >= prompt_tokens else ""
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens, the context holds {self.context}", more or "shorten it"
        )

    def _require_memory(self, size: int) -> None:
        left = budget().bytes if size > ROOM_FOR_LOGITS else size
        if size > left:
            says = f"the logits of {size // (4 * self.vocab)} tokens take {readable(size)}"
            raise DoesNotFit(f"{says}, and {readable(left)} is left", "ask for fewer tokens")


def _ids(tokens: Sequence[int], vocab: int) -> list[int]:
    if isinstance(tokens, bytes | bytearray):
        raise BadRequest("the prompt is bytes, wanted text or token ids", "decode it as UTF-8 first")
    try:
        ids = [index(token) for token in tokens]
    except TypeError as error:
        raise BadRequest(f"the prompt is neither text nor token ids: {error}") from None
    for place, token in enumerate(ids):
        if not 0 <= token < vocab:
            raise BadRequest(f"token {token} at place {place} of the prompt: wanted 0 to {vocab - 1}")
    return ids
