"""What a tool declares about itself, and every way to declare what cannot be."""

from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from surefoot import Call, Effect, InvalidArguments, Tool, tool
from surefoot.errors import BadSignature, DefinitionError


@tool(effect=Effect.KEYED, permission="refunds:write", timeout=10, version="2", max_bytes=100)
async def refund(call: Call, number: str, amount: Decimal = Decimal(5)) -> str:
    """Return money
    to the card.
    """
    return f"{call.key} {number} {amount}"


@tool(effect=Effect.READ, name="find-it")
def find(number: str) -> int:
    """Look it up."""
    return int(number)


def call_of(one: Tool[..., Any], **arguments: Any) -> Call:
    return Call(one.name, "key", "run", "step", 1, 0, arguments)


def test_a_tool_is_a_value_that_says_what_it_is() -> None:
    assert refund.name == "refund"
    assert refund.effect is Effect.KEYED
    assert refund.permission == "refunds:write"
    assert refund.description == "Return money\nto the card."
    assert (refund.timeout, refund.version, refund.max_bytes) == (10, "2", 100)
    assert refund.is_async
    assert refund.takes_call
    assert find.name == "find-it"
    assert not find.is_async
    assert not find.takes_call
    assert find.permission is None


def test_the_call_is_no_argument_of_the_models() -> None:
    schema = refund.input_schema
    assert list(schema["properties"]) == ["number", "amount"]
    assert schema["required"] == ["number"]
    assert schema["additionalProperties"] is False


@pytest.mark.anyio
async def test_the_function_gets_its_call_first_where_it_takes_one() -> None:
    assert await refund.invoke(call_of(refund), {"number": "1", "amount": Decimal(2)}) == "key 1 2"
    assert find.invoke(call_of(find), {"number": "7"}) == 7


def test_arguments_by_position_find_their_names() -> None:
    assert refund.bind(("1",), {"amount": 5}) == {"number": "1", "amount": 5}
    assert refund.bind(("1", 5), {}) == {"number": "1", "amount": 5}


@pytest.mark.parametrize(("args", "kwargs"), [(("1", 5, 6), {}), (("1",), {"number": "2"})])
def test_arguments_that_do_not_fit_by_position_are_refused(args: Any, kwargs: Any) -> None:
    with pytest.raises(InvalidArguments, match="by position"):
        refund.bind(args, kwargs)


def test_a_tool_from_elsewhere_takes_its_arguments_as_a_whole() -> None:
    async def function(call: Call, arguments: dict[str, Any]) -> Any:
        return arguments

    lookup = Tool.from_schema("lookup", "Look it up.", {"type": "object"}, function, effect=Effect.READ)
    assert lookup.is_async
    assert lookup.bind(({"a": 1},), {}) == {"a": 1}
    assert lookup.bind((), {"a": 1}) == {"a": 1}
    for wrong in (({"a": 1}, 2), ("a",)):
        with pytest.raises(InvalidArguments):
            lookup.bind(wrong, {})


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────


class Connection:
    pass


async def no_result(number: str): ...  # type: ignore[no-untyped-def]


async def no_type(number) -> int: ...  # type: ignore[no-untyped-def, empty-body]


async def many(*numbers: str) -> int: ...  # type: ignore[empty-body]


async def keywords(**numbers: str) -> int: ...  # type: ignore[empty-body]


async def by_position(number: str, /) -> int: ...  # type: ignore[empty-body]


async def late_call(number: str, call: Call) -> int: ...  # type: ignore[empty-body]


async def opaque_argument(connection: Connection) -> int: ...  # type: ignore[empty-body]


async def opaque_result(number: str) -> Connection: ...  # type: ignore[empty-body]


async def hidden(_number: str) -> int: ...  # type: ignore[empty-body]


async def taken(model_fields: str) -> int: ...  # type: ignore[empty-body]


async def unknown(number: "Nothing") -> int: ...  # type: ignore[name-defined, empty-body]  # noqa: F821


async def yields(number: str) -> AsyncIterator[int]:
    yield 1


def later(number: str) -> Awaitable[int]: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (no_result, "does not say what it returns"),
        (no_type, "parameter 'number' has no type"),
        (many, "takes *numbers"),
        (keywords, "takes **numbers"),
        (by_position, "takes number: str"),
        (late_call, "takes its Call as 'call'"),
        (opaque_argument, "the types of its parameters cannot be a schema"),
        (opaque_result, "its type cannot be kept as JSON"),
        (hidden, "a parameter cannot be named '_number'"),
        (taken, "a parameter cannot be named 'model_fields'"),
        (unknown, "its annotations cannot be evaluated"),
        (yields, "is a generator"),
        (later, "its type cannot be kept as JSON"),
    ],
)
def test_a_signature_that_cannot_be_a_schema(function: Callable[..., Any], says: str) -> None:
    with pytest.raises(BadSignature) as wrong:
        tool(effect=Effect.READ)(function)
    assert f"tool {function.__name__!r}" in wrong.value.what
    assert says in wrong.value.what
    assert wrong.value.remedy


async def fine(number: str) -> int:
    return 1


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"isolation": "process"}, "'fine' is async and isolated in a process"),
        ({"effect": "read"}, "'fine' has 'read' as its effect"),
        ({"timeout": 0}, "'fine' has a timeout of 0 s"),
        ({"timeout": float("nan")}, "'fine' has a timeout of nan s"),
        ({"max_bytes": 0}, "'fine' has a timeout of 30.0 s and at most 0 bytes"),
        ({"name": ""}, None),
        ({"name": "find it"}, "'find it' is no name for a tool"),
        ({"name": "suche-für"}, "'suche-für' is no name for a tool"),
        ({"name": "x" * 65}, "is no name for a tool"),
    ],
)
def test_a_declaration_that_cannot_be(declared: dict[str, Any], says: str | None) -> None:
    if says is None:
        assert tool(**{"effect": Effect.READ, **declared})(fine).name == "fine"
        return
    with pytest.raises(BadSignature) as wrong:
        tool(**{"effect": Effect.READ, **declared})(fine)
    assert says in wrong.value.what
    assert wrong.value.remedy


@pytest.mark.parametrize(
    "declared", [{"name": "find it"}, {"effect": "read"}, {"timeout": -1}, {"max_bytes": 0}]
)
def test_a_tool_from_elsewhere_declares_no_less(declared: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        Tool.from_schema(
            **{
                "name": "lookup",
                "description": "",
                "input_schema": {"type": "object"},
                "function": lambda call, arguments: 1,
                "effect": Effect.READ,
                **declared,
            }
        )


def test_parameters_may_be_called_what_a_model_class_calls_its_own_methods() -> None:
    @tool(effect=Effect.READ)
    async def odd(json: str, copy: int, dict: bool, schema: str, model_name: str) -> str:
        return json

    text = '{"json":"{}","copy":1,"dict":true,"schema":"s","model_name":"m"}'
    arguments = odd.parameters.from_text(text)
    assert arguments == {"json": "{}", "copy": 1, "dict": True, "schema": "s", "model_name": "m"}
    assert odd.parameters.dump(arguments) == text


def test_a_resource_is_found_by_its_type() -> None:
    connection = Connection()
    call = Call("find", "key", "run", "step", 1, 0, {}, (object(), connection))
    assert call.use(Connection) is connection
    with pytest.raises(DefinitionError) as missing:
        call.use(Decimal)
    assert "find: no resource of type Decimal" in missing.value.what
    assert "Connection" in missing.value.why
    assert "resources=" in missing.value.remedy
