"""The memory plan: what a model will take, added up before anything is loaded, and whether that fits.

`furet.plan` and the loader share this file. The figures come from the dry run of `furet.ops.dry`, which lays
out the very program that the engine runs, and from `furet.engine.overhead` for what surrounds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from furet.engine.memory import Budget, budget, readable
from furet.engine.overhead import runtime_bytes, tokenizer_bytes
from furet.engine.threads import default_threads
from furet.errors import BadRequest, DoesNotFit
from furet.sample.settings import whole

if TYPE_CHECKING:
    from furet.families.family import Family
    from furet.ops import Header

BackendName = Literal["native", "reference"]

USUAL_CONTEXT = 4096  # tokens, unless the caller says more; longer ones cost memory that most never use
LEAST_CONTEXT = 256  # tokens; a model that fits only with less is refused, unless the caller asked for that
CONTEXT_STEP = 64  # tokens; what fits is rounded down to a multiple, the block of the KV cache
CHUNK = 128  # tokens of a prefill step
LOGITS_ROWS = 16  # tokens of a step that wants the logits of every token


@dataclass(frozen=True)
class Plan:
    """The memory of a loaded model with all its contexts filled.

    rows             (name, bytes) of everything that takes memory
    context          tokens of one sequence
    sequences        that are held at once
    budget           the most bytes that may be used
    budget_source    who says so
    largest_context  tokens that would fit into the budget, at most what the model was trained for; 0: none
    trained_context  tokens that the model was trained for
    notes            what was decided on the caller's behalf, for people
    """

    rows: tuple[tuple[str, int], ...]
    context: int
    sequences: int
    budget: int
    budget_source: str
    largest_context: int
    trained_context: int
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Bytes of all rows."""
        return sum(count for _, count in self.rows)

    @property
    def fits(self) -> bool:
        return self.total <= self.budget


@dataclass(frozen=True)
class Settings:
    """What the memory depends on besides the model; all checked.

    context     tokens; None: USUAL_CONTEXT, or what the model was trained for, or what fits
    repack      copy the weights into the order in which the kernels read them; otherwise read the mapped file
    reserve     bytes that the calling program needs for itself
    """

    context: int | None = None
    sequences: int = 1
    chunk: int = CHUNK
    threads: int = 1
    backend: BackendName = "native"
    repack: bool = True
    reserve: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (("sequences", 1, 1024), ("chunk", 1, 8192), ("threads", 1, 1024)):
            whole(name, getattr(self, name), least)
            if getattr(self, name) > most:
                raise BadRequest(f"{name}: got {getattr(self, name)}, wanted at most {most}")
        if self.context is not None:
            whole("context", self.context, 1)
            if self.context > 1 << 30:
                raise BadRequest(f"context: got {self.context}, wanted at most {1 << 30}")
        if self.backend not in ("native", "reference"):
            raise BadRequest(f"backend: got {self.backend!r}, wanted 'native' or 'reference'")


def settings(
    context: int | None,
    sequences: int,
    chunk: int,
    threads: int | None,
    backend: BackendName = "native",
    repack: bool = True,
    reserve: int = 0,
) -> Settings:
    """The settings with the threads of this machine where none are given."""
    workers = default_threads() if threads is None else threads
    return Settings(context, sequences, chunk, workers, backend, repack, reserve)


def plan(
    ref: str | Path,
    *,
    context: int | None = None,
    sequences: int = 1,
    memory: str | int | None = None,
    threads: int | None = None,
    chunk: int = CHUNK,
) -> Plan:
    """The memory a model would take, from the header of its file alone; also of one that is still on the hub.

    context     tokens of one sequence; None: as `furet.load` would choose
    sequences   held at once
    memory      the budget, such as "6G"; None: what the machine leaves
    raises      as `furet.load`, except DoesNotFit: look at `fits`
    """
    from furet.engine.headers import header
    from furet.families import read_model

    wanted = settings(context, sequences, chunk, threads)
    limit = budget(memory)
    with header(ref) as found:
        return make_plan(found, read_model(found, ref), wanted, limit)


def make_plan(header: Header, decoder: Family, wanted: Settings, limit: Budget) -> Plan:
    """The plan of a model; without a wish, the context is cut to what fits."""
    trained = decoder.config.context
    context = wanted.context or min(trained, USUAL_CONTEXT)
    rows = _rows(header, decoder, replace(wanted, context=context))
    largest = _largest_context(rows, context, limit, trained)
    notes = []
    if wanted.context is None and sum(rows.values()) > limit.bytes and largest >= LEAST_CONTEXT:
        notes.append(
            f"the context is {largest} tokens instead of {context}: more does not fit into {limit.source}, "
            f"{readable(limit.bytes)}"
        )
        context = largest
        rows = _rows(header, decoder, replace(wanted, context=context))
    if context > trained:
        notes.append(f"the context of {context} tokens exceeds the {trained} that the model was trained for")
    return Plan(
        rows=tuple(rows.items()),
        context=context,
        sequences=wanted.sequences,
        budget=limit.bytes,
        budget_source=limit.source,
        largest_context=largest,
        trained_context=trained,
        notes=tuple(notes),
    )


def require_fit(plan: Plan, name: str) -> None:
    """Raise DoesNotFit, with the figures and what would fit, unless the plan does."""
    if plan.fits:
        return
    parts = ", ".join(f"{row} {readable(count)}" for row, count in plan.rows)
    several = f" x {plan.sequences}" if plan.sequences > 1 else ""
    message = (
        f"{name} needs {readable(plan.total)} with a context of {plan.context}{several} tokens, "
        f"and {plan.budget_source} is {readable(plan.budget)} ({parts})"
    )
    if plan.largest_context:
        fits = f"a context of up to {plan.largest_context} tokens fits"
        raise DoesNotFit(message, f"{fits}: ask for that, or allow more memory")
    cache = dict(plan.rows)["KV cache"]
    least = plan.total - cache + cache * CONTEXT_STEP // max(plan.context, CONTEXT_STEP)
    raise DoesNotFit(
        message,
        f"the least it runs in is {readable(least)}: take a smaller model or coarser weights, or free memory",
    )


def _rows(header: Header, decoder: Family, wanted: Settings) -> dict[str, int]:
    from furet.ops.dry import needs

    assert wanted.context is not None
    chunk = min(wanted.chunk, wanted.context)
    max_rows = min(LOGITS_ROWS, chunk)
    need = needs(
        decoder.forward,
        context=wanted.context,
        sequences=wanted.sequences,
        max_tokens=chunk,
        max_rows=max_rows,
        threads=wanted.threads,
    )
    rows = {
        "weights": need.weights - need.looked_up + need.copies,
        "KV cache": need.cache,
        # Generation holds one row of logits; `Model.logits` writes them into its caller's array.
        "activations": need.arena + need.scratch + need.logits // max_rows,
        "tokenizer": tokenizer_bytes(decoder.config.vocab),
        "runtime": runtime_bytes(wanted.threads),
    }
    if need.states:
        rows["states"] = need.states
    if wanted.reserve:
        rows["program"] = wanted.reserve
    if wanted.backend == "reference":  # float64 for float16, and every weight decoded to float32
        sizes = [prod(tensor.shape) for tensor in header.tensors.values()]
        rows["KV cache"] *= 4
        rows["activations"] = 8 * max(sizes) + 8 * chunk * wanted.context * decoder.config.heads
        rows["decoded weights"] = 4 * sum(sizes)
    return rows


def _largest_context(rows: Mapping[str, int], context: int, limit: Budget, trained: int) -> int:
    """Tokens that fit beside the rest, in whole steps: the cache grows in proportion, all else stays."""
    whole_steps = -(-context // CONTEXT_STEP)
    a_step = rows["KV cache"] // whole_steps
    left = limit.bytes - (sum(rows.values()) - rows["KV cache"])
    if left < 0:
        return 0
    return min(left // a_step * CONTEXT_STEP, trained) if a_step else trained
