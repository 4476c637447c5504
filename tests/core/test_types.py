# ruff: noqa: UP006, UP007, UP035, UP045  (the old spellings are part of what is tested)
"""Whether what one step gives fits what another takes, as their annotations say it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, List, Literal, NewType, Optional, Protocol, TypeVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from surefoot.core.types import allows_none, fits, members, show

T = TypeVar("T")


class Animal(BaseModel):
    name: str


class Dog(Animal):
    pass


class Cat(Animal):
    pass


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Movie(TypedDict):
    title: str


class Film(TypedDict):
    title: str


class Names(list[str]):
    pass


class Nicknames(Names):
    pass


@dataclass
class Box(Generic[T]):
    inside: T


class Page(BaseModel, Generic[T]):
    items: list[T]


class Speaks(Protocol):
    def speak(self) -> str: ...


class Parrot(Speaks):
    def speak(self) -> str:
        return ""


UserId = NewType("UserId", str)
AdminId = NewType("AdminId", UserId)
Text = TypeAliasType("Text", Annotated[str, Field(max_length=5)])
Answer = TypeAliasType("Answer", Text | None)
Email = Annotated[str, Field(pattern="@")]

FIT = [
    (int, int),
    (int, float),
    (bool, int),
    (bool, float),
    (Literal[5], float),
    (Dog, Animal),
    (Dog, Any),
    (Dog, object),
    (Any, Dog),
    (None, None),
    (None, int | None),
    (int, int | None),
    (int, Optional[int]),
    (int | None, Optional[int]),
    (Union[int, str], str | int),
    (Dog | Cat, Animal),
    (Dog | Cat, Cat | Dog | None),
    (Dog | None, Animal | None),
    (Email, str),
    (str, Email),
    (Email | None, Optional[str]),
    (Annotated[Email | None, "twice"], str | None),
    (list[Email], list[str]),
    (Text, str),
    (str, Text),
    (Answer, str | None),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Literal["b", "a"], Literal["a", "b"]),
    (Literal["a", 1], str | int),
    (Literal["a", None], str | None),
    (Literal["a", None], Literal["a"] | None),
    (Literal["a"] | Literal["b"], Literal["a", "b"]),
    (Literal["a"], Sequence[str]),
    (Literal[Colour.RED], Colour),
    (Level, int),
    (UserId, UserId),
    (UserId, str),
    (AdminId, str),
    (AdminId, UserId | None),
    (list[int], list[int]),
    (list[int], List[int]),
    (list[Dog], list[Animal]),
    (list[Dog], Sequence[Animal]),
    (list[Dog], Iterable[Any]),
    (list[int], list),
    (list, list[int]),
    (set[int], Collection[int]),
    (Names, list[str]),
    (Nicknames, Sequence[str]),
    (dict[str, Dog], Mapping[str, Animal]),
    (dict[str, int], Iterable[str]),
    (dict[str, int], dict[str, Any]),
    (tuple[int, str], tuple[int, str]),
    (tuple[int, int], tuple[int, ...]),
    (tuple[int, int, int], tuple[int, ...]),
    (tuple[int, ...], tuple[int, ...]),
    (tuple[int, int], Sequence[int]),
    (tuple[int, str], Sequence[int | str]),
    (tuple[Dog, ...], Iterable[Animal]),
    (tuple[()], tuple[int, ...]),
    (tuple[()], tuple[()]),
    (tuple[int, str], tuple),
    (str, Sequence[str]),
    (bytes, Iterable[int]),
    (type[Dog], type[Animal]),
    (Movie, Movie),
    (Movie, dict[str, Any]),
    (Movie, Mapping[str, Any]),
    (Parrot, Speaks),
    (Box[int], Box[int]),
    (Box[Dog], Box[Animal]),
    (Page[int], Page[int]),
    (Decimal, T),
]


@pytest.mark.parametrize(("given_type", "wanted"), FIT, ids=str)
def test_what_is_one_of_the_wanted_type_fits(given_type: Any, wanted: Any) -> None:
    assert fits(given_type, wanted)


NO_FIT = [
    (str, int),
    (float, int),
    (int, bool),
    (int, str),
    (int, Decimal),
    (Animal, Dog),
    (Cat, Dog),
    (None, int),
    (int | None, int),
    (Dog | None, Dog),
    (Dog | Cat, Dog),
    (Literal["a", None], str),
    (Literal["a", "c"], Literal["a", "b"]),
    (Literal["a", 1], str),
    (Literal[True], Literal[1]),
    (Literal[1], Literal[True]),
    (str, Literal["a"]),
    (Colour, Literal[Colour.RED]),
    (Colour, str),
    (Literal[Colour.RED], str),
    (str, UserId),
    (UserId, AdminId),
    (UserId, int),
    (list[int], list[str]),
    (list[Animal], list[Dog]),
    (list[int | None], list[int]),
    (Sequence[int], list[int]),
    (list[int], set[int]),
    (Names, list[int]),
    (Nicknames, Sequence[int]),
    (dict[str, int], dict[str, str]),
    (dict[str, int], Mapping[int, int]),
    (dict[str, int], Iterable[int]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int, str], tuple[int, ...]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, ...], tuple[int, Any]),
    (tuple[int, ...], tuple[str, ...]),
    (tuple[int], tuple[int, int]),
    (tuple[int, str], Sequence[int]),
    (tuple[int], tuple[()]),
    (tuple[()], tuple[int]),
    (str, Sequence[int]),
    (str, list[str]),
    (bytes, Iterable[str]),
    (Movie, Film),
    (Movie, Dog),
    (Dog, Movie),
    (Dog, Speaks),
    (Box[int], Box[str]),
    (Page[int], Page[str]),
    (Page[int], Dog),
    (type[Animal], type[Dog]),
]


@pytest.mark.parametrize(("given_type", "wanted"), NO_FIT, ids=str)
def test_what_may_be_something_else_does_not_fit(given_type: Any, wanted: Any) -> None:
    assert not fits(given_type, wanted)


PLAIN = st.sampled_from(
    [
        int,
        str,
        bool,
        float,
        Decimal,
        Animal,
        Dog,
        Cat,
        Colour,
        None,
        Literal["a"],
        Literal["a", 1],
        Email,
        UserId,
    ]
)


def combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.tuples(inner, inner).map(lambda two: Union[two[0], two[1]]),
        inner.map(lambda one: list[one]),  # type: ignore[valid-type]
        inner.map(lambda one: tuple[one, ...]),  # type: ignore[valid-type]
        st.tuples(inner, inner).map(lambda two: tuple[two[0], two[1]]),
        inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]
        inner.map(lambda one: Annotated[one, "note"]),
        inner.map(lambda one: Box[one]),  # type: ignore[valid-type]
    )


ANNOTATIONS = st.recursive(PLAIN, combined, max_leaves=5)


@given(ANNOTATIONS)
def test_every_type_fits_itself_and_every_union_that_it_is_in(annotation: Any) -> None:
    assert fits(annotation, annotation)
    assert fits(annotation, annotation | None if annotation is not None else None)
    assert fits(annotation, Any)
    assert allows_none(Union[annotation, None])


@given(ANNOTATIONS, ANNOTATIONS)
def test_a_union_fits_exactly_where_each_of_its_members_does(one: Any, other: Any) -> None:
    for target in (one, other, Union[one, str]):
        expected = all(fits(member, target) for member in (*members(one), *members(other)))
        assert fits(Union[one, other], target) == expected


@given(ANNOTATIONS, ANNOTATIONS, ANNOTATIONS)
def test_what_fits_what_fits_fits(one: Any, other: Any, third: Any) -> None:
    if fits(one, other) and fits(other, third):
        assert fits(one, third)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (None, "None"),
        (Dog, "Dog"),
        (Dog | None, "Dog | None"),
        (Optional[int], "int | None"),
        (Email, "str"),
        (Answer, "str | None"),
        (Literal["a", "b"], "Literal['a', 'b']"),
        (dict[str, Any], "dict[str, Any]"),
    ],
)
def test_a_type_is_shown_as_its_author_would_write_it(annotation: Any, text: str) -> None:
    assert show(annotation) == text
