"""The Workflow: the versioned definition of what runs, with everything it may do.

`Definition` is pure; `surefoot.Workflow` adds `run_sync` to it, two floors up.
"""

from __future__ import annotations

import dis
import hashlib
import inspect
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from pathlib import PurePath
from types import ModuleType
from typing import Any

from ..errors import BadSignature, DefinitionError, DuplicateName, ToolNotListed
from .budget import Budget
from .jsons import canonical, dumps
from .model import Model
from .rule import Rule
from .schema import Parameters
from .step import Review
from .tool import Tool
from .types import show
from .wiring import INPUT, Plan

Resource = Callable[..., AbstractAsyncContextManager[Any]]


class Definition:
    """Built once, at import; every mistake in it is an error there. See the parameters of `Workflow`."""

    def __init__(
        self,
        name: str,
        *,
        input: Any,
        steps: Sequence[Any],
        version: str = "1",
        tools: Sequence[Tool[..., Any]] = (),
        grants: Sequence[str] = (),
        rules: Sequence[Rule] = (),
        budget: Budget | None = None,
        resources: Sequence[Resource] = (),
        models: Sequence[str | Model] = (),
        secrets: Sequence[str] = (),
        description: str = "",
    ) -> None:
        if not name or not all(c.isalnum() or c in "-_." for c in name) or len(name) > 64:
            raise DefinitionError(
                f"{name!r} is no name for a workflow",
                why="it stands in the journal, in addresses and in file names",
                remedy="Use letters, digits, '-', '_' and '.', 64 at most.",
            )
        lists: dict[str, Any] = {
            "tools": tools,
            "grants": grants,
            "rules": rules,
            "models": models,
            "secrets": secrets,
            "steps": steps,
        }
        for what, listed in lists.items():
            if isinstance(listed, str) or not isinstance(listed, Sequence):
                # Of a string, each of its letters would be taken for one.
                raise DefinitionError(
                    f"{name!r} has {what}={listed!r}",
                    why=f"it is a {type(listed).__name__}, and no list",
                    remedy=f"Give a list: {what}=[...].",
                )
        self.name = name
        self.version = version
        self.description = description
        self.tools: dict[str, Tool[..., Any]] = {}
        for one in tools:
            if not isinstance(one, Tool):
                raise DefinitionError(
                    f"{name!r} lists {one!r} among its tools",
                    why=f"it is a {type(one).__name__}, and no tool",
                    remedy="Decorate the function with @tool.",
                )
            if one.name in self.tools:
                raise DuplicateName(
                    f"{name!r} has two tools named {one.name!r}",
                    why="models and rules know a tool by its name",
                    remedy="Give one of them another name with @tool(name=...), or list it once.",
                )
            self.tools[one.name] = one
        self.grants = tuple(grants)
        self.rules = tuple(rules)
        for rule in self.rules:
            about: Any = getattr(rule, "tool", None)
            if not isinstance(about, Tool):
                raise DefinitionError(
                    f"{name!r} has {rule!r} among its rules",
                    why=f"it is a {type(rule).__name__}, or a rule about something that is no tool",
                    remedy="Make rules with approve(...) and forbid(...), of functions that are @tool.",
                )
            if self.tools.get(rule.tool.name) is not rule.tool:
                raise ToolNotListed(
                    f"a rule of {name!r} is about {rule.tool.name!r}, which is not among its tools",
                    why=f"its tools are {sorted(self.tools)}",
                    remedy="Add it to tools=[...], or drop the rule.",
                )
            _check_predicate(name, rule)
            _check_fields(name, rule)
        self.budget = budget or Budget()
        self.resources = tuple(resources)
        self.models = tuple(models)
        self.secrets = tuple(secrets)
        self.plan = Plan(name, input, steps)
        self.input_type = input
        self._check_named_tools()

    def __repr__(self) -> str:
        return f"Workflow({self.name!r}, version={self.version!r}, steps={list(self.plan.steps)})"

    def _check_named_tools(self) -> None:
        """A step's body that names a tool which is not listed could only ever fail: say so now."""
        for wired in self.plan.steps.values():
            for used in _tools_named(wired.step.function):
                if self.tools.get(used.name) is not used:
                    raise ToolNotListed(
                        f"step {wired.name!r} uses the tool {used.name!r}, which {self.name!r} does not list",
                        why=f"its tools are {sorted(self.tools)}",
                        remedy="Add it to tools=[...]: the list is the allowlist.",
                    )

    @cached_property
    def prompts(self) -> dict[str, PurePath]:
        """Prompt files that steps name, by "step:name", with where they lie."""
        found = {}
        for wired in self.plan.steps.values():
            for text in _strings_in(wired.step.function):
                if text.endswith(".md") and "\n" not in text:
                    found[f"{wired.name}:{text}"] = prompt_path(wired.step.function, text)
        return found

    def describe(self, prompt_digests: dict[str, str]) -> dict[str, Any]:
        """What a run's journal records of its definition, to tell later what has changed."""
        return {**self._shape, "prompts": prompt_digests}

    @cached_property
    def _shape(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "input": show(self.input_type),
            "steps": {
                wired.name: {
                    "takes": {k: v or "<input>" for k, v in wired.sources.items()},
                    "gives": _digest(wired.output.json_schema),
                }
                for wired in self.plan.steps.values()
            },
            "last": self.plan.last,
            "tools": {
                one.name: [one.version, one.effect.value, one.permission or "", _digest(one.input_schema)]
                for one in self.tools.values()
            },
        }

    @cached_property
    def rules_digest(self) -> str:
        said = [[rule.name, rule.by, str(rule.within)] for rule in self.rules]
        untrusted = sorted(one.name for one in self.tools.values() if one.untrusted)
        return _digest([self.grants, said, untrusted] if untrusted else [self.grants, said])

    def queues(self) -> set[str]:
        """Queues and groups that people are asked in."""
        named = {rule.by for rule in self.rules if rule.by}
        for wired in self.plan.steps.values():
            if isinstance(wired.step.fallback, Review) and wired.step.fallback.queue:
                named.add(wired.step.fallback.queue)
        return named


def fingerprint_of(description: dict[str, Any]) -> tuple[str, str]:
    """(fingerprint, JSON) of a description."""
    text = dumps(description)
    return _digest(description), text


def prompt_path(function: Callable[..., Any], name: str) -> PurePath:
    return PurePath(inspect.unwrap(function).__code__.co_filename).parent / name


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def _codes(function: Callable[..., Any]) -> list[Any]:
    """The code of a function and of the functions inside it."""
    found, queue = [], [getattr(inspect.unwrap(function), "__code__", None)]
    while queue:
        code = queue.pop()
        if code is None:
            continue
        found.append(code)
        queue.extend(const for const in code.co_consts if inspect.iscode(const))
    return found


def _strings_in(function: Callable[..., Any]) -> list[str]:
    found: list[str] = []
    for code in _codes(function):
        for const in code.co_consts:
            if isinstance(const, str):
                found.append(const)
    return found


def _tools_named(function: Callable[..., Any]) -> list[Tool[..., Any]]:
    """Tools that a function's code names: as a global, as an attribute of a module, or from around it."""
    function = inspect.unwrap(function)
    scope: dict[str, Any] = getattr(function, "__globals__", {})
    found: list[Any] = []
    for code in _codes(function):
        if not any(isinstance(scope.get(name), Tool | ModuleType) for name in code.co_names):
            continue
        # The names alone do not tell `refund` from `outcome.refund`; the instructions do.
        before: Any = None
        for instruction in dis.get_instructions(code):
            match instruction.opname:
                case "LOAD_GLOBAL" | "LOAD_NAME":
                    before = scope.get(instruction.argval)
                case "LOAD_ATTR" | "LOAD_METHOD" if isinstance(before, ModuleType):
                    before = vars(before).get(instruction.argval)
                case _:
                    before = None
            found.append(before)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            continue  # a name that is bound later, such as the function's own
    return [one for one in found if isinstance(one, Tool)]


def _check_fields(workflow: str, rule: Rule) -> None:
    parameters = rule.tool.parameters
    known = list(parameters.names) if isinstance(parameters, Parameters) else None
    if known is None:
        properties = rule.tool.input_schema.get("properties")
        known = list(properties) if isinstance(properties, dict) else []
    if unknown := [name for name in rule.fields if name not in known]:
        raise BadSignature(
            f"the rule {rule.name!r} of {workflow!r} names {unknown}",
            why=f"the arguments of {rule.tool.name} are {known}",
            remedy="Name arguments that the tool has.",
        )


def _check_predicate(workflow: str, rule: Rule) -> None:
    """One that cannot be called with the tool's arguments would refuse each call, and only say so then."""
    when: Any = rule.when
    parameters = rule.tool.parameters
    if when is None:
        return
    what = f"the rule {rule.name!r} of {workflow!r}"
    if not callable(when) or inspect.iscoroutinefunction(when):
        raise BadSignature(
            f"{what} has {when!r} as its when=",
            why=f"it is a {type(when).__name__}",
            remedy="Give a plain function that says True or False.",
        )
    try:
        signature = inspect.signature(when)
    except ValueError:
        return  # something built in, that does not tell
    if not isinstance(parameters, Parameters):
        return  # what it takes depends on each call
    try:
        signature.bind(**dict.fromkeys(parameters.names))
    except TypeError as error:
        raise BadSignature(
            f"{what} cannot be asked about {rule.tool.name}({', '.join(parameters.names)})",
            why=f"its when= is called with these arguments by name: {error}",
            remedy="Let it take exactly the tool's arguments.",
        ) from error


__all__ = ["INPUT", "Definition", "Resource", "fingerprint_of", "prompt_path"]
