"""Damaged `config.json` files of every family: each is a model or a FuretError, quickly, and nothing else.

    PYTHONPATH=src:tests python benchmarks/fuzz_config.py [--mutations 20000] [--seed 0]

Weights stay sound, so that what a number in the configuration may do, such as asking for a million layers, it does.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from parity.checkpoint import cases, save

from furet.convert.hugging_face import open_folder
from furet.errors import FuretError
from furet.families import read_model

JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 64, 97, 1023, 2**31, 2**62, 10**30, 0.0, -1.5, 1e-300, 1e308, float("nan"),
    float("inf"), "", "x", "silu", "64", [], [1], [0] * 5, ["a"], [[]], {}, {"a": 1}, {"factor": 0}, "\u0000", "9" * 99,
)  # fmt: skip
NEW = ("rope_scaling", "attn", "experts", "new_key", "head_dim")
SLOW = 2.0  # seconds of CPU


def mutate(config: Any, random: Random) -> Any:
    """The configuration with one to three values gone, replaced or added, at any depth."""
    config = copy.deepcopy(config)
    for _ in range(random.randint(1, 3)):
        at = config
        while True:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = random.choice(keys) if keys else None
            if key is None or not isinstance(at[key], dict | list) or random.random() < 0.3:
                break
            at = at[key]
        action = random.random()
        if key is None or action < 0.1:
            if isinstance(at, dict):
                at[random.choice(NEW)] = copy.deepcopy(random.choice(JUNK))
        elif action < 0.3:
            del at[key]
        else:
            at[key] = copy.deepcopy(random.choice(JUNK))
    return config


def outcome(folder: Path, config: Any) -> str:
    """What became of a configuration; raises what should never be raised."""
    (folder / "config.json").write_text(json.dumps(config))
    try:
        with open_folder(folder, tokenizer=False) as source:
            read_model(source, folder)
    except FuretError as error:
        return type(error).__name__
    return "model"


def fuzz(mutations: int, seed: int, only: list[str] | None = None) -> tuple[Counter[str], list[str], float]:
    """(outcomes, what went wrong, the slowest in seconds of CPU) of so many mutations over all families."""
    random, counts, wrong, slowest = Random(seed), Counter[str](), [], 0.0
    names = only or list({fixture: name for name, (fixture, _) in cases().items()}.values())
    for name in names:
        with tempfile.TemporaryDirectory() as temporary:
            folder = save(name, Path(temporary))
            sound = json.loads((folder / "config.json").read_text())
            for _ in range(-(-mutations // len(names))):
                config = mutate(sound, random)
                began = time.process_time()
                try:
                    counts[outcome(folder, config)] += 1
                except Exception:
                    counts["crash"] += 1
                    wrong.append(f"{name}: {traceback.format_exc(limit=-3)}{json.dumps(config)[:2000]}")
                took = time.process_time() - began
                slowest = max(slowest, took)
                if took > SLOW:
                    wrong.append(f"{name}: {took:.1f} s: {json.dumps(config)[:2000]}")
    return counts, wrong, slowest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5)
    arguments = parser.parse_args()
    counts, wrong, slowest = fuzz(arguments.mutations, arguments.seed)
    for text in wrong[: arguments.show]:
        print(text)
    print(json.dumps({"outcomes": dict(counts), "wrong": len(wrong), "slowest_seconds": round(slowest, 3)}))


if __name__ == "__main__":
    main()
