"""Fields of requests: strict ones, and those that are the engine's options under their own names."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from furet.engine.request import Options, Request
from furet.serve.limits import MAX_NAME, MAX_TEXT, MAX_TOKENS

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Words = Annotated[str, Field(max_length=MAX_TEXT)]
Label = Annotated[str, Field(max_length=512)]
Token = Annotated[int, Field(ge=0, lt=1 << 31)]
Tokens = Annotated[list[Token], Field(max_length=MAX_TOKENS, fail_fast=True)]
Biases = dict[Annotated[str, Field(pattern=r"^[0-9]{1,9}$")], float]  # JSON has no other names than texts


class Strict(BaseModel):
    """A body in which every field is known and of its type; what is null counts as not given."""

    model_config = ConfigDict(extra="forbid", strict=True)


if TYPE_CHECKING:

    class EngineFields(Strict):
        """Every field of `furet.engine.request.Options`."""

else:
    _hints = {**get_type_hints(Options), "logit_bias": Biases}
    EngineFields = create_model(
        "EngineFields", __base__=Strict, **{name: (hint | None, None) for name, hint in _hints.items()}
    )


def options_of(body: EngineFields, without: Collection[str] = (), **more: Any) -> dict[str, Any]:
    """The options of an answer that a body gives, checked.

    without     fields that mean something else in this body
    more        options that the body gives under other names; None: not given
    raises      BadRequest naming the field
    """
    options = {name: getattr(body, name) for name in Options.__annotations__ if name not in without}
    options |= {name: value for name, value in more.items() if value is not None}
    options = {name: value for name, value in options.items() if value is not None}
    if "logit_bias" in options:
        options["logit_bias"] = {int(token): bias for token, bias in options["logit_bias"].items()}
    Request(**options)
    return options
