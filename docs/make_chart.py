"""The chart of speeds in the README, docs/speed.svg, drawn from docs/speed.jsonl.

    furet bench MODEL.gguf -t 2 --prefill 256 --peer llama.cpp --peer-python PYTHON --json >> docs/speed.jsonl
    python docs/make_chart.py

Each line of the file is what one such run printed. A bar is as long as the share of the machine's limit that was
reached: of its int8 operations for a prompt, of its memory bandwidth for decoding; beside it stands the speed. The
colours follow the reader's choice of light or dark. A test draws the chart anew and compares it with the one that is
there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATA, CHART = HERE / "speed.jsonl", HERE / "speed.svg"

WIDTH, LEFT, RIGHT = 760, 190, 110  # pixels; the bars lie between left and right
BAR, GAP, GROUP, SECTION = 13, 3, 12, 46  # heights
LIMITS = {"peak_share": "of the int8 peak", "bandwidth_share": "of the memory bandwidth"}

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 13px }
  .small { font-size: 11px; fill: #59636e }
  .furet { fill: #d9730d }
  .peer { fill: #8c959f }
  .grid { stroke: #e4e8ec; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .small { fill: #9198a1 }
    .furet { fill: #f0883e }
    .peer { fill: #656c76 }
    .grid { stroke: #2a3038 }
  }
"""

Bars = dict[str, list[dict[str, Any]]]


def main() -> None:
    CHART.write_text(draw(DATA.read_text()), encoding="utf-8")
    print(CHART)


def draw(lines: str) -> str:
    """The chart of some runs, given as lines of JSON."""
    groups = by_task([json.loads(line) for line in lines.splitlines()])
    parts: list[str] = []
    top = 30
    for task, bars in groups.items():
        parts += section(task, bars, top)
        top += SECTION + len(bars) * (2 * (BAR + GAP) + GROUP)
    described = "; ".join(sentence(task, bar) for task, bars in groups.items() for bar in bars)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img" aria-label="{escape(described)}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", *legend(), *parts, "</svg>", ""])


def by_task(runs: list[dict[str, Any]]) -> Bars:
    """The results of each task, with the name of their model; of several thread counts the highest."""
    found: Bars = {}
    for run in runs:
        most = max(result["threads"] for result in run["results"])
        for result in run["results"]:
            if result["threads"] == most and "ratio" in result:
                model = run["model"].removesuffix(".gguf")
                found.setdefault(result["task"], []).append({**result, "model": model})
    return found


def section(task: str, bars: list[dict[str, Any]], top: int) -> Iterator[str]:
    """A title, a grid from nothing to the limit, and two bars for each model."""
    share = limit_of(bars[0])
    bottom = top + SECTION - 8 + len(bars) * (2 * (BAR + GAP) + GROUP) - GROUP
    yield f'<text class="title" x="0" y="{top + 14}">{escape(title(task))}</text>'
    for part in (0, 25, 50, 75, 100):
        x = place(part / 100)
        yield f'<line class="grid" x1="{x}" y1="{top + 32}" x2="{x}" y2="{bottom}"/>'
        name = f"{part}%" if part < 100 else f"100% {LIMITS[share]}"
        anchor = "end" if part == 100 else "middle"
        at = WIDTH if part == 100 else x
        yield f'<text class="small" x="{at}" y="{top + 27}" text-anchor="{anchor}">{name}</text>'
    y = top + SECTION - 8
    for bar in bars:
        yield f'<text x="{LEFT - 10}" y="{y + BAR + 5}" text-anchor="end">{escape(bar["model"])}</text>'
        peer = bar["peer_tokens_per_second"]
        yield from one_bar("furet", y, bar[share], f"{speed(bar['tokens_per_second'])} tok/s, {bar['ratio']:.1f}x")
        yield from one_bar("peer", y + BAR + GAP, bar[share] / bar["ratio"], f"{speed(peer)} tok/s")
        y += 2 * (BAR + GAP) + GROUP


def one_bar(kind: str, y: int, share: float, label: str) -> Iterator[str]:
    end = place(share)
    yield f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(1, end - LEFT)}" height="{BAR}" rx="2"/>'
    yield f'<text class="small" x="{end + 6}" y="{y + BAR - 3}">{label}</text>'


def legend() -> Iterator[str]:
    for kind, name, x in (("furet", "furet", LEFT), ("peer", "llama.cpp", LEFT + 80)):
        yield f'<rect class="{kind}" x="{x}" y="6" width="{BAR}" height="{BAR}" rx="2"/>'
        yield f'<text x="{x + BAR + 6}" y="17">{name}</text>'


def title(task: str) -> str:
    """"prefill 256" -> "Prefill, 256 tokens"."""
    kind, _, rest = task.partition(" ")
    count, _, more = rest.partition(" ")
    return f"{kind.capitalize()}, {count} tokens" + (f" {more}" if more else "")


def limit_of(bar: dict[str, Any]) -> str:
    return next(share for share in LIMITS if share in bar)


def place(share: float) -> int:
    return round(LEFT + min(share, 1.0) * (WIDTH - LEFT - RIGHT))


def speed(tokens: float) -> str:
    return f"{tokens:.0f}" if tokens >= 100 else f"{tokens:.1f}"


def sentence(task: str, bar: dict[str, Any]) -> str:
    """What the bars say, for those who hear them."""
    share, peer = bar[limit_of(bar)], bar["peer_tokens_per_second"]
    mine = f"furet {speed(bar['tokens_per_second'])} tokens per second, {share:.0%} {LIMITS[limit_of(bar)]}"
    return f"{title(task)}, {bar['model']}: {mine}, llama.cpp {speed(peer)}"


if __name__ == "__main__":
    main()
