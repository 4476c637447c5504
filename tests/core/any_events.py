"""Events of every kind, with any values in their fields."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from hypothesis import strategies as st

from surefoot.core import events as e
from surefoot.core.jsons import Raw


def of_type(hint: Any, name: str) -> st.SearchStrategy[Any]:
    """Values of a field, from a small world, so that events speak of the same things."""
    if get_args(hint) and type(None) in get_args(hint):
        inner = [one for one in get_args(hint) if one is not type(None)]
        return st.none() | of_type(inner[0], name)
    if str(hint).startswith("typing.Literal"):
        return st.sampled_from(get_args(hint))
    if hint is Raw:
        return st.sampled_from([Raw("null"), Raw("5"), Raw('{"x":[1,"ä"]}')])
    if hint is bool:
        return st.booleans()
    if hint is int:
        return st.integers(0, 4)
    if hint is float:
        return st.sampled_from([0.0, 1.5])
    if hint is str:
        worlds = {
            "step": "abc",
            "effect": ["read", "once"],
            "item": "ij",
            "call": "uv",
            "ask": "pq",
            "timer": "st",
        }
        return st.sampled_from(list(worlds.get(name, ["", "x", 'q"uote', "ä\n"])))
    if hint == list[list[str]]:
        return st.lists(st.lists(st.text(max_size=3), min_size=3, max_size=3), max_size=2)
    if hint == list[str]:
        return st.lists(st.sampled_from(["approve", "x"]), max_size=2)
    return st.dictionaries(
        st.sampled_from(["code", "what", "tokens"]), st.sampled_from(["x", 1, None]), max_size=2
    )


def events_of(cls: type[e.Event]) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{one.name: of_type(hints[one.name], one.name) for one in fields(cls)})


EVENTS = st.one_of(*(events_of(cls) for cls in e.EVENTS.values()))
