"""The options that say how tokens are chosen, for every verb that makes answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from furet.cli.arguments import Group, Option
from furet.errors import BadRequest

_WHOLE, _NUMBER, _TEXT, _TEXTS = int | None, float | None, str | None, list[str] | None
SamplingOptions = Annotated[
    dict[str, Any],
    Group(
        "sampling",
        temperature=Annotated[
            _NUMBER, Option("--temperature", "--temp", help="0 takes the likeliest token; default 0.8")
        ],
        top_k=Annotated[_WHOLE, Option("--top-k", help="choose among the k likeliest; default 40, 0: all")],
        top_p=Annotated[
            _NUMBER, Option("--top-p", help="choose among the likeliest up to this probability; default 0.95")
        ],
        min_p=Annotated[
            _NUMBER, Option("--min-p", help="drop tokens below this share of the likeliest; default 0, none")
        ],
        seed=Annotated[_WHOLE, Option("--seed", help="the same seed gives the same answer")],
        repeat_penalty=Annotated[
            _NUMBER,
            Option("--repeat-penalty", help="divides the logits of recent tokens; default 1.1, but 1 at temperature 0"),
        ],
        repeat_last_n=Annotated[
            _WHOLE, Option("--repeat-last-n", help="so many tokens are recent; default 64, -1: all, 0: none")
        ],
        frequency_penalty=Annotated[
            _NUMBER, Option("--frequency-penalty", help="taken from a logit for each recent occurrence; default 0")
        ],
        presence_penalty=Annotated[
            _NUMBER, Option("--presence-penalty", help="taken once from the logits of recent tokens; default 0")
        ],
        penalise_newline=Annotated[
            Literal["yes", "no"], Option("--penalise-newline", help="whether penalties hold for newlines; default yes")
        ],
        logit_bias=Annotated[
            _TEXTS,
            Option("--logit-bias", help="added to the logit of a token id; may be repeated", metavar="TOKEN=X"),
        ],
        typical_p=Annotated[
            _NUMBER,
            Option("--typical-p", "--typical", help="keep the least surprising either way up to this share; default 1"),
        ],
        tail_free=Annotated[
            _NUMBER, Option("--tail-free", "--tfs", help="cut where the curve has had this share of bends; default 1")
        ],
        top_n_sigma=Annotated[
            _NUMBER,
            Option("--top-n-sigma", "--top-nsigma", help="keep logits this many deviations below the best; default 0"),
        ],
        xtc_probability=Annotated[
            _NUMBER, Option("--xtc-probability", help="how often the likeliest tokens are left out; default 0")
        ],
        xtc_threshold=Annotated[
            _NUMBER, Option("--xtc-threshold", help="those of at least this probability, but for one; default 0.1")
        ],
        dynamic_temperature=Annotated[
            _NUMBER,
            Option(
                "--dynamic-temperature",
                "--dynatemp-range",
                help="the temperature moves by up to this, with how undecided the model is; default 0",
            ),
        ],
        dynamic_exponent=Annotated[
            _NUMBER, Option("--dynamic-exponent", "--dynatemp-exp", help="of the entropy by which it moves; default 1")
        ],
        mirostat=Annotated[_WHOLE, Option("--mirostat", help="1 or 2: hold the surprise of tokens near a target")],
        mirostat_tau=Annotated[
            _NUMBER, Option("--mirostat-tau", "--mirostat-ent", help="that target, in bits; default 5")
        ],
        mirostat_eta=Annotated[
            _NUMBER, Option("--mirostat-eta", "--mirostat-lr", help="how fast the cut moves; default 0.1")
        ],
        dry_multiplier=Annotated[
            _NUMBER, Option("--dry-multiplier", help="penalty on going on with a repetition, such as 0.8; default 0")
        ],
        dry_base=Annotated[
            _NUMBER, Option("--dry-base", help="by which it grows with each repeated token; default 1.75")
        ],
        dry_allowed_length=Annotated[
            _WHOLE, Option("--dry-allowed-length", help="shorter repetitions are free; default 2")
        ],
        dry_last_n=Annotated[
            _WHOLE,
            Option("--dry-last-n", "--dry-penalty-last-n", help="look so far back for repetitions; default -1: all"),
        ],
        dry_breakers=Annotated[
            _TEXTS,
            Option(
                "--dry-breaker",
                "--dry-sequence-breaker",
                help="repetitions end at this text; may be repeated; default newline : \" *",
                metavar="TEXT",
            ),
        ],
        beams=Annotated[
            _WHOLE, Option("--beams", help="search for the most probable answer, so many at a time; default 1: do not")
        ],
        length_penalty=Annotated[
            _NUMBER, Option("--length-penalty", help="of beams: above 0 favours long answers; default 1")
        ],
        early_stopping=Annotated[
            Literal["yes", "no", "never"],
            Option("--early-stopping", help="of beams: end when as many are complete; never: search on; default no"),
        ],
        guidance=Annotated[
            _NUMBER, Option("--guidance", help="how much more the prompt counts than it does; default 1")
        ],
        negative_prompt=Annotated[
            _TEXT, Option("--negative-prompt", help="what the answer is guided away from; default none", metavar="TEXT")
        ],
        penalty_alpha=Annotated[
            _NUMBER, Option("--penalty-alpha", help="with --top-k 4: contrastive search; likeness counts so much")
        ],
        chain=Annotated[
            _TEXT,
            Option("--chain", "--samplers", help="the order of these, with commas; `help` shows it", metavar="NAMES"),
        ],
    ),
]


def sampling_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The sampling options of a command line as the engine takes them. Raises BadRequest."""
    settings = dict(given)
    if "chain" in settings:
        names = settings["chain"].replace(";", ",").split(",")
        settings["chain"] = tuple(name.strip() for name in names if name.strip())
    if "penalise_newline" in settings:
        settings["penalise_newline"] = settings["penalise_newline"] == "yes"
    if "early_stopping" in settings:
        settings["early_stopping"] = {"yes": True, "no": False}.get(settings["early_stopping"], "never")
    if "logit_bias" in settings:
        settings["logit_bias"] = dict(map(_bias, settings["logit_bias"]))
    return settings


def _bias(text: str) -> tuple[int, float]:
    token, _, bias = text.partition("=")
    try:
        return int(token), float(bias)
    except ValueError:
        raise BadRequest(f"--logit-bias: got {text!r:.60}, wanted TOKEN=NUMBER, such as 151643=-100") from None


def listed_chain(given: dict[str, Any]) -> bool:
    """Whether the order of sampling was asked for, with `--chain help`; then it is on stdout."""
    if given.get("chain") != "help":
        return False
    from furet.sample.settings import ORDER

    print(",".join(ORDER))
    return True
