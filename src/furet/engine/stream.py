"""An answer in the making."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from furet.engine.answer import Beam, Completion, FinishReason, Piece, Timings
from furet.errors import BadRequest
from furet.sample.token_logprob import TokenLogprob


class Draft:
    """The record that generation keeps of an answer."""

    def __init__(self, prompt_tokens: int, seed: int, logprobs: bool) -> None:
        self.prompt_tokens = prompt_tokens
        self.seed = seed
        self.text: list[str] = []
        self.tokens: list[int] = []
        self.logprobs: list[TokenLogprob] | None = [] if logprobs else None
        self.timings = Timings()
        self.finish_reason: FinishReason = "cancelled"  # until it is something better
        self.stop: str | None = None
        self.beams: tuple[Beam, ...] = ()
        self.cancelled = False  # set by any thread, read between steps
        self.woken: Callable[[], None] = lambda: None  # whoever computes, to see it
        self.ended = False

    def cancel(self) -> None:
        """Make the answer end within a step."""
        self.cancelled = True
        self.woken()

    def add(self, piece: Piece) -> Piece:
        """Note a piece and hand it on."""
        self.text.append(piece.text)
        if piece.token is not None:
            self.tokens.append(piece.token)
        if self.logprobs is not None and piece.logprob is not None:
            self.logprobs.append(piece.logprob)
        return piece

    def completion(self) -> Completion:
        """The answer as it stands."""
        return Completion(
            text="".join(self.text),
            tokens=list(self.tokens),
            logprobs=self.logprobs,
            finish_reason=self.finish_reason,
            prompt_tokens=self.prompt_tokens,
            seed=self.seed,
            timings=self.timings,
            stop=self.stop,
            beams=self.beams,
        )


class Stream(Iterator[Piece]):
    """The pieces of an answer, made a little ahead of whoever reads them; nothing is before the first is asked for.

    Leaving it early is allowed: `close` it, or forget it. `cancel` may be called from any thread and takes
    effect within one step; the stream then ends with the reason "cancelled".
    """

    def __init__(
        self,
        draft: Draft,
        pieces: Generator[Piece, None, None],
        finished: Callable[[Completion], None] | None = None,
    ) -> None:
        self._draft = draft
        self._pieces = _watched(draft, pieces, finished)

    def __next__(self) -> Piece:
        return next(self._pieces)

    def cancel(self) -> None:
        """Make it end."""
        self._draft.cancel()

    def close(self) -> None:
        """End it now, on the thread that reads it."""
        self._pieces.close()

    @property
    def timings(self) -> Timings:
        """Where the time went, until the last piece; of a prompt nothing is known before the first."""
        return self._draft.timings

    @property
    def completion(self) -> Completion:
        """The whole answer, or as much as there was when it ended early; BadRequest before that."""
        if not self._draft.ended:
            raise BadRequest("the answer is not complete", "read the stream to its end, or close it, first")
        return self._draft.completion()


def _watched(
    draft: Draft, pieces: Generator[Piece, None, None], finished: Callable[[Completion], None] | None
) -> Generator[Piece, None, None]:
    """The pieces; however they end, the draft and `finished` learn of it."""
    # No method of the stream: a generator that held its stream would not end when the stream is forgotten.
    try:
        yield from pieces
    finally:
        draft.ended = True
        if finished is not None:
            finished(draft.completion())
