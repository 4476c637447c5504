"""Whether what one step gives fits what another takes, decided on annotations alone."""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union (a plain type is its own only one), `Annotated` taken off."""
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for arg in get_args(annotation) for inner in members(arg))
    return (annotation,)


def bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is None:
        return type(None)
    return getattr(annotation, "__value__", annotation) if _is_alias(annotation) else annotation


def _is_alias(annotation: Any) -> bool:
    return type(annotation).__name__ == "TypeAliasType"


def allows_none(annotation: Any) -> bool:
    return any(member in (type(None), Any, object) for member in members(annotation))


def without_none(annotation: Any) -> tuple[Any, ...]:
    return tuple(member for member in members(annotation) if member is not type(None))


def fits(source: Any, target: Any) -> bool:
    """Whether every value of `source` is one of `target`. Unknown constructs compare by equality."""
    wanted = members(target)
    if Any in wanted or object in wanted:
        return True
    given = members(source)
    if Any in given:
        return True
    return all(any(_one_fits(one, other) for other in wanted) for one in given)


def _one_fits(source: Any, target: Any) -> bool:
    if source == target or isinstance(target, TypeVar):
        return True
    source_origin, target_origin = get_origin(source), get_origin(target)
    if source_origin is Literal:
        values = get_args(source)
        if target_origin is Literal:
            return set(values) <= set(get_args(target))
        return isinstance(target, type) and all(isinstance(value, target) for value in values)
    if isinstance(source, type) and isinstance(target, type) and not source_origin and not target_origin:
        return issubclass(source, target) or (source is int and target is float)
    left, right = source_origin or source, target_origin or target
    if not (isinstance(left, type) and isinstance(right, type) and issubclass(left, right)):
        return False
    source_args, target_args = get_args(source), get_args(target)
    if not target_args or not source_args:
        return True
    if len(source_args) != len(target_args):
        return Ellipsis in target_args and all(
            fits(arg, target_args[0]) for arg in source_args if arg is not Ellipsis
        )
    return all(
        one is other or (one is not Ellipsis and other is not Ellipsis and fits(one, other))
        for one, other in zip(source_args, target_args, strict=True)
    )


def show(annotation: Any) -> str:
    """An annotation as its author would write it."""
    annotation = bare(annotation)
    if annotation is type(None):
        return "None"
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(show(arg) for arg in get_args(annotation))
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
