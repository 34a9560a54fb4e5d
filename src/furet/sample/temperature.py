"""Temperature: how much the most probable tokens are preferred; fixed, or higher where the model is undecided.

Source of the dynamic kind: kalomaze, "Dynamic Temperature Sampling", 2023, with the entropy as its measure.
"""

from __future__ import annotations

import numpy as np

from furet.sample.candidates import Candidates

LEAST, MOST = 1e-30, 1e30  # of what float32 can divide by; nothing between tokens is left long before


def scale(candidates: Candidates, temperature: float) -> Candidates:
    """Logits, the highest at 0, divided by the temperature."""
    # A whole vocabulary stays in float32, where this takes a quarter of the time.
    logits = candidates.logits if candidates.ids is None else candidates.logits.astype(np.float64)
    return Candidates((logits - logits.max()) / within(temperature), candidates.ids)


def within(temperature: float) -> float:
    """What logits may be divided by."""
    return min(max(temperature, LEAST), MOST)


def dynamic(candidates: Candidates, temperature: float, spread: float, exponent: float) -> float:
    """The temperature for these candidates: from temperature - spread (at least 0) to temperature + spread.

    It rises with the entropy of the candidates as a share of what the entropy could be, to the power of `exponent`.
    """
    probabilities = candidates.probabilities()
    if len(probabilities) < 2:
        return temperature
    seen = probabilities[probabilities > 0]
    share = float(-(seen @ np.log(seen)) / np.log(len(probabilities)))
    least, most = max(0.0, temperature - spread), temperature + spread
    return float(least + (most - least) * min(max(share, 0.0), 1.0) ** exponent)
