"""Rules: what turns a call into allow, ask or deny. The author writes predicates; `surefoot.rails.policy`
decides with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, ParamSpec

from ..errors import DefinitionError
from .tool import Tool

P = ParamSpec("P")


@dataclass(frozen=True)
class Deny:
    """A decision, and what an approval falls back to when nobody decides in time."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Approve:
    """A decision: make the call as it was proposed; of a review: try again."""

    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Edit:
    """A decision: make the call with these arguments instead, after every check has passed again."""

    args: dict[str, Any]
    by: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Settle:
    """A decision: an unknown call did happen, with this result; or this is a reviewed step's output."""

    result: Any
    by: str = ""
    reason: str = ""


Decision = Approve | Deny | Edit | Settle


@dataclass(frozen=True)
class Rule:
    """`kind` ask: a person of `by` decides within `within`; deny: refused; accept: these `fields` may carry
    what others wrote. `when` None always holds."""

    kind: Literal["ask", "deny", "accept"]
    tool: Tool[..., Any]
    when: Callable[..., bool] | None
    by: str = ""
    within: timedelta | None = None
    otherwise: type[Deny] = Deny
    reason: str = ""
    fields: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.within is not None and self.within <= timedelta(0):
            raise DefinitionError(
                f"a rule gives people {self.within} to decide",
                why="nobody could decide in that time",
                remedy="Give them some time, or no limit (None).",
            )

    @property
    def name(self) -> str:
        """What people and logs call the rule; stable as long as it asks the same of the same tool."""
        said = f"{self.kind} {self.tool.name}" + (f" by {self.by}" if self.by else "")
        return f"{said}({', '.join(self.fields)})" if self.fields else said


def approve(
    tool: Tool[P, Any],
    *,
    when: Callable[P, bool] | None = None,
    by: str = "",
    within: timedelta | None = None,
    otherwise: type[Deny] = Deny,
    reason: str = "",
) -> Rule:
    """A person must agree to each call of `tool` for which `when` is true of its arguments."""
    return Rule("ask", tool, when, by, within, otherwise, reason)


def forbid(tool: Tool[P, Any], *, when: Callable[P, bool] | None = None, reason: str = "") -> Rule:
    """Refuse the calls of `tool` for which `when` is true."""
    return Rule("deny", tool, when, reason=reason)


def accept(tool: Tool[..., Any], *fields: str) -> Rule:
    """These arguments of `tool` may carry text from an untrusted result without asking a person for it.

    It takes no other check away: what `approve` and `forbid` say about the same call still holds.
    """
    if not fields:
        raise DefinitionError(
            f"accept({tool.name}) names no argument",
            why="it says of an argument that others may have written it, so it must say of which",
            remedy=f'Name those that may carry what others wrote, such as accept({tool.name}, "text").',
        )
    return Rule("accept", tool, None, fields=fields)
