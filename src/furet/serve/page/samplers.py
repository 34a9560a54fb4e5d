"""The settings of an answer as the page shows them: a label, what it does in a sentence, and its bounds.

The bounds are those of `furet.sample.settings`; the defaults are read from it.
"""

from __future__ import annotations

from typing import Any

from furet.engine.request import Request

_DEFAULTS = Request()


def _setting(name: str, group: str, label: str, about: str, kind: str = "number", **bounds: float) -> dict[str, Any]:
    default = getattr(_DEFAULTS, name)
    if isinstance(default, tuple):
        default = list(default)
    return {"name": name, "group": group, "label": label, "about": about, "kind": kind, "default": default, **bounds}


def _share(name: str, group: str, label: str, about: str) -> dict[str, Any]:
    return _setting(name, group, label, about, "slider", least=0, most=1, step=0.01)


SAMPLERS: list[dict[str, Any]] = [
    _setting(
        "temperature",
        "Answer",
        "Temperature",
        "Low keeps to what is likely, high surprises. 0 always takes the likeliest.",
        "slider",
        least=0,
        most=2,
        step=0.05,
    ),
    _setting(
        "max_tokens",
        "Answer",
        "Longest answer",
        "In tokens, about three quarters of a word each. Empty: as long as fits.",
        "whole",
        least=1,
    ),
    _setting("stop", "Answer", "Stop at", "Texts that end the answer, one on each line.", "lines"),
    _setting(
        "seed", "Answer", "Seed", "The same number gives the same answer. Empty: another each time.", "whole", least=0
    ),
    _setting("top_k", "Choice", "Top k", "Choose among so many of the likeliest tokens. 0: all.", "whole", least=0),
    _share("top_p", "Choice", "Top p", "Choose among the likeliest that together have this share. 1: all."),
    _share("min_p", "Choice", "Min p", "Leave out what is less likely than this share of the likeliest. 0: nothing."),
    _share("typical_p", "Choice", "Typical p", "Prefer tokens about as surprising as expected. 1: off."),
    _share("tail_free", "Choice", "Tail free", "Cut off the flat tail of unlikely tokens. 1: off."),
    _setting(
        "top_n_sigma",
        "Choice",
        "Top n sigma",
        "Keep tokens within so many deviations of the best. 0: off.",
        least=0,
        step=0.1,
    ),
    _share("xtc_probability", "Choice", "XTC chance", "How often the most obvious tokens are left out. 0: never."),
    _share("xtc_threshold", "Choice", "XTC threshold", "How likely a token must be to count as obvious."),
    _setting(
        "dynamic_temperature",
        "Choice",
        "Temperature range",
        "Lets the temperature move by so much with the model's doubt.",
        least=0,
        step=0.05,
    ),
    _setting("dynamic_exponent", "Choice", "Range exponent", "How the doubt moves the temperature.", step=0.1),
    _setting(
        "mirostat",
        "Choice",
        "Mirostat",
        "1 or 2 hold the surprise steady instead of the filters above. 0: off.",
        "whole",
        least=0,
        most=2,
    ),
    _setting("mirostat_tau", "Choice", "Mirostat target", "That surprise, in bits.", least=0, most=100, step=0.1),
    _share("mirostat_eta", "Choice", "Mirostat rate", "How fast it is corrected."),
    _setting(
        "repeat_penalty",
        "Repetition",
        "Repeat penalty",
        "Above 1 avoids recent tokens. Empty: 1.1, or none at temperature 0.",
        least=0.01,
        most=100,
        step=0.01,
    ),
    _setting(
        "repeat_last_n", "Repetition", "Look back", "How many tokens count as recent. -1: all.", "whole", least=-1
    ),
    _setting(
        "frequency_penalty",
        "Repetition",
        "Frequency penalty",
        "Against tokens, for each time they occurred.",
        least=-100,
        most=100,
        step=0.05,
    ),
    _setting(
        "presence_penalty",
        "Repetition",
        "Presence penalty",
        "Against tokens that occurred at all.",
        least=-100,
        most=100,
        step=0.05,
    ),
    _setting("penalise_newline", "Repetition", "Count new lines", "The penalties hold for new lines, too.", "switch"),
    _setting(
        "dry_multiplier", "Repetition", "DRY strength", "Against repeating whole sequences. 0: off.", least=0, step=0.05
    ),
    _setting("dry_base", "Repetition", "DRY growth", "How it grows with their length.", least=1, most=100, step=0.05),
    _setting("dry_allowed_length", "Repetition", "DRY free length", "Shorter sequences may repeat.", "whole", least=1),
    _setting(
        "dry_last_n", "Repetition", "DRY look back", "How far back repeats are looked for. -1: all.", "whole", least=-1
    ),
    _setting("dry_breakers", "Repetition", "DRY breakers", "Texts that end a sequence, one on each line.", "lines"),
    _setting("json_schema", "Form", "JSON schema", "The answer is JSON of this schema. {} admits all JSON.", "text"),
    _setting("regex", "Form", "Regular expression", "The answer matches it from beginning to end.", "text"),
    _setting("choices", "Form", "Choices", "The answer is one of these, one on each line.", "lines"),
    _setting("grammar", "Form", "Grammar", "The answer follows it, in GBNF or Lark's notation.", "text"),
    _setting("ignore_eos", "Form", "Go on past the end", "Do not stop where the model wants to.", "switch"),
    _setting(
        "beams", "Search", "Beams", "Search for the likeliest answer, so many at a time. 1: off.", "whole", least=1
    ),
    _setting("length_penalty", "Search", "Length of beams", "Above 0 favours long answers.", step=0.1),
    _setting("early_stopping", "Search", "Stop beams early", "End when as many answers are complete.", "switch"),
    _setting("guidance", "Search", "Guidance", "How much more what you said counts. 1: as usual.", step=0.1),
    _setting("penalty_alpha", "Search", "Contrast", "Shuns what is like the text; wants top-k 2 to 16.", step=0.05),
    _setting("negative_prompt", "Search", "Guided away from", "A text that the answer is not to follow.", "text"),
]
