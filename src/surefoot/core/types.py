"""Whether what one step gives fits what another takes, decided on annotations alone."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin


def members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union or a Literal (a plain type is its own only one), `Annotated` taken off."""
    annotation = bare(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(inner for arg in get_args(annotation) for inner in members(arg))
    if get_origin(annotation) is Literal:
        return tuple(type(None) if arg is None else Literal[arg] for arg in get_args(annotation))
    return (annotation,)


def bare(annotation: Any) -> Any:
    """Without `Annotated`, and an alias by what it stands for."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return type(None) if annotation is None else annotation


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
    if (base := getattr(source, "__supertype__", None)) is not None:  # a NewType is one of its base
        return fits(base, target)
    if get_origin(source) is Literal:
        return fits(type(get_args(source)[0]), target)
    left, right = get_origin(source) or source, get_origin(target) or target
    if right is float and left in (int, bool):
        return True
    if not (isinstance(left, type) and isinstance(right, type) and _is_subclass(left, right)):
        return False
    wanted = get_args(target)
    if not wanted and target != tuple[()]:
        return True
    if issubclass(left, tuple) and get_origin(source) is tuple:
        return _tuple_fits(get_args(source), right, wanted)
    if not (given := _arguments(source, right)):
        bases = [
            base for base in getattr(source, "__orig_bases__", ()) if _is_subclass(get_origin(base), right)
        ]
        return not bases or any(fits(base, target) for base in bases)
    return len(given) == len(wanted) and all(map(fits, given, wanted))


def _is_subclass(one: Any, other: Any) -> bool:
    try:
        return isinstance(one, type) and issubclass(one, other)
    except TypeError:
        # Neither a protocol nor a TypedDict can be asked; what names it as its base is one.
        return other in one.__mro__


def _tuple_fits(given: tuple[Any, ...], right: type, wanted: tuple[Any, ...]) -> bool:
    """`right` is tuple, or what a tuple is too (a Sequence, say), and `wanted` its arguments."""
    items = given[:1] if Ellipsis in given else given
    if right is not tuple or Ellipsis in wanted:
        return all(fits(item, wanted[0]) for item in items)
    return Ellipsis not in given and len(given) == len(wanted) and all(map(fits, given, wanted))


def _arguments(source: Any, right: type) -> tuple[Any, ...]:
    """The type arguments of `source` seen as a `right`: of a mapping seen as an iterable, its keys."""
    if source is str:
        return (str,)
    if source in (bytes, bytearray):
        return (int,)
    given = get_args(source)
    origin = get_origin(source)
    if isinstance(origin, type) and issubclass(origin, Mapping) and not issubclass(right, Mapping):
        return given[:1]
    return given


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
