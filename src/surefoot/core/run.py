"""The handle that a step's parameter of type `Run` receives: the only ways out of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from uuid import UUID

from .tool import Tool

if TYPE_CHECKING:
    # `Order | None` and `Literal["a", "b"]` are outputs too, and no `type[...]`.
    from typing_extensions import TypeForm

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Run(ABC):
    """Everything here is journaled: a body that was cut off is run again and gets the same answers."""

    id: str
    step: str
    attempt: int

    @abstractmethod
    async def ask(
        self,
        output: TypeForm[T],
        prompt: str,
        data: Mapping[str, Any] | None = None,
        *,
        tools: Sequence[Tool[..., Any]] = (),
        max_turns: int = 8,
        repairs: int = 2,
        max_tokens: int = 1024,
        timeout: float = 60.0,
    ) -> T:
        """One question to a model, answered by a valid `output`.

        `prompt` that ends in ".md" is a file beside the step's module; any other is the instructions
        themselves. `data` goes to the model apart from them, as named JSON. `tools` is this ask's own
        allowlist. An answer that does not fit is asked again with its errors, `repairs` times; the
        whole takes at most `max_turns` answers of `max_tokens` each, `timeout` seconds each.

        Raises ModelError (unavailable, refused, invalid, truncated, out of turns), BudgetError.
        """

    @abstractmethod
    async def call(self, tool: Tool[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """One call of a tool, through every check. May wait days for a person, holding no memory.

        Raises CallRefused (InvalidArguments, ToolDenied, Denied), NotDone, CallUnknown, InvalidResult,
        GivenUp, BudgetExceeded.
        """

    @abstractmethod
    async def sleep(self, duration: float | timedelta, /) -> None:
        """Seconds, or a timedelta; durable: days are fine."""

    @abstractmethod
    def now(self) -> datetime:
        """The time (UTC), the same again when the step is replayed."""

    @abstractmethod
    def uuid(self) -> UUID:
        """A random id, the same again when the step is replayed."""
