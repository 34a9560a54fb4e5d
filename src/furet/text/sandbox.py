"""Jinja for chat templates: the dialect that models are published with, and nothing that leads out of it.

The dialect is that of Hugging Face's apply_chat_template: blocks trimmed, `break` and `continue`, `tojson`
without HTML escapes, `raise_exception`, `strftime_now`, the `generation` tag. Jinja's own sandbox keeps
templates from Python's internals. The limits come on top: the syntax tree is rewritten so that every loop,
macro and piece of output counts its steps, and every operation that makes something pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, pass_context
from jinja2.visitor import NodeTransformer

from furet.text import limits
from furet.text.filters import template_filters
from furet.text.limits import TooMuch, current, made

MAX_TREE = 20_000  # nodes of a syntax tree; the largest published templates have some 3,000
_REFUSED = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends, nodes.ScopedEvalContextModifier)
_UNSAFE = {"encode", "expandtabs", "from_bytes", "fromkeys", "maketrans", "striptags", "to_bytes", "translate"}


class Refused(TemplateError):
    """`raise_exception` in a template: the model does not take these messages."""


class TemplateNamespace(Namespace):
    """Jinja's `namespace`, printing nothing of what it holds: it may hold itself.

    Names with an underscore in front are refused: libraries ask objects for such attributes, and call them.
    """

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that an attribute may be called `self`
        attributes: dict[Any, Any] = dict(*args[1:], **kwargs)
        for name in attributes:
            _refuse_private(name)
        Namespace.__init__(args[0], attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)

    def __repr__(self) -> str:
        return "<namespace>"


def _refuse_private(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace has no attribute {name!r}")


class TemplateDict:
    """Python's `dict` as far as templates use it, without the class itself and what hangs on it."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        if args and not isinstance(args[0], dict):
            pairs = [tuple(pair) for pair in args[0]]
            limits.ask_to_hash(pair[0] for pair in pairs if pair)
            args = (pairs, *args[1:])
        return dict(*args, **kwargs)

    def fromkeys(self, keys: Any, value: Any = None) -> dict[Any, Any]:
        """A dict with the same value for every key."""
        limits.ask_to_iterate(keys)
        found = list(keys)
        limits.ask_to_hash(found)
        return dict.fromkeys(found, value)


class Generation(Extension):
    """The tag around what the assistant says, which marks it for training and changes nothing in the text."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Metered(NodeTransformer):
    """Makes a syntax tree count its steps and pay for what it makes."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        return self._stepping(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        return self._stepping(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        return self._stepping(node)

    def visit_Output(self, node: nodes.Output) -> list[nodes.Node]:
        literal = sum(len(part.data) for part in node.nodes if isinstance(part, nodes.TemplateData))
        self.generic_visit(node)
        return [_statement("spend", literal, node.lineno), node]

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("concatenate", node.nodes, node.lineno)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _call("made", [node], node.lineno)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _call("made", [node], node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _call("made", [node], node.lineno) if node.ctx == "load" else node

    def _stepping(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        node.body.insert(0, _statement("spend", 0, node.lineno))
        found: nodes.Node = node
        return found


def _call(name: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    function = nodes.EnvironmentAttribute(name, lineno=line)
    return nodes.Call(function, arguments, [], None, None, lineno=line)


def _statement(name: str, argument: int, line: int) -> nodes.Node:
    return nodes.ExprStmt(_call(name, [nodes.Const(argument, lineno=line)], line), lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that templates are compiled and run in. `now` tells the time to `strftime_now`."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing runs while compiling
            finalize=_printable,
            extensions=[LoopControlExtension, Generation],
        )
        self.filters = {name: _metered(function) for name, function in template_filters().items()}
        self.tests = {name: _metered(test) for name, test in dict[str, Any](self.tests).items()}
        self.globals = {
            "range": self.globals["range"],
            "cycler": Cycler,
            "joiner": Joiner,
            "namespace": TemplateNamespace,
            "dict": TemplateDict(),
            "raise_exception": _raise_exception,
            "strftime_now": lambda format: now().strftime(format),
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        _check(tree)
        metered: nodes.Template = Metered().visit(tree)
        return metered

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        unsafe = attr in _UNSAFE and not isinstance(obj, TemplateDict)
        return not unsafe and super().is_safe_attribute(obj, attr, value)

    def getitem(self, obj: Any, argument: Any) -> Any:
        current.get().look_at_the_clock()  # filters look up names such as "0.0.0.0", as long as they like
        return super().getitem(obj, argument)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        current.get().step()
        limits.ask_to_combine(operator, left, right)
        return made(super().call_binop(context, operator, left, right))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        current.get().step()
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str):
            args = limits.ask_to_call(owner, obj.__name__, args, kwargs)
        return made(super().call(context, obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        format = super().wrap_str_format(value)
        if format is None:
            return None

        def metered(*args: Any, **kwargs: Any) -> str:
            limits.ask_to_format(value.__self__, [*args, *kwargs.values()])
            return format(*args, **kwargs)

        return metered

    # What the rewritten trees call: through `call` above, which counts the step and pays for the result.

    def spend(self, literal: int) -> None:
        """Pay for `literal` characters of the template's own text."""
        current.get().pay(literal)

    def made(self, value: Any) -> Any:
        """A list or the like that the template wrote out."""
        return value

    def concatenate(self, *parts: Any) -> str:
        """The `~` operator."""
        current.get().ask(sum(map(limits.printed_size, parts)))
        return "".join(map(str, parts))


def _check(tree: nodes.Template) -> None:
    """Refuse what no chat template needs: other templates, Python's internals, a tree of absurd size."""
    pending: list[nodes.Node] = [tree]
    for count, node in enumerate(_walk(pending)):
        if count > MAX_TREE:
            raise TooMuch(f"a syntax tree of more than {MAX_TREE} nodes")
        if isinstance(node, _REFUSED):
            raise TemplateSyntaxError(
                f"{type(node).__name__.lower()} has no place in a chat template", node.lineno
            )
        if isinstance(node, nodes.Getattr) and node.attr.startswith("__"):
            raise TemplateSyntaxError(f"attribute {node.attr!r} is Python's own", node.lineno)


def _walk(pending: list[nodes.Node]) -> Iterator[nodes.Node]:
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


@pass_context
def _printable(context: Context, value: Any) -> Any:
    """What `{{ }}` prints, once it is paid for."""
    current.get().pay(limits.printed_size(value))
    return value


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter or test that counts as a step and pays for what it makes."""

    @wraps(function)
    def metered(*args: Any, **kwargs: Any) -> Any:
        current.get().step()
        return made(function(*args, **kwargs))

    return metered


def _raise_exception(message: object) -> None:
    raise Refused(str(message))
