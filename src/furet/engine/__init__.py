"""Running a model: memory planned, tokens in, tokens out, from any thread.

    open_model(ref)         file -> family -> plan -> budget -> program -> tokenizer
    Model                   generate, stream, logits
      leases, sessions      who computes when, and what was computed before
      generate              prefill in steps, then token by token
"""

from __future__ import annotations

from furet.engine.answer import Completion, Piece, Timings
from furet.engine.load import Loaded, open_model
from furet.engine.model import Model
from furet.engine.plan import Plan, plan
from furet.engine.request import Options, Request
from furet.engine.stream import Stream

__all__ = [
    "Completion",
    "Loaded",
    "Model",
    "Options",
    "Piece",
    "Plan",
    "Request",
    "Stream",
    "Timings",
    "open_model",
    "plan",
]
