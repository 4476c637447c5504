"""Whether other code may go on with a run: only where its finished steps still stand, and if not, why not."""

from typing import Any

from pydantic import BaseModel

from surefoot import Run, Workflow, step
from surefoot.core import events as e
from surefoot.core.change import what_hinders
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw, loads
from surefoot.core.workflow import fingerprint_of


class Ticket(BaseModel):
    text: str


class Order(BaseModel):
    number: str


@step
async def order(ticket: Ticket, run: Run) -> Order:
    return Order(number="17")


@step
async def reply(ticket: Ticket, order: Order, run: Run) -> str:
    return order.number


def workflow(*steps: Any, given: Any = Ticket) -> Workflow:
    return Workflow("desk", input=given, steps=steps)


def lines(new: Workflow, *events: e.Event, known: bool = True) -> list[str]:
    """Why `new` may not go on with a run that `order, reply` began and that has these events."""
    old = loads(fingerprint_of(workflow(order, reply).describe({}))[1]) if known else None
    submitted = e.RunSubmitted(Raw('{"text":"where is it?"}'), "desk", "1", "print", {}, "rules")
    state = RunState(new.plan)
    state.apply_all(e.Entry(n, n, event) for n, event in enumerate((submitted, *events), start=1))
    return what_hinders(old, new.plan, state)


FINISHED = e.StepFinished("order", Raw('{"number":"17"}'))


def test_the_same_wiring_may_go_on_also_with_other_code_after_what_has_finished() -> None:
    @step(name="reply")
    async def longer(ticket: Ticket, order: Order, stock: int) -> str:
        return ""

    @step
    async def stock(order: Order) -> int:
        return 1

    assert lines(workflow(order, reply), FINISHED) == []
    assert lines(workflow(order, stock, longer), FINISHED) == []


def test_a_finished_step_that_is_gone() -> None:
    @step(name="reply")
    async def alone(ticket: Ticket) -> str:
        return ""

    assert lines(workflow(alone), FINISHED) == ["step 'order' has finished and is no longer there"]


def test_a_finished_step_that_is_fed_by_something_else() -> None:
    @step
    async def stock(ticket: Ticket) -> int:
        return 1

    @step(name="order")
    async def after_stock(ticket: Ticket, stock: int) -> Order:
        return Order(number="17")

    (line,) = lines(workflow(stock, after_stock, reply), FINISHED)
    assert "step 'order' has finished, and now takes" in line
    assert "stock" in line


def test_an_output_and_an_input_that_do_not_fit_any_more() -> None:
    @step(name="order")
    async def counted(ticket: Any) -> int:
        return 17

    found = lines(workflow(counted, given=int), FINISHED)
    assert "the input does not fit its type any more" in found
    assert "what step 'order' gave does not fit its type any more" in found


def test_a_step_that_has_acted_and_is_gone_before_it_finished() -> None:
    @step(name="order")
    async def alone(ticket: Ticket) -> Order:
        return Order(number="")

    begun = e.StepStarted("reply")
    intent = e.CallIntended("c1", "reply", 1, "refund", "1", "keyed", Raw("{}"), "d", "k", 0)
    assert lines(workflow(alone), begun) == []
    assert lines(workflow(alone), begun, intent) == ["step 'reply' has made effects and is no longer there"]


def test_a_definition_that_nobody_knows_any_more_hinders_once_something_has_finished() -> None:
    assert lines(workflow(order, reply), known=False) == []
    (line,) = lines(workflow(order, reply), FINISHED, known=False)
    assert "nobody can tell what has changed" in line
