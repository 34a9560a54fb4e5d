"""From the op list to the native program: small rewrites of a flat list, each a function list -> list.

Every value is written once, before it is read, and only attention has an effect besides its outputs. So an
instruction may move to any place between its inputs and its first reader, and two may merge when nothing else
reads what was in between. `NATIVE` is the order in which they are applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from furet.ops import Tensor
from furet.ops.fused import Gated, GatedLinear, Quantise
from furet.ops.instructions import (
    Activate,
    Add,
    Affine,
    AttendAll,
    Attention,
    Clamp,
    Dispatch,
    ExpertLinear,
    LayerNorm,
    Linear,
    Multiply,
    Recall,
    RmsNorm,
    Scale,
    SoftCap,
    TakeRows,
)
from furet.ops.values import Instruction, Value

Code = list[Instruction]

Q8_BLOCK = 32  # values of a row that are quantised together


def lower(code: Code) -> Code:
    """The program that the native core runs."""
    for rewrite in NATIVE:
        code = rewrite(code)
    return code


def take_rows_early(code: Code) -> Code:
    """Compute row by row only the rows that are wanted: op(x)[rows] = op(x[rows]).

    In a prefill this spares all but the wanted rows the last layer's feed-forward and output projection.
    """
    taken: dict[Value, Value] = {}  # value of all tokens -> its wanted rows
    whole: set[Value] = set()  # values that something needs for all tokens
    done: Code = []  # in reverse
    for step in reversed(code):
        if isinstance(step, TakeRows):
            taken[step.x] = step.out
            continue
        (out,) = step.writes
        if out in taken and out not in whole and step.row_by_row and step.reads:
            for value in step.reads:
                taken.setdefault(value, replace(value, rows="rows"))
            done.append(step.renamed(taken))
            continue
        if out in taken:
            done.append(TakeRows(out, taken[out]))
        done.append(step)
        whole.update(step.reads)
    return done[::-1]


def fuse_gates(code: Code) -> Code:
    """function(gate) * up in one go."""
    uses, made = _uses(code), _made(code)
    done = []
    gone = set()
    for step in code:
        if isinstance(step, Multiply):
            for gate, up in ((made.get(step.a), step.b), (made.get(step.b), step.a)):
                if isinstance(gate, Activate) and uses[gate.out] == 1:
                    gone.add(gate.out)
                    step = Gated(gate.function, gate.x, up, step.out)
                    break
        done.append(step)
    return [step for step in done if not gone.intersection(step.writes)]


def add_residuals(code: Code) -> Code:
    """x + linear(y) as part of the linear, where its sums are still in registers."""
    uses, made = _uses(code), _made(code)
    done: Code = []
    gone = set()
    for step in code:
        if isinstance(step, Add):
            for linear, x in ((made.get(step.b), step.a), (made.get(step.a), step.b)):
                if isinstance(linear, Linear) and linear.residual is None and uses[linear.outs[0]] == 1:
                    gone.add(linear.outs[0])
                    step = replace(linear, outs=(step.out,), residual=x)
                    break
        done.append(step)
    return [step for step in done if not gone.intersection(step.writes)]


def dispatch_by_number(code: Code) -> Code:
    """Experts find the row of their token themselves, so that it is neither copied nor quantised once for each."""
    made = _made(code)
    done: Code = []
    for step in code:
        if isinstance(step, ExpertLinear):
            copy = made.get(step.x)
            if isinstance(copy, Dispatch) and copy.route is step.route:
                step = replace(step, x=copy.x)
        done.append(step)
    uses = _uses(done)
    return [step for step in done if not isinstance(step, Dispatch) or uses[step.out]]


def quantise_inputs(code: Code) -> Code:
    """Give every linear with a quantised weight its input as q8; all that read one value share it."""
    done: Code = []
    quantised: dict[Value, Value] = {}
    for step in code:
        if isinstance(step, Linear | ExpertLinear) and is_quantised(step.weights[0]):
            if step.x not in quantised:
                quantised[step.x] = replace(step.x, kind="q8")
                done.append(Quantise(step.x, quantised[step.x]))
            step = replace(step, x=quantised[step.x])
        done.append(step)
    return done


def quantise_at_the_source(code: Code) -> Code:
    """What computes value by value, a norm or attention writes q8 itself if a quantisation alone reads it."""
    uses, kept = _uses(code), hidden_of(code)
    readers = {step.x: step for step in code if isinstance(step, Quantise) and uses[step.x] == 1 and step.x is not kept}
    done: Code = []
    gone = set()
    for step in code:
        part = _part(step)
        if part and part % Q8_BLOCK == 0 and (reader := readers.get(step.writes[0])):
            gone.add(reader)
            step = step.renamed({reader.x: reader.out})
        done.append(step)
    return [step for step in done if step not in gone]


def join_linears(code: Code) -> Code:
    """Linears that read the same become one, at the place of the first: q/k/v, gate/up, of experts as well."""
    groups: dict[tuple[Value, Value | None], list[Linear | ExpertLinear]] = {}
    for step in code:
        if (key := _joinable(step)) is not None and isinstance(step, Linear | ExpertLinear):
            groups.setdefault(key, []).append(step)
    done: Code = []
    for step in code:
        key = _joinable(step)
        if key is None:
            done.append(step)
        elif step is groups[key][0]:
            done.append(_joined(groups[key]))
    return done


def gate_linears(code: Code) -> Code:
    """Both linears of a gate and the gate in one go, 32 columns at a time."""
    uses, made = _uses(code), _made(code)
    done: Code = []
    gone = set()
    for step in code:
        if isinstance(step, Gated) and (linear := _of_gate(step, uses, made)) is not None:
            gone.add(linear)
            weights = dict(zip(linear.outs, linear.weights, strict=True))
            step = GatedLinear(linear.x, (weights[step.gate], weights[step.up]), step.function, step.out)
        done.append(step)
    return [step for step in done if step not in gone]


NATIVE: tuple[Callable[[Code], Code], ...] = (
    take_rows_early,
    fuse_gates,
    add_residuals,
    dispatch_by_number,
    quantise_inputs,
    quantise_at_the_source,
    join_linears,
    gate_linears,
)


def hidden_of(code: Code) -> Value | None:
    """What the logits are made of: the floats that go into the last linear of a program, [R, C]; they are kept."""
    floats = {step.out: step.x for step in code if isinstance(step, Quantise)}
    heads = [step for step in code if isinstance(step, Linear)]
    found = floats.get(heads[-1].x, heads[-1].x) if heads else None
    return found if found is not None and found.rows == "rows" and found.kind == "f32" and found.each == 1 else None


def is_quantised(weight: Tensor) -> bool:
    """Whether a linear over this weight reads q8 (blocks of integers) or f32 (plain floats)."""
    return weight.type.block > 1


def _part(step: Instruction) -> int:
    """How many values of a row an instruction writes at once, if it can write q8; else 0."""
    match step:
        case RmsNorm():
            return step.weight.shape[0]
        case LayerNorm():
            return step.out.width // step.groups
        case Attention() | AttendAll() | Recall():
            return step.out.width // step.heads
        case Affine() | Activate() | Gated() | Scale() | SoftCap() | Clamp():
            return Q8_BLOCK
    return 0


def _joinable(step: Instruction) -> tuple[Value, Value | None] | None:
    """What a linear reads besides weights; None for what cannot join others."""
    match step:
        case ExpertLinear():
            return step.x, step.route
        case Linear(residual=None):
            return step.x, None
    return None


def _joined(linears: Sequence[Linear | ExpertLinear]) -> Linear | ExpertLinear:
    first = linears[0]
    weights = tuple(weight for linear in linears for weight in linear.weights)
    outs = tuple(out for linear in linears for out in linear.outs)
    if isinstance(first, ExpertLinear):
        return replace(first, weights=weights, outs=outs)
    biases = tuple(bias for linear in linears if isinstance(linear, Linear) for bias in linear.biases)
    return replace(first, weights=weights, biases=biases, outs=outs)


def _of_gate(gated: Gated, uses: Counter[Value], made: dict[Value, Instruction]) -> Linear | None:
    """The linear that makes a gate and what goes through it and nothing else, if there is one."""
    linear = made.get(gated.gate)
    if not isinstance(linear, Linear) or {gated.gate, gated.up} != set(linear.outs):
        return None
    alone = uses[gated.gate] == uses[gated.up] == 1 and linear.biases == (None, None)
    return linear if alone and gated.out.width % Q8_BLOCK == 0 else None


def _uses(code: Code) -> Counter[Value]:
    """How many times each value is read."""
    return Counter(value for step in code for value in step.reads)


def _made(code: Code) -> dict[Value, Instruction]:
    """The instruction that writes each value."""
    return {value: step for step in code for value in step.writes}
