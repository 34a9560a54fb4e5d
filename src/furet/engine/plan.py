"""The memory plan: what a model will take, added up before anything is loaded, and whether that fits.

`furet.plan` and the loader share this file. The figures come from the dry run of `furet.ops.dry`, which lays
out the very program that the engine runs, and from `furet.engine.overhead` for what surrounds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from furet.engine.memory import Budget, budget, readable
from furet.engine.overhead import runtime_bytes, tokenizer_bytes
from furet.engine.steps import LONGEST, StepSizes, step_sizes
from furet.engine.threads import default_threads
from furet.errors import BadRequest, DoesNotFit
from furet.sample.settings import whole

if TYPE_CHECKING:
    from furet.families.family import Family
    from furet.ops import Header
    from furet.ops.cached import CacheType
    from furet.ops.dry import Needs

BackendName = Literal["native", "reference"]

USUAL_CONTEXT = 4096  # tokens, unless the caller says more; longer ones cost memory that most never use
LEAST_CONTEXT = 256  # tokens; a model that fits only with less is refused, unless the caller asked for that
CONTEXT_STEP = 64  # tokens; what fits is rounded down to a multiple, the block of the KV cache
CHUNK = 256  # tokens of a prefill step
KV_TYPES = ("f16", "q8_0", "q4_0")


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
    kv               the type of keys and values
    notes            what was decided on the caller's behalf, for people
    """

    rows: tuple[tuple[str, int], ...]
    context: int
    sequences: int
    budget: int
    budget_source: str
    largest_context: int
    trained_context: int
    kv: CacheType = "f16"
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
    repack      copy the weights into the order in which the kernels read them; otherwise keep to the mapped file
    reserve     bytes that the calling program needs for itself
    kv          the type of keys and values
    """

    context: int | None = None
    sequences: int = 1
    chunk: int = CHUNK
    threads: int = 1
    backend: BackendName = "native"
    repack: bool = True
    reserve: int = 0
    kv: CacheType = "f16"

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
        if self.kv not in KV_TYPES:
            raise BadRequest(f"kv: got {self.kv!r}, wanted {', '.join(KV_TYPES)}")


def settings(
    context: int | None,
    sequences: int,
    chunk: int,
    threads: int | None,
    backend: BackendName = "native",
    repack: bool = True,
    reserve: int = 0,
    kv: CacheType = "f16",
) -> Settings:
    """The settings with the threads of this machine where none are given."""
    workers = default_threads() if threads is None else threads
    return Settings(context, sequences, chunk, workers, backend, repack, reserve, kv)


def plan(
    ref: str | Path,
    *,
    context: int | None = None,
    sequences: int = 1,
    memory: str | int | None = None,
    threads: int | None = None,
    chunk: int = CHUNK,
    kv: CacheType = "f16",
) -> Plan:
    """The memory a model would take, from the header of its file alone; also of one that is still on the hub.

    context     tokens of one sequence; None: as `furet.load` would choose
    sequences   held at once
    memory      the budget, such as "6G"; None: what the machine leaves
    kv          the type of keys and values: "f16", "q8_0" or "q4_0"
    raises      as `furet.load`, except DoesNotFit: look at `fits`
    """
    from furet.engine.headers import header
    from furet.families import read_model

    wanted = settings(context, sequences, chunk, threads, kv=kv)
    limit = budget(memory)
    with header(ref) as found:
        return make_plan(found, read_model(found, ref), wanted, limit)


def make_plan(
    header: Header, model: Family, wanted: Settings, limit: Budget, draft: Callable[[int], int] | None = None
) -> Plan:
    """The plan of a model; without a wish, the context is cut to what fits.

    draft   what a second model takes with a context of so many tokens
    """

    def rows_of(context: int) -> dict[str, int]:
        rows = _rows(header, model, replace(wanted, context=context))
        return rows if draft is None else {**rows, "draft": draft(context)}

    trained, most = _reach(model)
    context = wanted.context or min(trained, USUAL_CONTEXT)
    if most is not None and context > most:
        raise BadRequest(f"context: got {context}, wanted at most {most}: the model knows no position beyond")
    rows = rows_of(context)
    largest = _largest_context(rows, context, limit, trained)
    notes = []
    if wanted.context is None and sum(rows.values()) > limit.bytes and largest >= LEAST_CONTEXT:
        notes.append(
            f"the context is {largest} tokens instead of {context}: more does not fit into {limit.source}, "
            f"{readable(limit.bytes)}"
        )
        context = largest
        rows = rows_of(context)
    if wanted.kv != "f16" and (sizes := _sizes_kept_as_f16(model)):
        notes.append(f"heads of {sizes} values keep theirs in f16: {wanted.kv} wants a multiple of 32")
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
        kv=wanted.kv,
        notes=tuple(notes),
    )


def draft_bytes(header: Header, model: Family, wanted: Settings, context: int) -> int:
    """What a second model takes beside the first, with as many sequences of at most so many tokens."""
    rows = _rows(header, model, replace(wanted, context=draft_context(model, context), reserve=0))
    return sum(rows.values()) - rows["runtime"]


def draft_context(model: Family, context: int) -> int:
    """Tokens of a sequence that a second model can follow."""
    most = _reach(model)[1]
    return context if most is None else min(most, context)


def _reach(model: Family) -> tuple[int, int | None]:
    """Tokens that a model was trained for, and those that it can take at all; None: any number."""
    from furet.ops.dry import most_positions

    most = most_positions(model.forward)
    if model.kind == "encoder":
        most = min(most or LONGEST, LONGEST)
    trained: int = model.config.context
    return trained if most is None else min(trained, most), most


def _sizes_kept_as_f16(model: Family) -> str:
    """Head sizes that no other type of cache is possible with."""
    from furet.ops.cache_shape import attending
    from furet.ops.cached import kept_as
    from furet.ops.trace import trace

    sizes = {head_dim for _, _, head_dim in attending(trace(model.forward)) if kept_as("q8_0", head_dim) == "f16"}
    return " and ".join(map(str, sorted(sizes)))


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


def _rows(header: Header, model: Family, wanted: Settings) -> dict[str, int]:
    assert wanted.context is not None
    sizes = step_sizes(model.kind, wanted.chunk, wanted.context)
    need = _needs(model, wanted, sizes)
    # Beside the rows of a step there is one to sample from; what `Model.logits` gives is its caller's.
    logits = need.logits if model.kind == "encoder" else need.logits // sizes.rows * (1 + sizes.rows)
    rows = {
        "weights": need.weights - need.looked_up + need.copies,
        "KV cache": need.cache,
        "activations": need.arena + need.scratch + logits,
        "tokenizer": tokenizer_bytes(model.config.vocab),
        "runtime": runtime_bytes(wanted.threads),
    }
    if need.states:
        rows["states"] = need.states
    if wanted.reserve:
        rows["program"] = wanted.reserve
    if wanted.backend == "reference":  # float64 for float16, and every weight decoded to float32
        values = [prod(tensor.shape) for tensor in header.tensors.values()]
        scores = 8 * sizes.tokens * wanted.context * getattr(model.config, "heads", 1)
        rows["KV cache"] *= 4
        rows["activations"] = 8 * max(values) + scores
        rows["decoded weights"] = 4 * sum(values)
    return rows


def _needs(model: Family, wanted: Settings, sizes: StepSizes) -> Needs:
    """What the model's programs need; an encoder has one of its own, with weights and an arena of its own."""
    from furet.ops.dry import needs

    assert wanted.context is not None
    need = needs(
        model.forward,
        context=wanted.context,
        memory=sizes.source,
        sequences=wanted.sequences,
        max_tokens=sizes.tokens,
        max_rows=sizes.rows,
        threads=wanted.threads,
        kv=wanted.kv if wanted.backend == "native" else "f16",
    )
    if not sizes.source:
        return need
    read = needs(model.encode, context=0, max_tokens=sizes.source)
    return replace(
        need,
        weights=need.weights + read.weights,
        looked_up=need.looked_up + read.looked_up,
        copies=need.copies + read.copies,
        arena=need.arena + read.arena,
    )


def _largest_context(rows: Mapping[str, int], context: int, limit: Budget, trained: int) -> int:
    """Tokens that fit beside the rest, in whole steps: the cache grows in proportion, all else stays."""
    whole_steps = -(-context // CONTEXT_STEP)
    a_step = rows["KV cache"] // whole_steps
    left = limit.bytes - (sum(rows.values()) - rows["KV cache"])
    if left < 0:
        return 0
    return min(left // a_step * CONTEXT_STEP, trained) if a_step else trained
