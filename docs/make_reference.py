"""Make docs/reference: what can be called, given and asked for, from the code that says so itself.

    PYTHONPATH=src python docs/make_reference.py

    python.md       furet.__all__: signatures and docstrings
    options.md      what an answer may be asked for: the fields of furet.engine.Request
    cli.md          the options of every verb, from its parser
    http.md         the routes of the server and their fields, from its OpenAPI schema
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args, get_origin

import furet

PAGES = Path(__file__).parent / "reference"
AGAIN = "run `PYTHONPATH=src python docs/make_reference.py`"
MADE = "Made by `docs/make_reference.py` from the code.\n"

ALIASES = {  # the types that signatures name, and where each is defined
    "Prompt": "furet.engine.model",
    "Vectors": "furet.engine.model",
    "FinishReason": "furet.engine.answer",
    "BackendName": "furet.engine.plan",
    "CacheType": "furet.ops.cached",
}
BESIDE = {  # what public names give, and is of no name in `furet` itself
    "TokenLogprob": "furet.sample.logprobs",
    "Beam": "furet.engine.answer",
}


class Doc(NamedTuple):
    """A docstring taken apart: what it says, what it says of each name in its list, and what is raised."""

    text: str
    names: dict[str, str]
    raises: str


def read(docstring: str | None, known: Iterable[str] = ()) -> Doc:
    """Take a docstring apart.

    A line of its list is a name, two spaces or, where the name is known to be one, more than none, and what it means,
    which may go on over indented lines.
    """
    text: list[str] = []
    names: dict[str, str] = {}
    last = ""
    for line in inspect.cleandoc(docstring or "").splitlines():
        found = re.fullmatch(r"(\w+(?:, \w+)*)( +)(\S.*)", line)
        if found and (len(found[2]) > 1 or found[1] in known):
            last, names[found[1]] = found[1], found[3]
        elif last and line.startswith("    "):
            names[last] += " " + line.strip()
        else:
            last = ""
            text.append(line)
    raises = names.pop("raises", "")
    return Doc(re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip(), names, f"Raises {raises}.\n" if raises else "")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; nothing where it has no rows."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(header) + " |", "|---" * len(header) + "|", *lines, ""]) if lines else ""


def code(text: object) -> str:
    """A name or value as code; an empty cell for none."""
    return f"`{text}`" if text != "" else ""


# python.md


def python_page() -> str:
    """Every public name of the package."""
    names = [name for name in furet.__all__ if name != "__version__"]
    public = {name: getattr(furet, name) for name in names}
    classes = {name: value for name, value in public.items() if inspect.isclass(value)}
    errors = {name: value for name, value in classes.items() if issubclass(value, furet.FuretError)}
    functions = [name for name in names if inspect.isfunction(public[name])]
    plain = [name for name in classes if name not in errors]
    parts = ["# Python\n", MADE, "[How it is used](../python.md). `**options` are those of [options.md](options.md).\n"]
    parts += [_function(f"furet.{name}", public[name], "##") for name in functions]
    parts += [_class(f"furet.{name}", public[name]) for name in plain]
    parts += [_class(name, getattr(import_module(module), name)) for name, module in BESIDE.items()]
    parts += ["## Errors\n", "Each has a `message` and a `hint`, the next step.\n", table(
        ("class", "is a", "exit code", "raised for"),
        ((code(name), code(kind.__mro__[1].__name__), str(kind.exit_code), _one_line(read(kind.__doc__).text))
         for name, kind in sorted(errors.items(), key=lambda each: (len(each[1].__mro__), each[0]))),
    )]  # fmt: skip
    parts += [f"`ModelFileError` also has {_listed(read(furet.ModelFileError.__doc__).names)}.\n"]
    aliases = {name: _alias(getattr(import_module(module), name)) for name, module in ALIASES.items()}
    parts += ["## Types\n", table(("name", "is"), ((code(name), code(shown)) for name, shown in aliases.items()))]
    return "\n".join(parts)


def _function(name: str, function: Callable[..., Any], heading: str) -> str:
    """A heading, the signature, what the docstring says, and a table of parameters."""
    doc = read(function.__doc__)
    signature = _signature(name.rpartition(".")[2], inspect.signature(function))
    parameters = table(("parameter", ""), ((code(each), meaning) for each, meaning in doc.names.items()))
    return "\n".join([f"{heading} {name}\n", f"```\n{signature}\n```\n", doc.text + "\n", parameters, doc.raises])


def _class(name: str, kind: type) -> str:
    """A class with what its objects have and can do."""
    own = [each for each in kind.__mro__ if each.__module__.startswith("furet.")]
    doc = max((read(each.__doc__) for each in own), key=lambda doc: len(doc.names))
    fields = dataclasses.fields(cast("Any", kind)) if dataclasses.is_dataclass(kind) else ()
    members = {each: value for part in reversed(own) for each, value in vars(part).items() if not each.startswith("_")}
    properties = {each: value.fget for each, value in members.items() if isinstance(value, property) and value.fget}
    functions = {each: value for each, value in members.items() if inspect.isfunction(value)}

    types = {field.name: str(field.type) for field in fields}
    types |= {each: inspect.signature(get).return_annotation for each, get in properties.items()}
    says = {each: _one_line(get.__doc__ or "") for each, get in properties.items()}
    says |= doc.names
    rows = [(code(each), code(types.get(each, "")), says.get(each, "")) for each in {**doc.names, **types}]
    owner = name.removeprefix("furet.")
    return "\n".join([
        f"## {name}\n", doc.text + "\n",
        table(("attribute", "type", ""), rows),
        *(_function(f"{owner}.{each}", value, "###") for each, value in functions.items()),
    ])  # fmt: skip


def _signature(name: str, signature: inspect.Signature) -> str:
    """A signature as people write it, one parameter a line where it is long."""
    parts: list[str] = []
    keyword_only = False
    for each in signature.parameters.values():
        if each.name == "self":
            continue
        if each.kind is each.KEYWORD_ONLY and not keyword_only:
            parts.append("*")
            keyword_only = True
        if each.kind is each.VAR_KEYWORD:
            parts.append(f"**{each.name}")
            continue
        default = "" if each.default is each.empty else f" = {each.default!r}"
        parts.append(f"{each.name}: {each.annotation}{default}")
    result = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(parts)}){result}"
    return line if len(line) <= 110 else f"{name}(\n    " + ",\n    ".join(parts) + f",\n){result}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _listed(names: Mapping[str, str]) -> str:
    return ", ".join(f"{code(name)} ({meaning})" for name, meaning in names.items())


def _alias(value: Any) -> str:
    """What a type's name stands for."""
    if str(get_origin(value)) == "typing.Literal":
        return " | ".join(map(repr, get_args(value)))
    shown = re.sub(r"\b(?:typing|collections\.abc|numpy)\.", "", str(value))
    return "NDArray[float32]" if "ndarray" in shown else shown


# options.md


def options_page() -> str:
    """The fields of Request, those of Sampling among them."""
    from furet.engine.request import Request
    from furet.sample.settings import Sampling

    fields = {field.name: field for field in dataclasses.fields(Request)}
    meanings = read(Sampling.__doc__).names | read(Request.__doc__, fields).names
    types = option_types()
    if types.keys() != fields.keys() or not fields.keys() <= meanings.keys():
        raise SystemExit("Options, Request and its docstring do not name the same fields")
    return "\n".join([
        "# Options of an answer\n", MADE,
        "Keyword arguments of `Model.generate`, `Model.stream`, `Model.chat` and `Chat.say`. In a conversation",
        "`max_tokens` is `None` unless given. [sampling.md](../sampling.md) says what the settings of sampling do, and",
        "in which order.\n",
        table(("name", "type", "default", ""), (
            (code(name), code(types[name]), code(repr(_default(each))), meanings[name]) for name, each in fields.items()
        )),
    ])  # fmt: skip


def option_types() -> dict[str, str]:
    """The options of an answer with their types, as they are written in the code."""
    from furet.engine.request import Options

    return {name: str(getattr(each, "__forward_arg__", each)) for name, each in Options.__annotations__.items()}


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default is not dataclasses.MISSING else cast("Any", field.default_factory)()


# cli.md


def cli_page() -> str:
    """Every verb with its options."""
    from furet.cli.main import VERBS

    parts = ["# Command line\n", MADE, "[How it is used](../cli.md).\n"]
    parts += [table(("", ""), ((f"[`furet {verb}`](#furet-{verb})", about) for verb, about in VERBS.items()))]
    return "\n".join([*parts, *map(_verb, VERBS)])


def _verb(name: str) -> str:
    from furet.cli.arguments import parser

    found = parser(getattr(import_module(f"furet.cli.{name}"), name))
    rest, _, examples = (found.epilog or "").partition("examples:\n")
    groups = [group for group in found._action_groups if group._group_actions]
    places = [each for group in groups for each in group._group_actions if not each.option_strings]
    usage = " ".join([f"furet {name}", *map(_place, places), "[options]"])
    parts = [f"## furet {name}\n", f"```\n{usage}\n```\n", f"{found.description}\n", rest.strip() + "\n"]
    parts += [table(("argument", ""), ((code(str(each.metavar)), _help(each)) for each in places))]
    for group in groups:
        options = [each for each in group._group_actions if each.option_strings and each.dest != "help"]
        title = "option" if group.title in ("options", "optional arguments") else group.title or ""
        parts += [table((title, ""), ((_option(each), _help(each)) for each in options))]
    parts += [f"```\n{inspect.cleandoc('  ' + examples.strip())}\n```\n" if examples else ""]
    return "\n".join(part for part in parts if part.strip())


def _place(action: argparse.Action) -> str:
    shown = str(action.metavar)
    return {None: shown, "?": f"[{shown}]", "*": f"[{shown} ...]"}[cast("str | None", action.nargs)]


def _option(action: argparse.Action) -> str:
    """The names of an option and what follows them."""
    value = "|".join(map(str, action.choices)) if action.choices else action.metavar
    if action.nargs == 0:
        value = None
    elif action.nargs == "?":
        value = f"[{value}]"
    return " ".join(map(code, action.option_strings)) + (f" {value}" if value else "")


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")


# http.md

APIS = {"OpenAI": "/v1/", "Ollama": "/api/", "Anthropic": "/v1/messages", "Beside the APIs": "/"}
OF_JSON = {
    "float": "number", "int": "integer", "bool": "boolean", "str": "string", "Sequence[str]": "list of string",
    "Mapping[int, float]": "object", "str | Sequence[str]": "string or list of string", "object": "any",
    "bool | Literal['never']": 'boolean or `"never"`', 'bool | Literal["never"]': 'boolean or `"never"`',
}  # fmt: skip


def http_page() -> str:
    """Every route of the APIs; those of the page are its own."""
    from furet.serve.app import ServerSettings, create_app

    schema = create_app(cast("Any", None), ServerSettings(), page=False).openapi()
    objects = schema["components"]["schemas"]
    routes = [(path, method, route) for path, each in schema["paths"].items() for method, route in each.items()]
    parts = [
        "# HTTP\n", MADE,
        "[How it is used, and what is refused](../server.md). `furet serve` gives all of this, with every bound, at",
        "`/openapi.json`. Fields that are not named here are refused.\n",
    ]  # fmt: skip
    for api in APIS:
        parts.append(f"## {api}\n")
        parts += [_route(method, path, route, objects) for path, method, route in routes if _api(path) == api]
    named = sorted((_title(name, objects), name) for name in _reached(routes, objects))
    parts += ["## Objects\n", *(_object(title, objects[name], objects) for title, name in named)]
    return "\n".join(parts)


def _api(path: str) -> str:
    return max((api for api, prefix in APIS.items() if path.startswith(prefix)), key=lambda api: len(APIS[api]))


def _route(method: str, path: str, route: dict[str, Any], objects: dict[str, Any]) -> str:
    body = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    about = _one_line(route.get("description", route["summary"] + "."))
    fields = _fields(objects[_target(body)], objects) if body else ""
    return "\n".join([f"### {method.upper()} {path}\n", f"{about}\n", fields])


def _object(title: str, schema: dict[str, Any], objects: dict[str, Any]) -> str:
    return "\n".join([f"### {title}\n", f"{_one_line(schema.get('description', ''))}\n", _fields(schema, objects)])


def _fields(schema: dict[str, Any], objects: dict[str, Any]) -> str:
    """A table of the fields of an object; those that are options as in Python are only named after it.

    Fields that can be nothing but null are left out: clients may send them, and they say nothing.
    """
    shapes = {name: _shape(field, objects) for name, field in schema.get("properties", {}).items()}
    options = {name: OF_JSON.get(kind.removesuffix(" | None"), "") for name, kind in option_types().items()}
    same = [name for name in shapes if shapes[name] == options.get(name)]
    if len(same) < len(options) / 2:  # an object that has a field of such a name, and no more
        same = []
    rows = []
    for name, shape in shapes.items():
        default = schema["properties"][name].get("default")
        says = "" if default in (None, [], {}) else f"default {_json(default)}"
        if name in schema.get("required", ()):
            says = "required"
        if shape != "null" and name not in same:
            rows.append((code(name), shape, says))
    more = f"As well as these [options](options.md): {', '.join(map(code, same))}.\n" if same else ""
    return "\n".join([table(("field", "type", ""), rows), more])


def _shape(schema: dict[str, Any], objects: dict[str, Any]) -> str:
    """The type of a field in words of JSON; what may be null may be left out, so that is not said."""
    if "$ref" in schema:
        title = _title(_target(schema), objects)
        return f"[{title}](#{title.lower().replace(' ', '-')})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        shapes = (_shape(each, objects) for each in several if each.get("type") != "null")
        return " or ".join(dict.fromkeys(shapes)) or "null"
    if "const" in schema or "enum" in schema:
        return " or ".join(map(_json, schema.get("enum", [schema.get("const")])))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_shape(schema.get('items', {}), objects)}"
    bounds = [f"{words} {int(schema[key])}" for key, words in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return " ".join([kind, *bounds])


def _json(value: object) -> str:
    return code(json.dumps(value))


def _target(schema: dict[str, Any]) -> str:
    """The name of the object that a reference is to."""
    return str(schema["$ref"]).rpartition("/")[2]


def _title(name: str, objects: dict[str, Any]) -> str:
    """What an object is called; those that are called the same are told apart by their API."""
    title = str(objects[name].get("title", name))
    places = [each for each in objects if objects[each].get("title", each) == title]
    api = next((api for api in APIS if f"__{api.lower()}__" in name), "")
    return f"{title} of {api}" if len(places) > 1 and api else title


def _reached(routes: list[tuple[str, str, dict[str, Any]]], objects: dict[str, Any]) -> Iterator[str]:
    """The objects that the bodies of requests hold, the bodies themselves left out."""
    bodies = {_target(found) for _, _, route in routes for found in _references(route.get("requestBody", {}))}
    seen = set[str]()
    new = set(bodies)
    while new:
        seen |= new
        new = {_target(found) for name in new for found in _references(objects[name])} - seen
    yield from seen - bodies


def _references(schema: Any) -> Iterator[dict[str, Any]]:
    """All references within a schema."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


MAKERS = {"python.md": python_page, "options.md": options_page, "cli.md": cli_page, "http.md": http_page}


def page(name: str) -> str:
    """What a page of the reference is now."""
    return re.sub(r"\n{3,}", "\n\n", MAKERS[name]()).rstrip() + "\n"


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    for each in MAKERS:
        (PAGES / each).write_text(page(each))
