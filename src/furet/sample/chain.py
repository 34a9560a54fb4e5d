"""The chain: from one row of logits to a token, for one answer.

The order is that of the settings' `chain`. A filter that is switched off costs nothing, and none orders the whole
vocabulary: see candidates.py. What they do is in filters.py, penalties.py, dry.py, temperature.py and mirostat.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from furet import _core
from furet.sample import filters, mirostat, temperature
from furet.sample.candidates import Candidates, Logits, running
from furet.sample.constraint import Guide, admitted
from furet.sample.draws import uniform
from furet.sample.dry import penalise_repeats
from furet.sample.penalties import add_biases, penalise
from furet.sample.settings import Sampling

TextOf = Callable[[int], str]
"""The text that a token stands for, alone."""

FILTERS: dict[str, tuple[Callable[[Candidates, Any], Candidates], float]] = {
    "top_n_sigma": (filters.top_n_sigma, 0),
    "top_k": (filters.top_k, 0),
    "tail_free": (filters.tail_free, 1),
    "typical_p": (filters.typical_p, 1),
    "top_p": (filters.top_p, 1),
    "min_p": (filters.min_p, 0),
}
"""Those that one setting of the same name steers, and the value at which that keeps all."""

CUTS = ("top_p", "min_p", "temperature")
"""What the core does to the most probable tokens."""

MOST_OF_TOP = 1024  # tokens that are ordered in one go

XTC_STREAM = 0x5854_4300  # its draws are others than those that hit tokens


class Chooser:
    """Chooses the tokens of one answer. What it draws depends on the seed and a token's place, on nothing else.

    sampling    the settings
    seed        of the draws
    text_of     texts of tokens, for the settings that speak of texts
    guide       the form that the answer must have, which is stronger than every setting
    spared      tokens that are no text, which no penalty is to meet: a turn must be able to end as the last one did
    """

    def __init__(
        self,
        sampling: Sampling,
        seed: int,
        text_of: TextOf = lambda token: "",
        guide: Guide | None = None,
        spared: frozenset[int] = frozenset(),
    ) -> None:
        self._sampling = sampling
        self._seed = seed
        self._text_of = text_of
        self._guide = guide
        self._spared = spared
        self._row: Logits | None = None
        self._breaks: list[bool] = []  # of prompt and answer, token by token
        self._top = _top_and_cuts(sampling)
        self._limit = 2.0 * float(sampling.mirostat_tau)
        self._changes = guide is not None or bool(sampling.logit_bias) or any(
            name in sampling.chain and on
            for name, on in (("penalties", self._penalises), ("dry", sampling.dry_multiplier > 0))
        )

    @property
    def finished(self) -> bool:
        """Whether the answer is complete by its form, and nothing but the end may follow."""
        return self._guide is not None and self._guide.finished

    def must(self) -> list[int]:
        """The tokens that will be chosen next whatever the logits are, as far as the form says."""
        return [] if self._guide is None else self._guide.must()

    def choose(self, logits: Logits, tokens: Sequence[int], index: int) -> int:
        """The token at place `index` of the answer. [V] -> id

        logits  of the model; when this returns they are as before
        tokens  prompt and answer up to here
        """
        if not self._changes:
            return self._chosen(logits, index)
        recent = self._recent(tokens)
        if self._sampling.dry_multiplier > 0:
            np.copyto(self._room(logits), logits)
            return self._chosen(self._changed(self._room(logits), tokens, recent), index)
        touched = [*self._sampling.logit_bias, *recent]
        before = logits[touched]  # a few values, where a copy of the row would take longer than all else
        try:
            return self._chosen(self._changed(logits, tokens, recent), index)
        finally:
            logits[touched] = before

    def _chosen(self, row: Logits, index: int) -> int:
        if self._sampling.temperature == 0:
            token = int(self._most_probable(row, 1)[0])
        elif self._top is not None and self._top[0] < len(row):
            count, cuts = self._top
            token = _core.draw(row, self._most_probable(row, count), cuts, uniform(self._seed, index))
        else:
            found = Candidates(row) if self._guide is None else admitted(row, self._guide.allowed(), self._room(row))
            token = self._drawn(found, index)
        if self._guide is not None:
            self._guide.accept(token)
        return token

    def _most_probable(self, row: Logits, count: int) -> NDArray[np.int64]:
        return _core.largest(row, count) if self._guide is None else self._guide.most_probable(row, count)

    def filtered(self, found: Candidates, index: int) -> Candidates:
        """Of these tokens those that a draw may hit, with logits whose softmax are their probabilities."""
        s = self._sampling
        if s.mirostat:
            found = self._scaled(found)
            if s.mirostat == 1:
                return mirostat.cut_by_law(found, self._limit, len(found))
            return mirostat.cut_by_surprise(found, self._limit)
        for name in s.chain:
            found = self._step(name, found, index)
        return found

    def _drawn(self, found: Candidates, index: int) -> int:
        candidates = self.filtered(found, index)
        shares = candidates.shares()
        edges = running(shares)
        hit = int(np.searchsorted(edges, uniform(self._seed, index) * edges[-1], side="right"))
        # The draw times the sum may round up to the sum: then it is the last that has a share.
        place = min(hit, int(np.searchsorted(edges, edges[-1])))
        if self._sampling.mirostat:
            tau, eta = float(self._sampling.mirostat_tau), float(self._sampling.mirostat_eta)
            self._limit = mirostat.moved(self._limit, float(shares[place] / edges[-1]), tau, eta)
        return candidates.id(place)

    def _step(self, name: str, found: Candidates, index: int) -> Candidates:
        s = self._sampling
        if name == "temperature":
            return self._scaled(found)
        if name == "xtc" and s.xtc_probability > 0 and uniform(self._seed ^ XTC_STREAM, index) < s.xtc_probability:
            return filters.xtc(found, float(s.xtc_threshold))
        if name in FILTERS:
            keep, off = FILTERS[name]
            value = getattr(s, name)
            return found if value == off else keep(found, value)
        return found

    def _scaled(self, found: Candidates) -> Candidates:
        s = self._sampling
        degrees = float(s.temperature)
        if s.dynamic_temperature:
            degrees = temperature.dynamic(found, degrees, float(s.dynamic_temperature), float(s.dynamic_exponent))
        return temperature.scale(found, degrees)

    @property
    def _penalises(self) -> bool:
        s = self._sampling
        return s.repeat_last_n != 0 and (s.repetition != 1 or s.frequency_penalty != 0 or s.presence_penalty != 0)

    def _room(self, logits: Logits) -> Logits:
        """A row like this one, always the same: new memory of this size costs more than a copy."""
        if self._row is None:
            self._row = np.empty_like(logits)
        return self._row

    def _changed(self, row: Logits, tokens: Sequence[int], recent: Sequence[int]) -> Logits:
        """The row after biases and penalties, in place."""
        if self._sampling.logit_bias:
            add_biases(row, self._sampling.logit_bias)
        for name in self._sampling.chain:
            if name == "penalties" and recent:
                self._penalise(row, recent)
            if name == "dry" and self._sampling.dry_multiplier > 0:
                self._penalise_repeats(row, tokens)
        return row

    def _recent(self, tokens: Sequence[int]) -> list[int]:
        """The tokens that penalties meet."""
        if not self._penalises or "penalties" not in self._sampling.chain:
            return []
        recent = [token for token in _last(tokens, int(self._sampling.repeat_last_n)) if token not in self._spared]
        if self._sampling.penalise_newline:
            return recent
        return [token for token in recent if self._text_of(token) != "\n"]

    def _penalise(self, row: Logits, recent: Sequence[int]) -> None:
        s = self._sampling
        penalise(
            row,
            recent,
            repeat=s.repetition,
            frequency=float(s.frequency_penalty),
            presence=float(s.presence_penalty),
        )

    def _penalise_repeats(self, row: Logits, tokens: Sequence[int]) -> None:
        s = self._sampling
        for token in tokens[len(self._breaks) :]:
            text = self._text_of(token)
            self._breaks.append(any(breaker in text for breaker in s.dry_breakers))
        last = int(s.dry_last_n)
        penalise_repeats(
            row,
            _last(tokens, last),
            _last(self._breaks, last),
            multiplier=float(s.dry_multiplier),
            base=float(s.dry_base),
            allowed=int(s.dry_allowed_length),
            spared=self._spared,
        )


def _top_and_cuts(s: Sampling) -> tuple[int, list[tuple[str, float]]] | None:
    """How many of the most probable tokens go through which cuts, where that is the whole chain; None: it is not.

    It is for most people, and a call of the core takes a quarter of the time of as many of NumPy's.
    """
    on = {name: float(getattr(s, name)) for name, (_, off) in FILTERS.items() if getattr(s, name) != off}
    on["temperature"] = temperature.within(float(s.temperature))
    steps = [(name, on[name]) for name in s.chain if name in on]
    if not steps or s.mirostat or s.dynamic_temperature or ("xtc" in s.chain and s.xtc_probability > 0):
        return None
    (first, count), *cuts = steps
    known = first == "top_k" and count <= MOST_OF_TOP and all(name in CUTS for name, _ in cuts)
    return (int(count), cuts) if known else None


T = TypeVar("T")


def _last(values: Sequence[T], count: int) -> Sequence[T]:
    """The last so many; all for -1."""
    return values if count < 0 else values[max(0, len(values) - count) :]
