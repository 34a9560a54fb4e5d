"""Guessing ahead: is the answer the same, and what does it gain or cost?

    python benchmarks/speculation.py MODEL.gguf [--draft SMALL.gguf] [--threads 2] [--prompts 100] [--max-tokens 100]

Prompts are parts of benchmarks/text.txt, every second one to be repeated word by word, the others to be gone on with.
Each is answered at temperature 0 with guesses and without, by turns; the medians of the ratios are printed. Exits with
1 where an answer differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import furet

TEXT = Path(__file__).with_name("text.txt")
ASKED = ("Repeat this text word by word:\n", "Go on with this story, in words of your own:\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--draft", help="a smaller model that guesses, too")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=100)
    wanted = parser.parse_args()
    model = furet.load(wanted.model, threads=wanted.threads, context=2048, draft=wanted.draft)
    text = TEXT.read_text(encoding="utf-8")
    gains: tuple[list[float], list[float]] = ([], [])
    guessed, different = [0, 0], 0
    for number in range(wanted.prompts):
        kind, start = number % 2, 97 * number % max(1, len(text) - 500)
        prompt = ASKED[kind] + text[start : start + 500]
        answers = []
        for speculate in (False, True) if number // 2 % 2 else (True, False):
            stream = model.chat().say(prompt, temperature=0, max_tokens=wanted.max_tokens, speculate=speculate)
            for _ in stream:
                pass
            answers.append((speculate, stream.completion))
        plain, ahead = (answer for _, answer in sorted(answers, key=lambda each: each[0]))
        different += plain.tokens != ahead.tokens
        if plain.timings.decode_tokens:
            gains[kind].append(plain.timings.decode_seconds / ahead.timings.decode_seconds)
            guessed[kind] += ahead.timings.guessed_tokens
    for kind, name in enumerate(("repeated", "gone on with")):
        gain, count = median(gains[kind]), len(gains[kind])
        print(f"{name}: {gain:.2f} times as fast (median of {count}), {guessed[kind]} tokens guessed")
    print(f"{wanted.prompts} answers, {different} differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
