"""A value of a field declared `Private` is noted when it is written, wherever the field stands."""

import dataclasses
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from surefoot import Effect, Private, tool
from surefoot.core.private import Found
from surefoot.core.schema import Shape

Email = Annotated[str, Private("email")]


class Customer(BaseModel):
    name: Annotated[str, Private("name")]
    email: Email | None = None
    number: int = 0


class Address(BaseModel):
    street: str
    zip: int


class Ticket(BaseModel):
    sender: Email
    about: list[Customer] = []
    cc: list[Email] = []
    names: Annotated[list[str], Private("name")] = []
    home: Annotated[Address | None, Private("address")] = None
    labels: Annotated[dict[str, Any], Private("label")] = {}
    card: Annotated[int, Private("card")] = 0
    born: Annotated[date | None, Private("born")] = None
    amount: Annotated[Decimal | None, Private("amount")] = None
    urgent: Annotated[bool, Private("flag")] = False
    scores: dict[Email, int] = {}
    text: str = ""


@dataclasses.dataclass
class Contact:
    phone: Annotated[str, Private("phone")]


def noted(annotation: Any, value: Any) -> dict[str, str]:
    found = Found()
    shape = Shape(annotation, "the input")
    text = shape.dump(value, found)
    assert text == shape.dump(value)
    assert shape.load(text) == value
    return found.values


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({}, {}),
        (
            {"about": [Customer(name="Kim", email="kim@x.org", number=5)]},
            {"Kim": "name", "kim@x.org": "email"},
        ),
        ({"cc": ["b@x.org", "c@x.org"]}, {"b@x.org": "email", "c@x.org": "email"}),
        ({"names": ["Kim", "Lee"]}, {"Kim": "name", "Lee": "name"}),
        (
            {"home": Address(street="Main Street 1", zip=12345)},
            {"Main Street 1": "address", "12345": "address"},
        ),
        ({"labels": {"a": ["deep", {"b": "deeper", "c": None}]}}, {"deep": "label", "deeper": "label"}),
        ({"card": 4111111111111111}, {"4111111111111111": "card"}),
        ({"born": date(1970, 1, 2)}, {"1970-01-02": "born"}),
        ({"amount": Decimal("12.50")}, {"12.50": "amount"}),
        ({"scores": {"d@x.org": 5}}, {"d@x.org": "email"}),
        ({"urgent": True, "text": "nothing private"}, {}),
    ],
)
def test_each_private_value_is_noted_with_its_kind(given: dict[str, Any], values: dict[str, str]) -> None:
    found = noted(Ticket, Ticket(sender="a@x.org", **given))
    assert found.pop("a@x.org") == "email"
    found.pop("0", None)  # the card's default
    assert found == values


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Contact, Contact("+49 1")),
        (list[Contact], [Contact("+49 1")]),
        (Contact | Customer | None, Contact("+49 1")),
        (dict[str, Contact], {"a": Contact("+49 1")}),
        (tuple[int, Contact], (1, Contact("+49 1"))),
        (Annotated[str, Private("phone")], "+49 1"),
    ],
)
def test_whatever_the_field_is_a_part_of(annotation: Any, value: Any) -> None:
    assert noted(annotation, value) == {"+49 1": "phone"}


def test_the_arguments_of_a_tool_are_noted_too() -> None:
    @tool(effect=Effect.READ)
    async def write(to: Email, text: str) -> str:
        return ""

    found = Found()
    arguments = write.parameters.from_text('{"to":"a@x.org","text":"hello"}')
    assert write.parameters.dump(arguments, found) == '{"to":"a@x.org","text":"hello"}'
    assert found.values == {"a@x.org": "email"}


def test_the_schema_that_a_model_sees_is_that_of_the_plain_type() -> None:
    assert Shape(Contact, "x").json_schema["properties"] == {"phone": {"title": "Phone", "type": "string"}}


def test_the_same_value_keeps_its_first_kind_and_nothing_is_nothing() -> None:
    found = Found()
    found.add("email", "a@x.org")
    found.add("name", "a@x.org")
    found.add("name", "")
    found.add("name", None)
    assert found.values == {"a@x.org": "email"}
