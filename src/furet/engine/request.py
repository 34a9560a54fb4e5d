"""What a caller may ask for in one answer, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from furet.engine.methods import check_method
from furet.errors import BadRequest
from furet.sample.settings import Sampling, whole

MAX_TOKENS = 512  # of an answer, unless the caller says otherwise
MAX_STOPS = 16
MAX_STOP_LENGTH = 1024  # characters
MAX_ALTERNATIVES = 100
FORM_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "json_schema": ((Mapping, bool, str), "a schema: an object, a boolean or their text"),
    "regex": ((str,), "a text"),
    "choices": ((Sequence,), "a list of texts"),
    "grammar": ((str,), "a text"),
}
FORMS = tuple(FORM_TYPES)


class Options(TypedDict, total=False):
    """The keyword arguments of `generate`, `stream` and `say`: the fields of `Request`."""

    max_tokens: int | None
    temperature: float
    dynamic_temperature: float
    dynamic_exponent: float
    top_k: int
    top_p: float
    min_p: float
    tail_free: float
    typical_p: float
    top_n_sigma: float
    xtc_probability: float
    xtc_threshold: float
    mirostat: int
    mirostat_tau: float
    mirostat_eta: float
    repeat_penalty: float | None
    repeat_last_n: int
    frequency_penalty: float
    presence_penalty: float
    penalise_newline: bool
    dry_multiplier: float
    dry_base: float
    dry_allowed_length: int
    dry_last_n: int
    dry_breakers: Sequence[str]
    logit_bias: Mapping[int, float]
    chain: Sequence[str]
    seed: int | None
    json_schema: object
    regex: str | None
    choices: Sequence[str] | None
    grammar: str | None
    stop: str | Sequence[str]
    logprobs: int | None
    ignore_eos: bool
    speculate: bool
    beams: int
    length_penalty: float
    early_stopping: bool | Literal["never"]
    guidance: float
    negative_prompt: str | None
    penalty_alpha: float


@dataclass(frozen=True)
class Request(Sampling):
    """How one answer is made; the fields of `Sampling` and these.

    max_tokens  at most so many; None: until the context is full
    stop        texts that end the answer and are left out of it
    logprobs    give log-probabilities, and of so many alternatives for each token; None: none
    ignore_eos  go on after tokens that end an answer
    speculate   guess tokens that repeat the text or must follow, as far as that pays; the answer stays the same
    json_schema the answer is JSON of this schema, an object or its text; {} admits all JSON
    regex       the answer matches this from its beginning to its end
    choices     the answer is one of these texts
    grammar     the answer follows this grammar, in GBNF or in Lark's notation. At most one of the four is given
    beams       search for the most probable answer with so many at a time; 1: choose token by token
    length_penalty  of beams: the sum of log-probabilities is divided by length ** this; above 0 favours long answers
    early_stopping  of beams: True: end when as many answers are complete; False: when the best unfinished one is not
                better at its present length; "never": when it cannot become better at any length
    guidance    how much more what the prompt adds counts; 1: no more than it does
    negative_prompt  what the answer is guided away from; None: the last token of the prompt alone
    penalty_alpha  contrastive search: how much likeness to earlier tokens counts, against probability; 0: none
    raises      BadRequest naming the field
    """

    max_tokens: int | None = MAX_TOKENS
    stop: str | Sequence[str] = ()
    logprobs: int | None = None
    ignore_eos: bool = False
    speculate: bool = True
    json_schema: object = None
    regex: str | None = None
    choices: Sequence[str] | None = None
    grammar: str | None = None
    beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    guidance: float = 1.0
    negative_prompt: str | None = None
    penalty_alpha: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_tokens is not None:
            whole("max_tokens", self.max_tokens, 1)
        if self.logprobs is not None:
            whole("logprobs", self.logprobs)
            if self.logprobs > MAX_ALTERNATIVES:
                raise BadRequest(f"logprobs: got {self.logprobs}, wanted at most {MAX_ALTERNATIVES}")
        for text in self.stops:
            if not isinstance(text, str) or not 0 < len(text) <= MAX_STOP_LENGTH:
                raise BadRequest(f"stop: got {text!r:.60}, wanted texts of 1 to {MAX_STOP_LENGTH} characters")
        if len(self.stops) > MAX_STOPS:
            raise BadRequest(f"stop: got {len(self.stops)} texts, wanted at most {MAX_STOPS}")

        for name, (types, wanted) in FORM_TYPES.items():
            value = getattr(self, name)
            if value is not None and not isinstance(value, types):
                raise BadRequest(f"{name}: got {value!r:.60}, wanted {wanted}")
        forms = [name for name in FORMS if getattr(self, name) is not None]
        if len(forms) > 1:
            raise BadRequest(f"{forms[0]} and {forms[1]}: an answer has one form, give one of them")
        check_method(self)

    @property
    def form(self) -> tuple[str, object] | None:
        """The form that the answer must have: the name of a field and its value."""
        return next(((name, getattr(self, name)) for name in FORMS if getattr(self, name) is not None), None)

    @property
    def stops(self) -> tuple[str, ...]:
        """`stop` as a tuple."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
