"""Tools: typed functions that touch the world, and what each declares about itself.

    @tool(effect=Effect.KEYED, permission="refunds:write", timeout=10)
    async def refund(call: Call, number: str, amount: Decimal) -> Receipt: ...

The decorator returns a value; nothing is registered anywhere. The only caller of a tool's function
is the gateway (`surefoot.tools.gateway`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload

from ..errors import BadSignature, DefinitionError, InvalidArguments
from .schema import Parameters, RawParameters, RawShape, Shape, hints_of, name_of

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Isolation = Literal["process"]


class Effect(Enum):
    """What it means to do a call twice; recovery follows it."""

    READ = "read"
    """Changes nothing: free to repeat."""
    IDEMPOTENT = "idempotent"
    """The same arguments have the same outcome, however often."""
    KEYED = "keyed"
    """The other side deduplicates by `call.key`."""
    ONCE = "once"
    """Must not be repeated: after a doubt, ask `reconcile`, else a person."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool's function may know of the call it serves.

    `key` is the same over retries, crashes and resumption; `deadline` is microseconds since the epoch.
    """

    tool: str
    key: str
    run: str
    step: str
    attempt: int
    deadline: int
    arguments: Mapping[str, Any]
    resources: tuple[Any, ...] = field(default=(), repr=False)

    def use(self, kind: type[T]) -> T:
        """The workflow's resource of this type."""
        for resource in self.resources:
            if isinstance(resource, kind):
                return resource
        raise DefinitionError(
            f"{self.tool}: no resource of type {kind.__name__}",
            why=f"open are {[type(one).__name__ for one in self.resources]}",
            remedy="List its factory in the workflow's resources=[...].",
        )


@dataclass(frozen=True, slots=True)
class Done(Generic[R]):
    """A reconcile's answer: it happened, with this result."""

    result: R


@dataclass(frozen=True, slots=True)
class Undone:
    """A reconcile's answer: it surely did not happen, and will not."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """A reconcile's answer: a person has to look."""


Reconcile = Callable[[Call], Awaitable["Done[Any] | Undone | CannotTell"]]


@dataclass(frozen=True, eq=False)
class Tool(Generic[P, R]):
    """A tool as a value. `function` takes `call` first where `takes_call`."""

    name: str
    description: str
    function: Callable[..., Any]
    effect: Effect
    permission: str | None
    timeout: float
    version: str
    isolation: Isolation | None
    reconcile: Reconcile | None
    max_bytes: int
    """The most that a result may weigh as JSON; a larger one is refused as invalid."""
    untrusted: bool
    """Others write what it returns (a web page, a mail, a carrier's note): see `rails/provenance.py`."""
    takes_call: bool
    is_async: bool
    takes_mapping: bool
    parameters: Parameters | RawParameters
    output: Shape | RawShape

    def __repr__(self) -> str:
        return f"Tool({self.name!r}, {self.effect.value})"

    @property
    def input_schema(self) -> dict[str, Any]:
        return self.parameters.json_schema

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Positional and keyword arguments by name. Raises InvalidArguments."""
        if not args:
            return dict(kwargs)
        if self.takes_mapping and len(args) == 1 and isinstance(args[0], Mapping):
            return {**args[0], **kwargs}
        names = list(self.parameters.names) if isinstance(self.parameters, Parameters) else []
        bound = dict(zip(names, args, strict=False))
        doubled = bound.keys() & kwargs.keys()
        if len(args) > len(names) or doubled:
            raise InvalidArguments(
                f"{self.name}({', '.join(names)}) was called with {len(args)} arguments by position",
                why=f"{sorted(doubled)} are given twice" if doubled else f"it takes {len(names)}",
                remedy="Give the arguments by name.",
            )
        return {**bound, **kwargs}

    def invoke(self, call: Call, arguments: Mapping[str, Any]) -> Any:
        """Calls the function; the gateway alone does this."""
        if self.takes_mapping:
            return self.function(call, dict(arguments))
        if self.takes_call:
            return self.function(call, **arguments)
        return self.function(**arguments)

    @staticmethod
    def from_schema(
        name: str,
        description: str,
        input_schema: dict[str, Any],
        function: Callable[[Call, dict[str, Any]], Any],
        *,
        effect: Effect,
        output_schema: dict[str, Any] | None = None,
        permission: str | None = None,
        timeout: float = 30.0,
        version: str = "1",
        reconcile: Reconcile | None = None,
        max_bytes: int = 256 * 1024,
        untrusted: bool = False,
    ) -> Tool[..., Any]:
        """A tool from elsewhere: `function(call, arguments)` behind a raw JSON Schema."""
        _check_declared(name, effect, timeout, max_bytes)
        return Tool(
            name=_name(name),
            description=description,
            function=function,
            effect=effect,
            permission=permission,
            timeout=timeout,
            version=version,
            isolation=None,
            reconcile=reconcile,
            max_bytes=max_bytes,
            untrusted=untrusted,
            takes_call=True,
            is_async=_is_async(function),
            takes_mapping=True,
            parameters=RawParameters(name, input_schema),
            output=RawShape(f"tool {name!r}", output_schema),
        )


class ToolDecorator(Protocol):
    @overload
    def __call__(self, function: Callable[Concatenate[Call, P], Awaitable[R]], /) -> Tool[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[Call, P], R], /) -> Tool[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Tool[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Tool[P, R]: ...


def tool(
    *,
    effect: Effect,
    permission: str | None = None,
    timeout: float = 30.0,
    version: str = "1",
    isolation: Isolation | None = None,
    reconcile: Reconcile | None = None,
    name: str | None = None,
    max_bytes: int = 256 * 1024,
    untrusted: bool = False,
) -> ToolDecorator:
    """Make a tool of a typed function. Its docstring is what a model reads; `effect` has no default,
    because only the author knows it. `untrusted=True` says that others write what it returns: an effect
    whose arguments carry text of it then asks a person, unless a rule `accept`s it there."""

    def decorate(function: Callable[..., Any], /) -> Tool[..., Any]:
        own = _name(name or name_of(function))
        _check_declared(own, effect, timeout, max_bytes)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise BadSignature(
                f"tool {own!r} is a generator",
                why="its one result is what is validated and kept",
                remedy="A tool is a function that gives its result once.",
            )
        hints = hints_of(function, "tool")
        if "return" not in hints:
            raise BadSignature(
                f"tool {own!r} does not say what it returns",
                why="results are validated by their type",
                remedy="Annotate its result (-> None where there is none): results are validated.",
            )
        signature = list(inspect.signature(function).parameters.values())
        takes_call = bool(signature) and hints.get(signature[0].name) is Call
        stray = [p.name for p in signature[1:] if hints.get(p.name) is Call]
        if stray:
            raise BadSignature(
                f"tool {own!r} takes its Call as {stray[0]!r}",
                why="the others are the arguments that a model gives",
                remedy="A Call must be the first parameter.",
            )
        if isolation and _is_async(function):
            raise BadSignature(
                f"tool {own!r} is async and isolated in a process",
                why="a process runs plain functions; async work can be stopped without one",
                remedy="Make it a plain def, or drop isolation=.",
            )
        skip = frozenset({signature[0].name}) if takes_call else frozenset[str]()
        return Tool(
            name=own,
            description=inspect.cleandoc(function.__doc__ or ""),
            function=function,
            effect=effect,
            permission=permission,
            timeout=timeout,
            version=version,
            isolation=isolation,
            reconcile=reconcile,
            max_bytes=max_bytes,
            untrusted=untrusted,
            takes_call=takes_call,
            is_async=_is_async(function),
            takes_mapping=False,
            parameters=Parameters(own, function, skip),
            output=Shape(hints["return"], f"tool {own!r}"),
        )

    return decorate  # type: ignore[return-value]  # one body serves the four overloads


def _check_declared(name: str, effect: Effect, timeout: float, max_bytes: int) -> None:
    if not isinstance(effect, Effect):
        raise BadSignature(
            f"tool {name!r} has {effect!r} as its effect",
            why="the effect decides what a crash in the middle leads to, so it must be one of four",
            remedy="Give Effect.READ, IDEMPOTENT, KEYED or ONCE.",
        )
    if not 0 < timeout < math.inf or max_bytes < 1:
        raise BadSignature(
            f"tool {name!r} has a timeout of {timeout} s and at most {max_bytes} bytes of result",
            why="no call could end well with that",
            remedy="Give it some time and some room.",
        )


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  (an object with an async __call__)
    )


def _name(name: str) -> str:
    if not name or len(name) > 64 or not all((c.isascii() and c.isalnum()) or c in "_-" for c in name):
        raise BadSignature(
            f"{name!r} is no name for a tool",
            why="models accept letters, digits, _ and -, 64 at most",
            remedy="Give it another one with name=.",
        )
    return name
