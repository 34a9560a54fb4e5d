"""`furet plan`: the memory a model would take, before it is loaded or even downloaded."""

from __future__ import annotations

from typing import Annotated

from furet.cli import options
from furet.cli.arguments import Option
from furet.cli.terminal import emit_json, note, size, table


def plan(
    model: options.ModelArgument,
    context: options.Context = None,
    sequences: Annotated[int, Option("--sequences", help="conversations held at once; default 1")] = 1,
    memory: options.Memory = None,
    threads: options.Threads = None,
    kv: options.KvType = "f16",
    json: options.Json = False,
) -> None:
    """Show what memory a model takes, row by row, whether that fits, and the largest context that would.

    Reads the header only. A model that is not on this machine is read on the hub by range requests: a few
    megabytes instead of all of it. Exit code 5 when it does not fit.

    examples:
      furet plan smollm2
      furet plan smollm2 --kv q8_0
      furet plan hf:Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M --context 32768 --memory 8G
    """
    from furet.engine.plan import plan as planned
    from furet.engine.plan import require_fit

    found = planned(model, context=context, sequences=sequences, memory=memory, threads=threads, kv=kv)
    if json:
        emit_json(
            {
                "model": model,
                "rows": dict(found.rows),
                "total": found.total,
                "budget": found.budget,
                "budget_source": found.budget_source,
                "fits": found.fits,
                "kv": found.kv,
                "context": found.context,
                "sequences": found.sequences,
                "largest_context": found.largest_context,
                "trained_context": found.trained_context,
                "notes": found.notes,
            }
        )
    else:
        several = f" x {found.sequences}" if found.sequences > 1 else ""
        rows = [*found.rows, ("total", found.total), ("budget", found.budget)]
        print(f"{model} with a context of {found.context}{several} tokens, kept as {found.kv}")
        print(table([(name, count, size(count)) for name, count in rows], right="lrr"))
        verdict = "fits into" if found.fits else "does not fit into"
        print(
            f"{verdict} {found.budget_source}; the largest context that would: {found.largest_context} tokens"
        )
    for remark in found.notes:
        note(f"note: {remark}")
    require_fit(found, model)
