"""What comes back: pieces while an answer is made, then the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from furet.sample.token_logprob import TokenLogprob

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class Piece:
    """What one token adds to an answer.

    text        whole characters; empty while one is incomplete, or while a stop string may be beginning
    token       its id; None for text that was held back until the end
    logprob     when asked for
    """

    text: str
    token: int | None = None
    logprob: TokenLogprob | None = None


@dataclass(frozen=True)
class Timings:
    """Where the time went; waiting for other requests and for the reader of a stream is not in it.

    prefill_tokens  of the prompt that were computed, in prefill_seconds, up to the logits of the first token
    cached_tokens   of the prompt that were held already
    decode_tokens   computed after the prompt, in decode_seconds; the last token of an answer never is
    guessed_tokens  of these, those that were guessed, and so computed together with the one before
    """

    prefill_tokens: int = 0
    cached_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    guessed_tokens: int = 0

    @property
    def prefill_rate(self) -> float:
        """Tokens per second; 0 when none were computed."""
        return self.prefill_tokens / self.prefill_seconds if self.prefill_seconds else 0.0

    @property
    def decode_rate(self) -> float:
        """Tokens per second; 0 when none were computed."""
        return self.decode_tokens / self.decode_seconds if self.decode_seconds else 0.0


@dataclass(frozen=True)
class Beam:
    """One of the best answers that a beam search has found.

    score   the sum of its tokens' log-probabilities, divided by (how many they are) ** length_penalty; the token that
            ended it is among them
    """

    text: str
    tokens: list[int]
    score: float
    finish_reason: FinishReason


@dataclass(frozen=True)
class Completion:
    """An answer.

    text            without the prompt and without special tokens
    tokens          ids; without the one that ended the answer
    logprobs        of every token, when asked for
    finish_reason   stop: the model or a stop string ended it; length: max_tokens or the context did
    prompt_tokens   how many the prompt has
    seed            the one that was used: with it, the same answer again
    stop            the stop string that ended it, if one did
    beams           of a beam search: the best answers, this one first
    """

    text: str
    tokens: list[int]
    logprobs: list[TokenLogprob] | None
    finish_reason: FinishReason
    prompt_tokens: int
    seed: int
    timings: Timings
    stop: str | None = None
    beams: tuple[Beam, ...] = ()
