"""Wiring: a step's parameters name the steps that it needs. Checked when the workflow is built.

Static checkers cannot see this, so every mistake is an error at import that names both ends.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_origin

from ..errors import (
    BadSignature,
    DuplicateName,
    MissingStep,
    NoneNotAllowed,
    StepCycle,
    WrongFallback,
    WrongType,
)
from .run import Run
from .schema import Shape, hints_of, name_of, parameters_of
from .step import Review, Step, Use
from .types import allows_none, bare, fits, show, without_none

INPUT = ""
"""Where a parameter takes the run's input. No step can have this name."""


@dataclass(frozen=True, eq=False)
class Wired:
    """A step with its sources: parameter -> name of a step, or INPUT; `run_as` is its handle's parameter."""

    step: Step[..., Any]
    sources: dict[str, str]
    run_as: str | None
    fallback_takes: tuple[str, ...]
    output: Shape

    @property
    def name(self) -> str:
        return self.step.name

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Names of the steps that must have finished first."""
        return tuple(dict.fromkeys(source for source in self.sources.values() if source != INPUT))


class Plan:
    """All steps wired, in an order in which each comes after what it needs."""

    def __init__(self, workflow: str, input_type: Any, steps: Sequence[Step[..., Any]]) -> None:
        self.input = Shape(input_type, f"the input of {workflow!r}")
        by_name: dict[str, Step[..., Any]] = {}
        for one in steps:
            if not isinstance(one, Step):
                raise BadSignature(
                    f"{workflow!r} lists {one!r} among its steps",
                    why=f"it is a {type(one).__name__}, and no step",
                    remedy="Decorate the function with @step.",
                )
            if one.name in by_name:
                raise DuplicateName(
                    f"{workflow!r} has two steps named {one.name!r}",
                    why="a step's name stands for its output in the other steps' parameters",
                    remedy="Give one of them another name with @step(name=...), or list it once.",
                )
            by_name[one.name] = one
        if not by_name:
            raise MissingStep(
                f"{workflow!r} has no steps",
                why="the last step's output is the run's, so there must be one",
                remedy="List at least one in steps=[...].",
            )
        outputs = {name: _output_of(one) for name, one in by_name.items()}
        wired = {name: _wire(workflow, input_type, one, by_name, outputs) for name, one in by_name.items()}
        self.steps: dict[str, Wired] = {name: wired[name] for name in _ordered(workflow, wired)}
        self.last = steps[-1].name
        self.dependents: dict[str, tuple[str, ...]] = {
            name: tuple(other.name for other in self.steps.values() if name in other.needs)
            for name in self.steps
        }
        self.first: tuple[str, ...] = tuple(one.name for one in self.steps.values() if not one.needs)


def _output_of(one: Step[..., Any]) -> Any:
    hints = hints_of(one.function, "step")
    if "return" not in hints:
        raise BadSignature(
            f"step {one.name!r} does not say what it gives",
            why="outputs are validated and kept by their type",
            remedy="Annotate its result (-> None where there is none).",
        )
    origin = get_origin(hints["return"])
    if isinstance(origin, type) and issubclass(origin, Awaitable):
        raise BadSignature(
            f"step {one.name!r} gives {show(hints['return'])}",
            why="what a step gives is kept as JSON, and this still has to be awaited",
            remedy="Make it async def, and annotate what it gives in the end.",
        )
    return hints["return"]


def _wire(
    workflow: str,
    input_type: Any,
    one: Step[..., Any],
    by_name: dict[str, Step[..., Any]],
    outputs: dict[str, Any],
) -> Wired:
    hints = hints_of(one.function, "step")
    sources: dict[str, str] = {}
    run_as: str | None = None
    for parameter in parameters_of(one.function, "step"):
        name = parameter.name
        if name not in hints:
            raise BadSignature(
                f"step {one.name!r}: parameter {name!r} has no type",
                why="it is checked against what the step that it names gives",
                remedy="Annotate it with the type of the step that it names, or of the input, or Run.",
            )
        wanted = hints[name]
        if bare(wanted) is Run:
            if run_as:
                raise BadSignature(
                    f"step {one.name!r} takes two handles, {run_as!r} and {name!r}",
                    why="both are annotated with Run",
                    remedy="One Run is all that there is: take one of them away.",
                )
            run_as = name
        elif name in by_name:
            _check_types(workflow, one.name, name, wanted, outputs[name])
            sources[name] = name
        elif fits(input_type, wanted):
            sources[name] = INPUT
        else:
            raise _missing(workflow, one.name, name, wanted, input_type, by_name)
    if not one.is_async and run_as:
        raise BadSignature(
            f"step {one.name!r} is a plain def and takes the run's handle {run_as!r}",
            why="everything on the handle is awaited",
            remedy="Make it async def.",
        )
    if one.isolation and "<locals>" in one.function.__qualname__:
        raise BadSignature(
            f"step {one.name!r} is isolated and defined inside a function",
            why="its process has to find it by importing its module",
            remedy="Define it at the top of a module: the process imports it by name.",
        )
    output = Shape(outputs[one.name], f"step {one.name!r}")
    takes = _check_fallback(one, sources, hints, outputs[one.name], output)
    return Wired(one, sources, run_as, takes, output)


def _check_types(workflow: str, taker: str, giver: str, wanted: Any, given: Any) -> None:
    if fits(given, wanted):
        return
    if (
        allows_none(given)
        and not allows_none(wanted)
        and all(fits(one, wanted) for one in without_none(given))
    ):
        raise NoneNotAllowed(
            f"step {taker!r} takes {giver}: {show(wanted)}, and step {giver!r} may give None",
            why=f"it gives {show(given)}",
            remedy=f"Write {giver}: {show(given)} in {taker!r} and say what happens without it, "
            f"or let {giver!r} always give one.",
            workflow=workflow,
        )
    raise WrongType(
        f"step {taker!r} takes {giver}: {show(wanted)}, and step {giver!r} gives {show(given)}",
        why="a parameter takes the output of the step that it names",
        remedy="Make the two types agree.",
        workflow=workflow,
    )


def _missing(
    workflow: str, taker: str, name: str, wanted: Any, input_type: Any, by_name: dict[str, Step[..., Any]]
) -> MissingStep | WrongType:
    near = difflib.get_close_matches(name, by_name, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return MissingStep(
        f"step {taker!r} needs {name!r} ({show(wanted)}), which is no step of {workflow!r}",
        why=f"its type is not that of the input either ({show(input_type)})",
        remedy=f"Name a step, or take the input by its type.{hint}",
        steps=sorted(by_name),
    )


def _check_fallback(
    one: Step[..., Any],
    sources: dict[str, str],
    hints: dict[str, Any],
    given: Any,
    output: Shape,
) -> tuple[str, ...]:
    """Names of the step's parameters that a fallback function takes."""
    fallback = one.fallback
    match fallback:
        case None | Review():
            return ()
        case Use(value=value):
            try:
                output.load(output.dump(value))
            except ValueError as error:
                raise WrongFallback(
                    f"step {one.name!r} gives {show(given)}, and its fallback is Use({value!r})",
                    why="what follows takes either without knowing which it was",
                    remedy="Use a value of the step's own type.",
                ) from error
            return ()
        case _:
            return _check_fallback_function(one, fallback, sources, hints, given)


def _check_fallback_function(
    one: Step[..., Any], fallback: Any, sources: dict[str, str], hints: dict[str, Any], given: Any
) -> tuple[str, ...]:
    if not callable(fallback) or isinstance(fallback, Step | type):
        raise WrongFallback(
            f"step {one.name!r} has {fallback!r} as its fallback",
            why=f"it is a {type(fallback).__name__}",
            remedy="Give a function of the step's inputs, Use(value), or Review(queue).",
        )
    name = name_of(fallback)
    if inspect.iscoroutinefunction(fallback):
        raise WrongFallback(
            f"step {one.name!r}: its fallback {name!r} is async",
            why="a fallback is plain code over the step's inputs and makes no calls",
            remedy="Make it a plain def.",
        )
    try:
        fallback_hints = hints_of(fallback, "fallback")
        parameters = parameters_of(fallback, "fallback")
    except BadSignature as error:
        raise WrongFallback(f"step {one.name!r}: {error.what}", why=error.why, remedy=error.remedy) from error
    if "return" not in fallback_hints or not fits(fallback_hints["return"], given):
        raise WrongFallback(
            f"step {one.name!r} gives {show(given)}, and its fallback {name!r} gives "
            f"{show(fallback_hints['return']) if 'return' in fallback_hints else 'no declared type'}",
            why="what follows takes either without knowing which it was",
            remedy="Let the fallback give the step's own type.",
        )
    takes = []
    for parameter in parameters:
        if parameter.name not in sources:
            raise WrongFallback(
                f"step {one.name!r}: its fallback {name!r} takes {parameter.name!r}, which the step does not",
                why="it is given the step's own inputs and nothing else",
                remedy=f"A fallback takes the step's inputs: {', '.join(sources)}.",
            )
        wanted = fallback_hints.get(parameter.name, Any)
        if not fits(hints[parameter.name], wanted):
            raise WrongFallback(
                f"step {one.name!r} takes {parameter.name}: {show(hints[parameter.name])}, and its fallback "
                f"{name!r} takes {show(wanted)}",
                why="it is given the step's own inputs as they are",
                remedy="Make the two types agree.",
            )
        takes.append(parameter.name)
    return tuple(takes)


def _ordered(workflow: str, wired: dict[str, Wired]) -> list[str]:
    """Each after what it needs, otherwise as listed. Raises StepCycle with the whole circle."""
    done: dict[str, None] = {}
    for first, one in wired.items():
        # The way down from `first`, each step with those of its needs that are still to be looked at.
        path = {} if first in done else {first: iter(one.needs)}
        while path:
            name = next(reversed(path))
            need = next((other for other in path[name] if other not in done), None)
            if need is None:
                done[name] = None
                del path[name]
            elif need in path:
                names = list(path)
                raise StepCycle(
                    f"the steps of {workflow!r} wait for each other: "
                    + " -> ".join((*names[names.index(need) :], need)),
                    why="an arrow reads 'needs'",
                    remedy="Take one of these parameters away.",
                )
            else:
                path[need] = iter(wired[need].needs)
    return list(done)
