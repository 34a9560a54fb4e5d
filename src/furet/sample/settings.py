"""What a caller may ask of sampling, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from numbers import Integral, Real

from furet.errors import BadRequest

ORDER = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "tail_free",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
REPEAT_PENALTY = 1.1  # where nothing is said and the temperature is not 0
MAX_BIAS = 100.0
MAX_BIASES = 4096
MAX_BREAKERS = 64
MAX_BREAKER_LENGTH = 64  # characters
MOST = (1 << 63) - 1  # of a count that nothing else bounds: the core has no larger ones


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; the defaults are those that users of GGUF files are used to.

    A row of logits goes through the filters named in `chain`, from left to right, each seeing what those before it
    have left. Then one token is drawn.

    temperature             divides the logits; below 1 sharper, above 1 flatter; 0: always the most probable token
    dynamic_temperature     the temperature moves by up to this, with how undecided the model is; 0: it does not
    dynamic_exponent        of the entropy by which it moves
    top_k                   keep this many of the most probable tokens; 0: all
    top_p                   keep the most probable tokens until they hold this share of the probability; 1: all
    min_p                   keep tokens at least this probable relative to the most probable one; 0: all
    tail_free               keep the most probable up to this share of the bends of the falling curve; 1: all
    typical_p               keep the least surprising in either way until they hold this share; 1: all
    top_n_sigma             keep logits at most so many standard deviations below the highest; 0: all
    xtc_probability         how often the most probable are left out where several reach the threshold; 0: never
    xtc_threshold           the least probability of those; the least probable of them stays
    mirostat                1 or 2: hold the surprise of tokens near a target, instead of every filter above but the
                            temperature; 0: do not
    mirostat_tau            that target, in bits
    mirostat_eta            how fast the cut moves
    repeat_penalty          divides the logits of recent tokens; 1: not; None: 1.1, but 1 at temperature 0
    repeat_last_n           how many tokens are recent, for this and the next two; -1: all of prompt and answer
    frequency_penalty       taken from their logits for each time that they occurred
    presence_penalty        taken from their logits once
    penalise_newline        whether the penalties hold for newlines, too
    dry_multiplier          strength of the penalty on going on with a repeated sequence; 0: none
    dry_base                by which it grows with each token of the sequence
    dry_allowed_length      sequences shorter than this are free
    dry_last_n              how far back they are looked for; -1: all of prompt and answer
    dry_breakers            texts beyond which no sequence reaches
    logit_bias              added to the logits of tokens, by id, before everything
    chain                   the order, by the names of the settings above and "penalties", "dry", "xtc"
    seed                    0 to 2^64 - 1, the same seed gives the same answer; None: a new one for every answer
    raises                  BadRequest naming the field
    """

    temperature: float = 0.8
    dynamic_temperature: float = 0.0
    dynamic_exponent: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.0
    tail_free: float = 1.0
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    repeat_penalty: float | None = None
    repeat_last_n: int = 64
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalise_newline: bool = True
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_last_n: int = -1
    dry_breakers: Sequence[str] = ("\n", ":", '"', "*")
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    chain: Sequence[str] = ORDER
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("temperature", "dynamic_temperature", "dynamic_exponent", "top_n_sigma", "dry_multiplier"):
            number(name, getattr(self, name), 0)
        for name in ("top_p", "min_p", "tail_free", "typical_p", "xtc_probability", "xtc_threshold", "mirostat_eta"):
            number(name, getattr(self, name), 0, 1)
        number("mirostat_tau", self.mirostat_tau, 0, 100)
        if self.repeat_penalty is not None:
            number("repeat_penalty", self.repeat_penalty, 0.01, 100)
        number("frequency_penalty", self.frequency_penalty, -100, 100)
        number("presence_penalty", self.presence_penalty, -100, 100)
        number("dry_base", self.dry_base, 1, 100)
        for name, least, most in (
            ("top_k", 0, MOST),
            ("mirostat", 0, 2),
            ("repeat_last_n", -1, MOST),
            ("dry_last_n", -1, MOST),
            ("dry_allowed_length", 1, MOST),
            ("seed", 0, (1 << 64) - 1),
        ):
            if name != "seed" or self.seed is not None:
                whole(name, getattr(self, name), least, most)
        if not isinstance(self.penalise_newline, bool):
            raise BadRequest(f"penalise_newline: got {self.penalise_newline!r}, wanted True or False")
        self._check_breakers()
        self._check_biases()
        self._check_chain()

    @property
    def repetition(self) -> float:
        """The repetition penalty that holds."""
        if self.repeat_penalty is None:
            return REPEAT_PENALTY if self.temperature else 1.0
        return float(self.repeat_penalty)

    def _check_breakers(self) -> None:
        breakers = self.dry_breakers
        if isinstance(breakers, str) or not isinstance(breakers, Sequence) or len(breakers) > MAX_BREAKERS:
            raise BadRequest(f"dry_breakers: got {breakers!r:.60}, wanted at most {MAX_BREAKERS} texts")
        for text in breakers:
            if not isinstance(text, str) or not 0 < len(text) <= MAX_BREAKER_LENGTH:
                raise BadRequest(f"dry_breakers: got {text!r:.60}, wanted 1 to {MAX_BREAKER_LENGTH} characters")

    def _check_biases(self) -> None:
        if not isinstance(self.logit_bias, Mapping) or len(self.logit_bias) > MAX_BIASES:
            raise BadRequest(f"logit_bias: wanted at most {MAX_BIASES} token ids, each with a number")
        for token, bias in self.logit_bias.items():
            whole("logit_bias: a token", token)
            number(f"logit_bias of token {token}", bias, -MAX_BIAS, MAX_BIAS)

    def _check_chain(self) -> None:
        for name in self.chain:
            if name not in ORDER:
                raise BadRequest(f"chain: got {name!r:.60}, wanted names of {', '.join(ORDER)}")
        if isinstance(self.chain, str) or len(set(self.chain)) < len(self.chain):
            raise BadRequest("chain: wanted a sequence of names, each at most once")


def whole(name: str, value: object, least: int = 0, most: int = MOST) -> None:
    """Raise BadRequest unless the value is a whole number within the bounds."""
    if type(value) is int and least <= value <= most:
        return  # nearly always; abstract classes take ten times as long
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise BadRequest(f"{name}: got {value!r:.60}, wanted a whole number")
    if int(value) < least:
        raise BadRequest(f"{name}: got {_shown(value)}, wanted at least {least}")
    if int(value) > most:
        raise BadRequest(f"{name}: got {_shown(value)}, wanted at most {most}")


def number(name: str, value: object, least: float, most: float = inf) -> None:
    """Raise BadRequest unless the value is a finite number within the bounds."""
    if type(value) is float and least <= value <= most and value != inf:
        return
    wanted = f"a number of at least {least}" if most == inf else f"a number from {least} to {most}"
    if not isinstance(value, Real) or isinstance(value, bool):
        raise BadRequest(f"{name}: got {value!r:.60}, wanted {wanted}")
    try:
        found = float(value)
    except OverflowError:  # a whole number, or a fraction, beyond all floats
        found = inf
    if not isfinite(found) or not least <= found <= most:
        raise BadRequest(f"{name}: got {_shown(value)}, wanted {wanted}")


def _shown(value: Real) -> str:
    try:
        return f"{value!s:.60}"
    except ValueError:  # Python writes out no more than some thousands of digits
        return "a number of thousands of digits"
