"""Budgets: the caps of a run, and of a day of the whole workflow. Money in nano-dollars inside."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ..errors import DefinitionError
from .model import NANO

_MOST_USD = 1_000_000_000
"""In nano-dollars this still fits the integers of every store."""


def nano(usd: str | int | float | Decimal) -> int:
    """Dollars to nano-dollars, rounded up."""
    try:
        amount = Decimal(str(usd))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < _MOST_USD:
        raise DefinitionError(
            f"{usd!r} is no amount of money",
            why="money is a number from 0 on",
            remedy='Give dollars, such as "0.20".',
        )
    return int((amount * NANO).to_integral_value(rounding="ROUND_CEILING"))


@dataclass(frozen=True)
class Budget:
    """What one run may use; None is no cap. `seconds` counts active time, not waiting for people.

    The `day_` caps are shared by all runs and workers of the workflow, charged to the (UTC) day of
    the reservation.
    """

    usd: str | int | float | Decimal | None = "0.50"
    tokens: int | None = 100_000
    tool_calls: int | None = 50
    model_calls: int | None = 50
    seconds: float | None = 600
    day_usd: str | int | float | Decimal | None = None
    day_tokens: int | None = None

    def __post_init__(self) -> None:
        for name in ("tokens", "tool_calls", "model_calls", "seconds", "day_tokens"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise DefinitionError(
                    f"Budget({name}={value!r}) is no cap",
                    why="a cap that is no number, or is below 0, stops nothing",
                    remedy="Give a number from 0 on, or None for no cap.",
                )
        for name in ("usd", "day_usd"):
            if (value := getattr(self, name)) is not None:
                nano(value)

    @property
    def nanousd(self) -> int | None:
        return None if self.usd is None else nano(self.usd)

    @property
    def day_nanousd(self) -> int | None:
        return None if self.day_usd is None else nano(self.day_usd)

    def to_json(self) -> dict[str, Any]:
        """The run's own caps, as its journal keeps them."""
        return {
            "nanousd": self.nanousd,
            "tokens": self.tokens,
            "tool_calls": self.tool_calls,
            "model_calls": self.model_calls,
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Usage:
    """What a run has used. Held reservations count as spent."""

    nanousd: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    seconds: float = 0.0

    @property
    def usd(self) -> float:
        return self.nanousd / NANO

    def to_json(self) -> dict[str, Any]:
        return {
            "usd": self.usd,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "seconds": round(self.seconds, 3),
        }
