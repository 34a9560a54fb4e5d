"""How well `furet plan` predicts: the plan beside the peak of a fresh process that has filled its context.

    python benchmarks/plan_accuracy.py MODEL [MODEL ...] [--contexts 512,2048,4096] [--threads 2]

Every case runs in a process of its own: it loads the model, fills the context with tokens from all over the
vocabulary (so that every page of the embedding that can be touched is), decodes one, and reads its peak
(VmHWM of /proc/self/status: anonymous memory and touched pages of files). Wanted: never under, at most 5 %
over. `beside` is the peak less the file and the keys and values, which cannot be done without. FURET_CACHE
pointing to an empty folder shows the first load of a vocabulary. A MODEL may be random weights, such as
shape:1.5b:q6_k. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from models import HELP, model_file


def main() -> int:
    """Run all cases and print the table; exit code 1 when a plan is under or more than 5 % over."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help=HELP)
    parser.add_argument("--contexts", default="512,2048,4096")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    contexts = [int(text) for text in arguments.contexts.split(",")]
    if arguments.case:
        print(json.dumps(measure(arguments.models[0], contexts[0], arguments.threads)))
        return 0
    results = []
    header = f"{'model':32} {'context':>8} {'plan MB':>9} {'peak MB':>9} {'over':>7} {'beside MB':>10}"
    print(f"{header}   anonymous, files MB")
    for model in arguments.models:
        with model_file(model) as path:
            for context in contexts:
                command = [sys.executable, __file__, str(path), "--case", "--contexts", str(context)]
                command += ["--threads", str(arguments.threads)]
                case = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                results.append(case)
                print(
                    f"{model[-32:]:32} {context:8} {case['plan'] / 1e6:9.1f} {case['peak'] / 1e6:9.1f} "
                    f"{case['over']:+7.2%} {case['beside'] / 1e6:+10.1f}   "
                    f"{case['anonymous'] / 1e6:.1f}, {case['files'] / 1e6:.1f}",
                    flush=True,
                )
    bad = [case for case in results if not 0 <= case["over"] <= 0.05]
    print(json.dumps({"benchmark": "plan_accuracy", "cases": results, "outside": len(bad)}))
    return 1 if bad else 0


def measure(ref: str, context: int, threads: int) -> dict[str, object]:
    """Fill one context in this process; the plan and the peak, in bytes."""
    import furet

    with furet.load(ref, context=context, threads=threads) as model:
        before = status()
        step = 7919  # prime, so that the ids run through all of the vocabulary
        prompt = [(place * step) % model.vocab for place in range(context)]
        model.generate(prompt, max_tokens=1, ignore_eos=True)
        model.generate(prompt[:-8], max_tokens=8, ignore_eos=True, logprobs=5)
        after = status()
        plan = model.memory
    return {
        "model": ref,
        "context": context,
        "plan": plan.total,
        "rows": dict(plan.rows),
        "peak": after["VmHWM"],
        "over": plan.total / after["VmHWM"] - 1,
        "beside": after["VmHWM"] - Path(ref).stat().st_size - dict(plan.rows)["KV cache"],
        "anonymous": after["RssAnon"],
        "files": after["RssFile"],
        "loaded": {"peak": before["VmHWM"], "anonymous": before["RssAnon"], "files": before["RssFile"]},
    }


def status() -> dict[str, int]:
    """Memory of this process in bytes, as the kernel counts it."""
    with open("/proc/self/status") as file:  # noqa: PTH123
        lines = [line.split() for line in file if "kB" in line]
    return {name.rstrip(":"): int(count) * 1024 for name, count, _ in lines}


if __name__ == "__main__":
    sys.exit(main())
