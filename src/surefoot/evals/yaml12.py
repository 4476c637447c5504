"""YAML as a scenario's author and their editor both read it.

The values without quotes are those of version 1.2's core schema: `no`, `12:30` and dates are the texts that
were written. So is `0017`, which is an order's number and no number of ours. Keys are texts, once each, and
values are what JSON has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml


def load(text: str) -> Any:
    """JSON values. Raises ValueError with one line of what is wrong."""
    try:
        found = yaml.load(text, Loader=_Strict)  # noqa: S506  a SafeLoader that refuses more
        complaints = list(_not_json(found))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if complaints:
        raise ValueError("; ".join(complaints))
    return found


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Strict(_Loader):  # type: ignore[misc]
    """Keys are texts, each once."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                shown = repr(key.value) if isinstance(key.value, str) else "a key"
                raise yaml.constructor.ConstructorError(
                    None, None, f"{shown} is no text, and keys are: put it in quotes", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_CORE: tuple[tuple[str, str, str], ...] = (
    ("null", "~nN", r"~|null|Null|NULL|"),
    ("bool", "tTfF", r"true|True|TRUE|false|False|FALSE"),
    ("int", "-+0123456789", r"[-+]?(?:0|[1-9][0-9]*)"),
    ("float", "-+.0123456789", r"[-+]?(?:0|[1-9][0-9]*)?(?:\.[0-9]+|\.?(?=[eE]))(?:[eE][-+]?[0-9]+)?"),
    ("merge", "<", r"<<"),
)
"""What a scalar without quotes is, beside text: the core schema of YAML 1.2, but for numbers that begin with
zeros or are no decimals."""

_Strict.yaml_implicit_resolvers = {}
for _tag, _first, _form in _CORE:
    _Strict.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(rf"(?:{_form})\Z"),
        [*_first, ""] if _tag == "null" else list(_first),
    )


def _not_json(value: Any, path: str = "") -> Iterator[str]:
    """What explicit tags can bring in, and JSON does not have."""
    match value:
        case dict():
            for key, item in value.items():
                yield from _not_json(item, f"{path}.{key}".lstrip("."))
        case list():
            for number, item in enumerate(value):
                yield from _not_json(item, f"{path}.{number}".lstrip("."))
        case None | bool() | int() | str():
            return
        case float() if math.isfinite(value):
            return
        case _:
            yield f"{path or 'value'}: a {type(value).__name__} is nothing that JSON has"
