"""Wiring is checked when the workflow is built: every mistake is an error of its own kind, which names both
ends and says what to do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from surefoot import Review, Run, Step, Use, Workflow, step
from surefoot.core.wiring import INPUT, Plan
from surefoot.errors import (
    BadSignature,
    DefinitionError,
    DuplicateName,
    MissingStep,
    NoneNotAllowed,
    StepCycle,
    WrongFallback,
    WrongType,
)


class Ticket(BaseModel):
    text: str


class Urgent(Ticket):
    by: str = ""


class Order(BaseModel):
    number: str


@step
async def order(ticket: Ticket, run: Run) -> Order:
    return Order(number=run.id)


@step
async def found(ticket: Ticket) -> Order | None:
    return None


@step
def answer(order: Order) -> str:
    return order.number


def build(*steps: Any, input: Any = Ticket) -> Workflow:
    return Workflow("desk", input=input, steps=steps)


def wrong(kind: type[DefinitionError], *steps: Any, input: Any = Ticket) -> DefinitionError:
    """The error of building them: exactly of this kind, with something to do about it."""
    with pytest.raises(DefinitionError) as raised:
        build(*steps, input=input)
    assert type(raised.value) is kind
    assert raised.value.remedy
    return raised.value


# ── what fits ────────────────────────────────────────────────────────────────────────────────────


def test_a_parameter_names_its_step_or_takes_the_input_by_its_type_or_is_the_handle() -> None:
    @step
    async def sent(order: Order, message: Ticket, answer: str, handle: Run) -> None: ...

    plan = build(order, answer, sent).plan
    assert plan.steps["sent"].sources == {"order": "order", "message": INPUT, "answer": "answer"}
    assert plan.steps["sent"].run_as == "handle"
    assert plan.steps["sent"].needs == ("order", "answer")
    assert plan.first == ("order",)
    assert plan.last == "sent"


def test_steps_may_be_listed_in_any_order_and_run_after_what_they_need() -> None:
    @step
    async def sent(order: Order, answer: str) -> None: ...

    plan = build(sent, answer, order).plan
    assert list(plan.steps) == ["order", "answer", "sent"]
    assert plan.last == "order"  # the output is the last one's that is listed


def test_a_wider_type_takes_a_narrower_one() -> None:
    @step
    async def read(message: Ticket | None, found: object) -> None: ...

    assert build(found, read, input=Urgent).plan.steps["read"].sources == {"message": INPUT, "found": "found"}


def test_the_input_may_be_of_any_type_that_is_json() -> None:
    for kind in (int, str, list[int], dict[str, Any], Ticket | None):

        def body(given: Any) -> Any:
            return given

        body.__annotations__ = {"given": kind, "return": kind}
        assert build(step(body), input=kind).plan.steps["body"].sources == {"given": INPUT}


# ── missing, wrong, None ─────────────────────────────────────────────────────────────────────────


def test_a_step_that_is_not_there() -> None:
    @step
    async def reply(oder: Order) -> str:
        return ""

    error = wrong(MissingStep, order, reply)
    assert "'reply' needs 'oder' (Order), which is no step of 'desk'" in error.what
    assert "input" in error.why
    assert "Ticket" in error.why
    assert "Did you mean 'order'?" in error.remedy


def test_no_steps_at_all() -> None:
    assert "'desk' has no steps" in wrong(MissingStep).what


def test_a_step_that_gives_another_type() -> None:
    @step
    async def reply(order: Ticket) -> str:
        return ""

    error = wrong(WrongType, order, reply)
    assert error.what == "step 'reply' takes order: Ticket, and step 'order' gives Order"


def test_a_step_that_may_give_none_where_none_is_not_expected() -> None:
    @step
    async def reply(found: Order) -> str:
        return ""

    error = wrong(NoneNotAllowed, found, reply)
    assert error.what == "step 'reply' takes found: Order, and step 'found' may give None"
    assert "found: Order | None" in error.remedy
    assert "'reply'" in error.remedy


def test_none_and_another_type_is_first_of_all_another_type() -> None:
    @step
    async def reply(found: Ticket) -> str:
        return ""

    assert "gives Order | None" in wrong(WrongType, found, reply).what


def test_a_step_that_gives_nothing_where_something_is_expected() -> None:
    @step
    async def nothing(ticket: Ticket) -> None: ...

    @step
    async def reply(nothing: Order) -> str:
        return ""

    assert "may give None" in wrong(NoneNotAllowed, nothing, reply).what


# ── circles ──────────────────────────────────────────────────────────────────────────────────────


def chained(name: str, *needs: str) -> Step[..., Any]:
    """A step of this name that takes the outputs of others, all int."""

    async def body(**given: int) -> int:
        return 0

    body.__name__ = name
    body.__annotations__ = {**dict.fromkeys(needs, int), "return": int}
    parameters = ", ".join(f"{need}: int" for need in needs)
    scope: dict[str, Any] = {}
    exec(f"async def {name}({parameters}) -> int: return 0", scope)
    return step(scope[name])


def test_steps_that_wait_for_each_other() -> None:
    steps = [chained("start"), chained("a", "start", "c"), chained("b", "a"), chained("c", "b")]
    error = wrong(StepCycle, *steps, input=int)
    assert "the steps of 'desk' wait for each other: a -> c -> b -> a" in error.what


def test_a_step_that_waits_for_itself() -> None:
    assert "again -> again" in wrong(StepCycle, chained("again", "again"), input=int).what


def test_a_circle_far_down_is_shown_without_the_way_to_it() -> None:
    steps = [chained("far", "near"), chained("near", "x"), chained("x", "y"), chained("y", "x")]
    assert wrong(StepCycle, *steps, input=int).what.endswith(": x -> y -> x")


def test_thousands_of_steps_in_a_row_are_wired_whatever_their_order() -> None:
    steps = [chained("s0"), *(chained(f"s{n}", f"s{n - 1}") for n in range(1, 1500))]
    assert list(build(*reversed(steps), input=int).plan.steps) == [f"s{n}" for n in range(1500)]


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def test_two_steps_of_one_name() -> None:
    @step(name="order")
    async def other(ticket: Ticket) -> Order:
        return Order(number="")

    assert "'desk' has two steps named 'order'" in wrong(DuplicateName, order, other).what
    assert "'order'" in wrong(DuplicateName, order, order).what


def test_a_function_that_is_no_step() -> None:
    async def plain(ticket: Ticket) -> None: ...

    error = wrong(BadSignature, plain)
    assert "'desk' lists" in error.what
    assert "plain" in error.what
    assert "@step" in error.remedy


# ── signatures ───────────────────────────────────────────────────────────────────────────────────


async def no_types(ticket) -> None: ...  # type: ignore[no-untyped-def]


async def no_result(ticket: Ticket): ...  # type: ignore[no-untyped-def]


async def many(*tickets: Ticket) -> None: ...


async def keywords(**tickets: Ticket) -> None: ...


async def by_position(ticket: Ticket, /) -> None: ...


async def two_handles(ticket: Ticket, run: Run, other: Run) -> None: ...


def plain_with_handle(ticket: Ticket, run: Run) -> None: ...


async def unknown_type(ticket: "Tikcet") -> None: ...  # type: ignore[name-defined]  # noqa: F821


def awaitable(ticket: Ticket) -> Awaitable[int]:
    return open_later()


def coroutine(ticket: Ticket) -> Coroutine[Any, Any, int]:
    return open_later()


async def open_later() -> int:
    return 1


class Connection:
    pass


async def opaque(ticket: Ticket) -> Connection:
    return Connection()


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (no_types, "parameter 'ticket' has no type"),
        (no_result, "does not say what it gives"),
        (many, "takes *tickets: "),
        (keywords, "takes **tickets: "),
        (by_position, "takes ticket: "),
        (two_handles, "takes two handles, 'run' and 'other'"),
        (plain_with_handle, "is a plain def and takes the run's handle 'run'"),
        (unknown_type, "its annotations cannot be evaluated"),
        (awaitable, "gives collections.abc.Awaitable[int]"),
        (coroutine, "gives collections.abc.Coroutine"),
        (opaque, "its type cannot be kept as JSON"),
    ],
)
def test_a_signature_that_cannot_be_wired(function: Callable[..., Any], says: str) -> None:
    error = wrong(BadSignature, step(function))
    assert f"step {function.__name__!r}" in error.what
    assert says in error.what


def test_an_input_that_is_no_json() -> None:
    error = wrong(BadSignature, step(no_result), input=Connection)
    assert "the input of 'desk'" in error.what


def test_an_isolated_step_must_be_found_by_its_name() -> None:
    @step(isolation="process")
    def inside(ticket: Ticket) -> int:
        return 1

    assert "step 'inside' is isolated and defined inside a function" in wrong(BadSignature, inside).what


class Caller:
    async def __call__(self, ticket: Ticket) -> None: ...


async def yields(ticket: Ticket) -> AsyncIterator[int]:
    yield 1


def yields_plainly(ticket: Ticket) -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: step(isolation="process")(opaque), "'opaque' is async and isolated in a process"),
        (lambda: step(timeout=5)(plain_with_handle), "'plain_with_handle' is a plain def with a timeout"),
        (lambda: step(timeout=0)(opaque), "'opaque' has a timeout of 0 s"),
        (lambda: step(timeout=-1)(opaque), "'opaque' has a timeout of -1 s"),
        (lambda: step(timeout=float("inf"))(opaque), "'opaque' has a timeout of inf s"),
        (lambda: step(timeout=float("nan"))(opaque), "'opaque' has a timeout of nan s"),
        (lambda: step(yields), "'yields' is a generator"),
        (lambda: step(yields_plainly), "'yields_plainly' is a generator"),
        (lambda: step(Use(5)), "is no function"),  # type: ignore[call-overload]
    ],
)
def test_a_step_that_declares_what_cannot_be(make: Callable[[], object], says: str) -> None:
    with pytest.raises(BadSignature) as raised:
        make()
    assert says in raised.value.what
    assert raised.value.remedy


def test_what_is_called_like_a_function_and_has_no_name_is_an_error_that_says_so() -> None:
    for function in (partial(no_result), Caller()):
        error = wrong(BadSignature, step(function))
        assert repr(function) in error.what


# ── fallbacks ────────────────────────────────────────────────────────────────────────────────────


def falling_back(fallback: Any) -> Step[..., Any]:
    @step(fallback=fallback)
    async def guess(ticket: Ticket, order: Order, run: Run) -> Order | None:
        return None

    return guess


def of_all(ticket: Ticket, order: Order) -> Order:
    return order


def of_some(order: Order | None) -> None: ...


def of_none() -> None: ...


@pytest.mark.parametrize(
    "fallback", [of_all, of_some, of_none, Use(None), Use(Order(number="1")), Review(), Review("desk"), None]
)
def test_a_fallback_gives_the_steps_own_type_from_the_steps_own_inputs(fallback: Any) -> None:
    build(order, falling_back(fallback))


def other_type() -> str:
    return ""


def untyped():  # type: ignore[no-untyped-def]
    return None


def of_what_it_does_not_take(answer: str) -> None: ...


def of_the_handle(run: Run) -> None: ...


def of_another_type(order: Ticket) -> None: ...


def of_anything(*given: Any) -> None: ...


def of_nobody(order: "Nobody") -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def asynchronous() -> None: ...


@dataclass
class NotCallable:
    pass


@pytest.mark.parametrize(
    ("fallback", "says"),
    [
        (other_type, "gives Order | None, and its fallback 'other_type' gives str"),
        (untyped, "its fallback 'untyped' gives no declared type"),
        (lambda: None, "its fallback '<lambda>' gives no declared type"),
        (
            of_what_it_does_not_take,
            "its fallback 'of_what_it_does_not_take' takes 'answer', which the step does not",
        ),
        (of_the_handle, "its fallback 'of_the_handle' takes 'run', which the step does not"),
        (of_another_type, "takes order: Order, and its fallback 'of_another_type' takes Ticket"),
        (of_anything, "fallback 'of_anything' takes *given"),
        (of_nobody, "fallback 'of_nobody': its annotations cannot be evaluated"),
        (partial(of_all), "its annotations cannot be evaluated"),
        (asynchronous, "its fallback 'asynchronous' is async"),
        (answer, "has Step('answer') as its fallback"),
        (Order, "as its fallback"),
        (NotCallable(), "has NotCallable() as its fallback"),
        ("letter", "has 'letter' as its fallback"),
        (Use("1"), "gives Order | None, and its fallback is Use('1')"),
        (Use(object()), "gives Order | None, and its fallback is Use(<object"),
    ],
)
def test_a_fallback_that_could_not_stand_in(fallback: Any, says: str) -> None:
    error = wrong(WrongFallback, order, answer, falling_back(fallback))
    assert "step 'guess'" in error.what
    assert says in error.what


def test_a_plan_is_wired_without_a_workflow_around_it() -> None:
    assert list(Plan("desk", Ticket, [order]).steps) == ["order"]
