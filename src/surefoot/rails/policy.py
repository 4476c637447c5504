"""Policy: may this call be made? A pure function of the call, the grants, the rules and the history.

A guard that fails itself, denies: an exception in a rule's predicate, or an answer that is neither True
nor False, refuses the call, whatever the rule would have said.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ..core.rule import Rule
from ..core.states import CallState
from ..core.tool import Tool
from .provenance import Carried


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Ask:
    """A person of `by` (anyone, where empty) must agree `within` this time (None: no limit)."""

    reason: str
    rule: str
    by: str = ""
    within: timedelta | None = None
    evidence: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: str
    rule: str


Verdict = Allow | Ask | Refuse

PLAN_CHANGED = "plan changed after an effect"
UNTRUSTED = "untrusted text in an effect"


def may_decide(queue: str, by: str, people: Mapping[str, Collection[str]] | None) -> bool:
    """`people` None: the deployment has not said who belongs to a group, so anyone may decide. Names are
    compared to the letter: another case, or a letter that only looks the same, is somebody else."""
    if people is None or not queue:
        return True
    members = people.get(queue, ())
    return bool(by.strip()) and (by == members if isinstance(members, str) else by in members)


def permitted(tool: Tool[..., Any], grants: Collection[str]) -> bool:
    return tool.permission is None or tool.permission in grants


def narrowed(allowed: Sequence[str], *narrower: Collection[str] | None) -> tuple[str, ...]:
    """What is left of the author's grants after the deployment's and the starter's (None: no narrowing)."""
    left = tuple(allowed)
    for one in narrower:
        if one is not None:
            left = tuple(grant for grant in left if grant in one)
    return left


def check(
    tool: Tool[..., Any],
    arguments: Mapping[str, Any],
    rules: Sequence[Rule],
    unclaimed: Sequence[CallState] = (),
    carried: Sequence[Carried] = (),
) -> Verdict:
    """`unclaimed` are effects that this step made before, or may have made, and that its body has not asked
    for this time; `carried` is untrusted text in the arguments. The strictest rule wins: refuse over ask over
    allow."""
    asks: list[Ask] = []
    about = [rule for rule in rules if rule.tool.name == tool.name and rule.kind != "accept"]
    for rule in about:
        when: Callable[..., object] | None = rule.when
        try:
            holds = when is None or when(**arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a guard that fails, denies, in whatever manner
            return Refuse(f"the rule {rule.name!r} failed with {type(error).__name__}", rule.name)
        if not isinstance(holds, bool):
            # None is a forgotten return, and a coroutine is always true: neither is an answer.
            if inspect.iscoroutine(holds):
                holds.close()
            said = type(holds).__name__
            return Refuse(f"the rule {rule.name!r} said {said} instead of True or False", rule.name)
        if not holds:
            continue
        if rule.kind == "deny":
            return Refuse(rule.reason or f"{rule.name} forbids it", rule.name)
        reason = rule.reason or f"{rule.name} says that a person decides"
        asks.append(Ask(reason, rule.name, rule.by, rule.within, tuple(carried)))
    if asks:
        # What one group must decide is not decided by whoever comes along.
        return next((ask for ask in asks if ask.by), asks[0])
    if carried and tool.effect.value != "read":
        # Whoever decides on this tool otherwise decides on this, too.
        usual = next((rule for rule in about if rule.kind == "ask"), None)
        by, within = (usual.by, usual.within) if usual else ("", None)
        return Ask(_of_untrusted(carried), UNTRUSTED, by, within, tuple(carried))
    if unclaimed and tool.effect.value != "read":
        names = ", ".join(call.tool for call in unclaimed)
        return Ask(
            f"this step has already used {names}, and now wants something else",
            PLAN_CHANGED,
        )
    return Allow()


def _of_untrusted(carried: Sequence[Carried]) -> str:
    fields = ", ".join(dict.fromkeys(one.field for one in carried))
    sources = ", ".join(dict.fromkeys(one.source for one in carried))
    return f"{fields} may say what others wrote ({sources})"
