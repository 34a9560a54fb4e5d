"""A loaded model: text or tokens in, text and tokens out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from furet.engine.answer import Completion, Piece
from furet.engine.beams import searched
from furet.engine.contrast import contrasted
from furet.engine.drafting import Drafter, Drafts
from furet.engine.generate import Progress, Task
from furet.engine.guidance import guided
from furet.engine.hand import Hands
from furet.engine.job import Job, pieces
from furet.engine.memory import budget, readable
from furet.engine.outputs import Outputs, compute
from furet.engine.overhead import forms_bytes
from furet.engine.paged import PagedCaches
from furet.engine.request import Options, Request
from furet.engine.scheduler import Scheduler
from furet.engine.steps import LONGEST
from furet.engine.stream import Draft, Stream
from furet.engine.whole import WholeCaches
from furet.errors import BadRequest, ContextOverflow, DoesNotFit, ModelFileError
from furet.sample.chain import Chooser
from furet.sample.constraint import Guides
from furet.sample.draws import fresh_seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from typing_extensions import Self, Unpack

    from furet.engine.load import Loaded
    from furet.engine.plan import Plan
    from furet.families.family import Config, Kind
    from furet.text.tokenizer import Tokenizer

Prompt = str | Sequence[int]
Vectors = NDArray[np.float32]
SMALL = 64 << 20  # bytes beside the plan that are taken without asking what the machine leaves


class Model:
    """A model in memory. Every method may be called from any thread; requests are computed together.

    path        its (first) file
    config      sizes and constants
    kind        what it gives: a "decoder" continues a text, an "encoder" embeds texts, an "answer" model has both
                halves: one reads a text, the other answers it
    memory      the plan it was loaded by
    notes       what was decided on the caller's behalf, for people
    context     tokens of prompt and answer together
    threads     that compute
    tokenizer   text to tokens and back
    metadata    of its file
    """

    def __init__(self, loaded: Loaded, seed: int | None = None) -> None:
        self._file = loaded.file
        self._files = [loaded.file, *([loaded.draft.file] if loaded.draft else [])]
        self._seed = Request(seed=seed).seed
        self._closed = False
        self.config: Config = loaded.config
        self.kind: Kind = loaded.kind
        self.memory: Plan = loaded.plan
        self.notes: tuple[str, ...] = loaded.plan.notes
        self.context = loaded.plan.context
        self.threads = loaded.threads
        self.tokenizer: Tokenizer = loaded.tokenizer
        self.vocab = loaded.backend.vocab
        self._width = loaded.backend.width
        self._caches = (PagedCaches if loaded.backend.paged else WholeCaches)(
            loaded.backend, self.context, self.memory.sequences
        )
        self._scheduler = Scheduler(loaded.backend, self._caches, self.check, self.check_logits)
        self._guides = Guides(self.tokenizer, self.vocab)
        self._drafter: Drafter | None = None
        if (second := loaded.draft) is not None:
            self._drafter = Drafter(second.backend, second.context, self.memory.sequences, self.vocab)

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

    def logits(self, tokens: Prompt, *, source: Prompt | None = None) -> NDArray[np.float32]:
        """The logits that follow each token. [T] -> [T, V]

        source  the text that the tokens are an answer to, for a model with an encoder
        raises  as `generate`; DoesNotFit when the machine does not leave the memory for them
        """
        self._require_kind("decoder", "answer")
        if (source is not None) != (self.kind == "answer"):
            raise BadRequest("source: wanted for a model that answers a text, and for no other")
        ids = self.tokens(tokens)
        self._require_room(len(ids))
        _require_memory(4 * len(ids) * self.vocab, f"the logits of {len(ids)} tokens")
        return self._outputs(ids, None if source is None else self._source(self.tokens(source)))

    def embed(self, texts: Prompt | Sequence[str], *, normalise: bool = True, truncate: bool = False) -> Vectors:
        """What each text means, as a vector. -> [texts, C] float32; of a single text [C]

        texts       one text or several, or the token ids of one
        normalise   to length 1, so that a dot product is the cosine
        truncate    cut texts that are longer than the context; otherwise they are refused
        raises      BadRequest for a model that is no encoder; ContextOverflow
        """
        self._require_kind("encoder")
        several = not isinstance(texts, str) and all(isinstance(text, str) for text in texts)
        vectors = [self._embedded(text, truncate) for text in (texts if several else [texts])]
        found = np.array(vectors, dtype=np.float64).reshape(len(vectors), self.vocab)
        if normalise:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found.astype(np.float32) if several else found[0].astype(np.float32)

    def tokens(self, prompt: Prompt) -> list[int]:
        """The token ids of a prompt, checked; an empty prompt is the BOS token.

        raises  BadRequest for ids outside the vocabulary, and for an empty prompt of a model without BOS
        """
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else _ids(prompt, self.config.vocab)
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

        ends        tokens that end it besides the model's own; where it must have a form, only those that are no text
        continuing  a space that the answer begins with belongs to it
        finished    called with the answer however it ended, once it was begun
        """
        self._require_kind("decoder", "answer")
        source = self._source(prompt) if self.kind == "answer" else None
        begins = prompt if source is None else [self.config.start]  # type: ignore[attr-defined]
        negative = self._negative(begins, request)
        limit = self._limit(begins, negative, request)
        self.check()
        for token in request.logit_bias:
            if token >= self.vocab:
                raise BadRequest(f"logit_bias: token {token} is outside the vocabulary of {self.vocab}")
        wanted = request.seed if request.seed is not None else self._seed
        seed = fresh_seed() if wanted is None else int(wanted)
        draft = Draft(len(prompt), seed, request.logprobs is not None)
        task = Task(
            prompt=begins,
            source=source,
            request=request,
            chooser=self._chooser(request, seed),
            limit=limit,
            ends=self._ends(ends, request),
            progress=progress,
            drafts=None if self._drafter is None else Drafts(self._drafter),
        )
        return Stream(draft, self._pieces(task, negative, draft, continuing), finished)

    def keep(self, tokens: Sequence[int], path: Path) -> int:
        """Write the keys and values of a text to a file, as far as they are known; returns the tokens they are of.

        Nothing is written where none are known, and for models that hold sequences as a whole. Raises OSError.
        """
        from furet.engine.kept import identity, keep

        if not isinstance(self._caches, PagedCaches):
            return 0
        return keep(self._scheduler, self._caches, identity(self.path, self.memory.kv), tokens, path)

    def recall(self, path: Path) -> int:
        """Take up what `keep` has written, so that no prompt with this beginning is computed anew; returns its tokens.

        0 where the file is not there, damaged, or of another model.
        """
        from furet.engine.kept import identity, recall

        if not isinstance(self._caches, PagedCaches):
            return 0
        return recall(self._scheduler, self._caches, identity(self.path, self.memory.kv), path)

    def prepare(self) -> None:
        """Have done now what makes answers faster, if nobody asks for one within a moment; returns at once.

        Otherwise it is done while answers are made and after them.
        """
        with suppress(RuntimeError):  # no threads: so be it
            self._scheduler.wake()

    def check(self) -> None:
        """Raise what forbids the next step: the model was closed, or its file was changed."""
        try:
            for file in self._files:
                file.check_unchanged()
        except (OSError, ValueError):  # another thread has closed the file, or is about to say so
            if not self._closed:
                raise
        if self._closed:
            raise BadRequest("the model is closed", "load it again")

    def check_logits(self, logits: NDArray[np.float32]) -> None:
        """Raise ModelFileError for logits that are no numbers."""
        from furet import _core

        if not _core.all_finite(logits.reshape(-1)):
            raise ModelFileError(
                "the logits are not finite: the weights hold NaN, infinity or values beyond all measure",
                "the file is damaged or badly converted: get it again, or from another source",
                path=self.path,
            )

    def close(self) -> None:
        """Give the memory back; requests that are running end with BadRequest."""
        self._closed = True
        self._scheduler.call(self._close_files)  # not within a step, which reads them
        self._scheduler.wake()

    def _close_files(self) -> None:
        for file in self._files:
            file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.path.name}: context of {self.context} tokens, {readable(self.memory.total)}>"

    def _pieces(
        self, task: Task, negative: list[int], draft: Draft, continuing: bool
    ) -> Generator[Piece, None, None]:
        """What makes the answer, by the method that the request asks for."""
        new_detokenizer = partial(self.tokenizer.detokenizer, continuing=continuing)
        hands = partial(Hands, self._scheduler, draft, self.vocab, task.progress)
        if task.request.beams > 1:
            return searched(hands(), task, new_detokenizer, draft)
        if task.request.penalty_alpha:
            return contrasted(hands(), task, new_detokenizer(), draft, self._width)
        if negative:
            return guided(hands(), task, negative, new_detokenizer(), draft)
        return pieces(self._scheduler, Job(task, new_detokenizer(), draft), task, draft)

    def _limit(self, prompt: list[int], negative: list[int], request: Request) -> int:
        """Tokens that the answer may have at most."""
        room = min(self._require_room(len(prompt)), self._require_room(len(negative)))
        if request.penalty_alpha:
            self._require_kind("decoder")
            if not self._width:
                raise BadRequest("penalty_alpha: this model does not show what its logits are made of")
            room = self._require_room(len(prompt) + 1)  # the last token is computed as well
        limit = room if request.max_tokens is None else min(room, int(request.max_tokens))
        if request.penalty_alpha:
            tokens = len(prompt) + limit
            _require_memory(4 * tokens * self._width, f"what {tokens} tokens are compared by")
        return limit

    def _ends(self, others: frozenset[int], request: Request) -> frozenset[int]:
        """The tokens that end an answer."""
        if request.ignore_eos:
            return frozenset()
        return self.tokenizer.stop_ids | (others if request.form is None else others & self.tokenizer.special_ids)

    def _negative(self, prompt: list[int], request: Request) -> list[int]:
        """The tokens that an answer is guided away from; none where it is not guided."""
        if request.guidance == 1:
            return []
        self._require_kind("decoder")
        return prompt[-1:] if request.negative_prompt is None else self.tokens(request.negative_prompt)

    def _outputs(self, ids: list[int], source: list[int] | None = None) -> NDArray[np.float32]:
        """What a step gives for every token. [T] -> [T, V], of an encoder [T, C]"""
        out = np.empty((len(ids), self.vocab), dtype=np.float32)
        self.check()
        compute(self._scheduler, Outputs(ids, out, source, whole=self.kind == "encoder"))
        return out

    def _embedded(self, text: Any, truncate: bool) -> NDArray[np.float64]:
        """The vector of one text, of any length. -> [C]"""
        ids = self.tokens(text)
        if truncate and len(ids) > self.context:
            ids = [*ids[: self.context - 1], ids[-1]]  # the last one ends the text
        self._require_room(len(ids))
        rows = self._outputs(ids).astype(np.float64)
        pooling = self.config.pooling  # type: ignore[attr-defined]
        return np.asarray(rows.mean(axis=0) if pooling == "mean" else rows[0 if pooling == "first" else -1])

    def _chooser(self, request: Request, seed: int) -> Chooser:
        if request.form and not self._guides.built:
            _require_memory(forms_bytes(self.vocab), "the tables of forms", "ask for an answer of no form")
        guide = self._guides.guide(*request.form) if request.form else None
        return Chooser(request, seed, self._text_of, guide, self.tokenizer.special_ids)

    def _text_of(self, token: int) -> str:
        """What a token stands for, alone."""
        return self.tokenizer.token_bytes(token).decode("utf-8", "replace")

    def _source(self, prompt: list[int]) -> list[int]:
        """The tokens of a text that the encoder has room for; ContextOverflow for a longer one."""
        room = min(self.context, LONGEST)
        if len(prompt) > room:
            raise ContextOverflow(f"the text has {len(prompt)} tokens, the encoder reads {room}", "shorten it")
        return prompt

    def _require_kind(self, *kinds: str) -> None:
        if self.kind not in kinds:
            can = {"encoder": "embeds texts: use `embed`", "decoder": "continues texts: use `generate`"}
            raise BadRequest(f"this model {can.get(self.kind, 'answers texts: use `generate`')}")

    def _require_room(self, prompt_tokens: int) -> int:
        """Tokens that an answer may have; ContextOverflow when there are none."""
        if prompt_tokens <= self.context:
            return self.context - prompt_tokens + 1  # the last one is not fed back
        could = self.memory.largest_context
        more = f"load it with a context of at least {prompt_tokens}" if could >= prompt_tokens else ""
        raise ContextOverflow(
            f"the prompt has {prompt_tokens} tokens, the context holds {self.context}", more or "shorten it"
        )


def _require_memory(size: int, what: str, hint: str = "ask for fewer tokens") -> None:
    left = budget().bytes if size > SMALL else size
    if size > left:
        raise DoesNotFit(f"{what} take {readable(size)}, and {readable(left)} is left", hint)


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
