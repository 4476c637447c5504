"""Steps: named typed functions whose output is journaled. A finished one never runs again.

The decorator returns a value that is still the function: `await triage(ticket, run)` works in a
unit test. What a step declares for bad days stands beside it: `retry`, `timeout`, `fallback`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ..errors import BadSignature, DefinitionError
from .schema import name_of
from .tool import Isolation

P = ParamSpec("P")
T = TypeVar("T")
F_co = TypeVar("F_co", covariant=True)


@dataclass(frozen=True)
class Retry:
    """Attempts at a step when its failure is transient: exponential backoff with full jitter.

    Before attempt n+1 it waits a random time of at most `base * 2**(n-1)` seconds, `most` at the
    longest, and never less than the other side asked for.
    """

    attempts: int = 3
    base: float = 0.5
    most: float = 60.0

    def __post_init__(self) -> None:
        if not (self.attempts >= 1 and 0 <= self.base < math.inf and 0 <= self.most < math.inf):
            raise DefinitionError(
                f"{self!r} makes no sense",
                why="attempts= is below 1, or a time is below 0 or endless",
                remedy="At least one attempt, no negative times.",
            )

    def delay(self, attempt: int, jitter: float, asked: float | None = None) -> float:
        """Seconds to wait after failed attempt `attempt` (1 is the first); `jitter` is in [0, 1)."""
        ceiling = min(self.most, self.base * 2.0 ** min(attempt - 1, 60))
        return max(ceiling * jitter, asked or 0.0)


@dataclass(frozen=True)
class Use(Generic[T]):
    """A fallback: this value."""

    value: T


@dataclass(frozen=True)
class Review:
    """A fallback: set the run aside for a person of this queue."""

    queue: str = ""


@dataclass(frozen=True, eq=False)
class Step(Generic[P, T]):
    name: str
    function: Callable[P, Any]
    timeout: float | None
    retry: Retry
    fallback: Callable[..., Any] | Use[Any] | Review | None
    isolation: Isolation | None
    is_async: bool

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Step({self.name!r})"


class StepDecorator(Generic[F_co]):
    """What `step(...)` gives; its type carries what the fallback gives, which must be the step's own."""

    def __init__(self, make: Callable[[Callable[..., Any]], Step[..., Any]]) -> None:
        self._make = make

    @overload
    def __call__(self: StepDecorator[T], function: Callable[P, Awaitable[T]], /) -> Step[P, T]: ...
    @overload
    def __call__(self: StepDecorator[T], function: Callable[P, T], /) -> Step[P, T]: ...
    def __call__(self, function: Callable[..., Any], /) -> Step[..., Any]:
        return self._make(function)


_DEFAULT_RETRY = Retry()


@overload
def step(function: Callable[P, Awaitable[T]], /) -> Step[P, T]: ...
@overload
def step(function: Callable[P, T], /) -> Step[P, T]: ...
@overload
def step(
    *,
    fallback: Use[T] | Callable[..., T],
    timeout: float | None = None,
    retry: Retry = ...,
    isolation: Isolation | None = None,
    name: str | None = None,
) -> StepDecorator[T]: ...
@overload
def step(
    *,
    fallback: Review | None = None,
    timeout: float | None = None,
    retry: Retry = ...,
    isolation: Isolation | None = None,
    name: str | None = None,
) -> StepDecorator[Any]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    fallback: Any = None,
    timeout: float | None = None,
    retry: Retry = _DEFAULT_RETRY,
    isolation: Isolation | None = None,
    name: str | None = None,
) -> Any:
    """Make a step of a typed function: `@step`, or `@step(timeout=30, retry=Retry(5), fallback=...)`.

    `timeout` is seconds of one attempt. `retry` applies to transient failures. `fallback` is a
    function of (some of) the step's inputs, `Use(value)`, or `Review(queue)`.
    A plain `def` runs on the event loop and is meant for decisions; give long work
    `isolation="process"`, where a timeout can kill it.
    """

    def make(function: Any) -> Step[..., Any]:
        is_async = inspect.iscoroutinefunction(function)
        own = name or name_of(function)
        if (
            not callable(function)
            or inspect.isgeneratorfunction(function)
            or inspect.isasyncgenfunction(function)
        ):
            raise BadSignature(
                f"step {own!r} is {'a generator' if callable(function) else 'no function'}",
                why="its one result is what the journal keeps",
                remedy="A step is a function that gives its result once.",
            )
        if timeout is not None and not 0 < timeout < math.inf:
            raise BadSignature(
                f"step {own!r} has a timeout of {timeout} s",
                why="no attempt could end in that time",
                remedy="Give it some time, or None.",
            )
        if isolation and is_async:
            raise BadSignature(
                f"step {own!r} is async and isolated in a process",
                why="a process runs plain functions; async work can be stopped without one",
                remedy="Make it a plain def, or drop isolation=.",
            )
        if timeout is not None and not is_async and not isolation:
            raise BadSignature(
                f"step {own!r} is a plain def with a timeout",
                why="nothing can stop a plain function in this process",
                remedy='Make it async, or give it isolation="process".',
            )
        return Step(own, function, timeout, retry, fallback, isolation, is_async)

    return make if function is None else make(function)
