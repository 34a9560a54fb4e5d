"""`furet bench`: speed, how near it comes to the limits of this machine, and what a peer reaches beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from furet.cli import options
from furet.cli.arguments import Argument, Option
from furet.cli.terminal import emit_json, note, table
from furet.errors import BadRequest

if TYPE_CHECKING:
    from furet.measure.bench import Wanted
    from furet.measure.results import Result

_HEADER = ("task", "threads", "tokens/s", "reached", "machine", "share")


def bench(
    model: Annotated[
        str | None,
        Argument("alias, path, hf:org/name[:quant] or pypi:name; default smollm2", metavar="MODEL"),
    ] = None,
    threads: Annotated[
        list[int] | None, Option("-t", "--threads", help="measure with so many; may be repeated")
    ] = None,
    repeat: Annotated[int, Option("-r", "--repeat", help="take the median of so many runs; default 5")] = 5,
    prefill: Annotated[
        list[int] | None, Option("--prefill", help="tokens of a prompt; may be repeated; default 16, 64, 256")
    ] = None,
    depth: Annotated[
        list[int] | None, Option("--depth", help="decode behind so many tokens; may be repeated; default 16")
    ] = None,
    sequences: Annotated[
        list[int] | None, Option("--sequences", help="decode so many sequences together; may be repeated")
    ] = None,
    shape: Annotated[
        str | None,
        Option("--shape", help="no model, but one of random weights and this shape; `help` lists them", metavar="NAME"),
    ] = None,
    type: Annotated[
        str | None, Option("--type", help="type of its weights, such as q8_0; default q4_k_m", metavar="NAME")
    ] = None,
    keep: Annotated[
        str | None, Option("--keep", help="write the random model there, and leave it there", metavar="FILE")
    ] = None,
    peer: Annotated[
        str | None, Option("--peer", help="measure another engine in turns: llama.cpp", metavar="NAME")
    ] = None,
    peer_python: Annotated[
        str | None,
        Option("--peer-python", help="interpreter that has llama-cpp-python; default: this one", metavar="PATH"),
    ] = None,
    no_repack: options.NoRepack = False,
    json: options.Json = False,
) -> None:
    """Measure prefill and decode speed, and their share of this machine's memory bandwidth and int8 peak.

    Prefill computes a prompt of random tokens at once, decode 32 tokens one after the other. A first run of
    each warms up; the median of the others counts. The bandwidth is what the same threads reach when they only
    read memory, the peak what the kernels' int8 instructions reach without it: the median over a fifth of a second.
    Both are looked at right before and right after each run, and the higher counts: a share is the median of the
    runs' shares. The last line is JSON.

    A peer computes the same tokens, run by run in turns with furet, each sleeping while the other works, and
    with the settings that are best for it.

    examples:
      furet bench
      furet bench model.gguf --threads 1 --threads 2
      furet bench --shape 7b --type q4_k_m
      furet bench --peer llama.cpp --peer-python ~/peer/bin/python --prefill 256 --prefill 1024 --depth 4096
      furet bench --sequences 8
    """
    if shape == "help":
        print(_shapes())
        return
    wanted = _wanted(threads, repeat, prefill, depth, sequences, peer, peer_python, not no_repack)
    if shape is None and (type or keep):
        raise BadRequest(f"--{'type' if type else 'keep'}: wanted with --shape alone")
    if shape is not None and model is not None:
        raise BadRequest("a model and --shape: wanted one of them")
    from furet.measure.bench import measure

    with _model(model or "smollm2", shape, type or "q4_k_m", keep) as path:
        found = measure(path, wanted, say=lambda text: note(text))
    if not json:
        for name, value in found.peer.items():
            note(f"llama.cpp {name}: {value}")
        print(_table(found.results))
    emit_json(found.json(), indent=None)


def _wanted(
    threads: list[int] | None,
    repeat: int,
    prefill: list[int] | None,
    depth: list[int] | None,
    sequences: list[int] | None,
    peer: str | None,
    peer_python: str | None,
    repack: bool,
) -> Wanted:
    """What was asked for, checked."""
    from furet.measure.bench import wanted

    return wanted(
        **options.given(
            threads=threads,
            repeat=repeat,
            prefill=prefill,
            depths=depth,
            sequences=sequences,
            peer=peer,
            peer_python=peer_python,
            repack=repack,
        )
    )


@contextlib.contextmanager
def _model(ref: str, shape: str | None, type: str, keep: str | None) -> Iterator[Path]:
    """The file of a model, or one of random weights, which is gone afterwards."""
    if shape is None:
        yield options.model_file(ref)
        return
    from furet.cli.pull import progress_bar
    from furet.measure.random_model import random_model

    with contextlib.ExitStack() as stack:
        with progress_bar() as show:
            label = f"random weights, {shape} {type}"
            made = random_model(
                shape, type, Path(keep) if keep else None, lambda done, total: show(label, done, total)
            )
            path = stack.enter_context(made)
        yield path


def _shapes() -> str:
    from furet.measure.shapes import SHAPES

    header = ("shape", "as", "layers", "width", "heads", "of keys", "ffn", "vocabulary")
    rows = [(name, s.title, s.layers, s.width, s.heads, s.kv_heads, s.ffn, s.vocab) for name, s in SHAPES.items()]
    return table(rows, header, right="llrrrrrr")


def _table(results: list[Result]) -> str:
    """One line a task; columns of a peer and of sequences together where there is one."""
    header, right = list(_HEADER), "lrrrrr"
    rows = [_row(figures) for figures in results]
    for key, name, shown in (
        ("peer_tokens_per_second", "llama.cpp", "{:.1f}"),
        ("ratio", "ratio", "{:.2f}"),
        ("ratio_to_one", "to one", "{:.2f}"),
    ):
        if any(key in figures for figures in results):
            header.append(name)
            right += "r"
            for row, figures in zip(rows, results, strict=True):
                row.append(shown.format(figures[key]) if key in figures else "")
    return table(rows, header, right=right)


def _row(figures: dict[str, Any]) -> list[object]:
    unit = "GB/s" if "bandwidth_share" in figures else "Gop/s"
    name, share = ("bytes", "bandwidth") if unit == "GB/s" else ("operations", "peak")
    return [
        figures["task"],
        figures["threads"],
        f"{figures['tokens_per_second']:.1f}",
        f"{figures[f'{name}_per_second'] / 1e9:.1f} {unit}",
        f"{figures[f'machine_{name}_per_second'] / 1e9:.1f} {unit}",
        f"{figures[f'{share}_share']:.0%}",
    ]
