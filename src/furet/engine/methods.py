"""Ways to an answer other than one token after the other, and which options go with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import TYPE_CHECKING

from furet.errors import BadRequest
from furet.sample.settings import Sampling, number, whole

if TYPE_CHECKING:
    from furet.engine.request import Request

MOST_BEAMS = 16
MOST_CANDIDATES = 16  # of contrastive search
MOST_NEGATIVE = 1 << 20  # characters


def check_method(request: Request) -> None:
    """Raise BadRequest, naming the field, for what is out of bounds or has no meaning together."""
    whole("beams", request.beams, 1, MOST_BEAMS)
    number("length_penalty", request.length_penalty, -10, 10)
    if not isinstance(request.early_stopping, bool) and request.early_stopping != "never":
        raise BadRequest(f"early_stopping: got {request.early_stopping!r:.60}, wanted True, False or 'never'")
    number("guidance", request.guidance, 0, 100)
    negative = request.negative_prompt
    if negative is not None and (not isinstance(negative, str) or not 0 < len(negative) <= MOST_NEGATIVE):
        raise BadRequest(f"negative_prompt: got {negative!r:.60}, wanted a text of 1 to {MOST_NEGATIVE} characters")
    if negative is not None and request.guidance == 1:
        raise BadRequest("negative_prompt: has no meaning without guidance", "give `guidance`, such as 1.5")
    number("penalty_alpha", request.penalty_alpha, 0, 1)
    _check_beams(request)
    _check_contrastive(request)


def _check_beams(request: Request) -> None:
    if request.beams == 1:
        for name in ("length_penalty", "early_stopping"):
            _require_default(request, name, "has no meaning without beams")
        return
    _require_no_draws(request, "beams")
    for name in ("guidance", "penalty_alpha"):
        _require_default(request, name, "has no meaning with beams")
    if request.form is not None:
        raise BadRequest(f"{request.form[0]}: a beam search cannot keep a form", "leave out one of the two")


def _check_contrastive(request: Request) -> None:
    if not request.penalty_alpha:
        return
    _require_no_draws(request, "penalty_alpha", but=("top_k",))
    _require_default(request, "guidance", "has no meaning with penalty_alpha")
    if not 2 <= request.top_k <= MOST_CANDIDATES:
        raise BadRequest(f"top_k: got {request.top_k}, wanted 2 to {MOST_CANDIDATES} with penalty_alpha", "4 is usual")
    if request.form is not None:
        raise BadRequest(f"{request.form[0]}: a contrastive search cannot keep a form", "leave out one of the two")


def _require_no_draws(request: Request, method: str, but: Collection[str] = ()) -> None:
    """Neither a draw nor anything that changes logits before one; temperature 0 says nothing new."""
    for field in fields(Sampling):
        usual = field.name in ("seed", *but) or (field.name == "temperature" and request.temperature == 0)
        if not usual:
            _require_default(request, field.name, f"has no meaning with {method}, which draws nothing")


def _require_default(request: Request, name: str, why: str) -> None:
    default = _defaults()[name]
    if getattr(request, name) != default:
        raise BadRequest(f"{name}: {why}", f"leave it out, or at {default!r}")


@cache
def _defaults() -> Mapping[str, object]:
    """What each field of a request is where nothing is said."""
    from furet.engine.request import Request

    return {
        each.name: each.default if each.default_factory is MISSING else each.default_factory()
        for each in fields(Request)
    }
