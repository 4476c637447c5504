"""What a model answers is read strictly, at once: an answer that does not fit is asked again, with its errors,
and garbage of any kind ends in a clear failure of the step, never further on."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from orchestrator.rig import Engine, Order, code, kinds, result
from surefoot import Result, Retry, Run, Use, Workflow, step
from surefoot.core.model import FREE, Bound, ModelAnswer, ModelRequest, Tokens
from surefoot.testing import Fail, Say, ScriptedModel, UseTools

pytestmark = pytest.mark.anyio


class Ruling(BaseModel):
    decision: Literal["refund", "refuse"]
    amount: int = Field(ge=0, le=100)


GOOD = {"decision": "refund", "amount": 5}


def asking(output: Any = Ruling, **options: Any) -> Workflow:
    """One step that asks for `output` with `options` of run.ask, and gives it as JSON."""

    @step(retry=Retry(1))
    async def work(order: Order, run: Run) -> str:
        answer = await run.ask(output, "Rule on it", {"order": order}, **options)
        return answer.model_dump_json() if isinstance(answer, BaseModel) else json.dumps(answer)

    return Workflow("ruling", input=Order, steps=[work])


async def told(engine: Engine, *turns: Any, **options: Any) -> tuple[Result, ScriptedModel]:
    model = ScriptedModel({"work": list(turns)})
    return await engine.run(asking(**options), models=[model]), model


async def test_an_answer_that_fits_is_taken(engine: Engine) -> None:
    done, model = await told(engine, Say(GOOD))
    assert (done.status, json.loads(done.output), len(model.requests)) == ("succeeded", GOOD, 1)


async def test_the_data_go_to_the_model_apart_from_the_instructions(engine: Engine) -> None:
    """Nothing that a customer writes can become an instruction by being pasted into one."""
    _, model = await told(engine, Say(GOOD))
    (request,) = model.requests
    assert request.instructions == "Rule on it"
    assert [(one.role, json.loads(one.text)) for one in request.messages] == [
        ("user", {"order": {"number": 1}})
    ]
    assert request.output_schema is not None
    assert set(request.output_schema["properties"]) == {"decision", "amount"}


@pytest.mark.parametrize(
    ("said", "errors"),
    [
        ({"decision": "perhaps", "amount": 5}, ["decision: Input should be 'refund' or 'refuse'"]),
        ({"decision": "refund"}, ["amount: Field required"]),
        (
            {"decision": 1, "amount": 500},
            ["decision: Input should be", "amount: Input should be less than or equal to 100"],
        ),
        ("I would refund it.", ["not JSON"]),
        ("", ["not JSON"]),
        ('{"decision": "refund", "amount": 5, "amount": 6}', ["'amount' stands twice"]),
        ('{"decision": "refund", "amount": NaN}', ["NaN"]),
        ("null", ["should be an object"]),
        ("[" * 5000, ["JSON"]),
    ],
    ids=["enum", "missing", "two", "prose", "empty", "doubled key", "NaN", "null", "depth"],
)
async def test_an_answer_that_does_not_fit_is_asked_again_with_its_errors(
    engine: Engine, said: Any, errors: list[str]
) -> None:
    done, model = await told(engine, Say(said), Say(GOOD))
    assert (done.status, json.loads(done.output)) == ("succeeded", GOOD)
    assert len(model.requests) == 2
    answer, complaint = model.requests[1].messages[-2:]
    assert (answer.role, complaint.role) == ("assistant", "user")
    for error in errors:
        assert error in complaint.text


async def test_the_schemas_errors_are_told_of_an_answer_in_code_fences_too(engine: Engine) -> None:
    _, model = await told(engine, Say('```json\n{"decision": "refund", "amount": 500}\n```'), Say(GOOD))
    assert "amount: Input should be less than or equal to 100" in model.requests[1].messages[-1].text


async def test_errors_do_not_repeat_the_values_that_were_wrong(engine: Engine) -> None:
    """They may be private, and go into the journal."""
    done, model = await told(engine, Say({"decision": "ann@example.org", "amount": 5}), Say(GOOD))
    assert "ann@" not in model.requests[1].messages[-1].text
    assert done.status == "succeeded"


@pytest.mark.parametrize("repairs", [0, 1, 2, 3])
async def test_it_is_asked_again_as_often_as_it_was_allowed(engine: Engine, repairs: int) -> None:
    failed, model = await told(engine, *[Say("nonsense")] * 9, repairs=repairs, max_turns=9)
    assert (failed.status, code(failed), len(model.requests)) == ("failed", "output_invalid", repairs + 1)
    assert failed.error is not None
    assert "Ruling" in failed.error.what
    assert "not JSON" in failed.error.why


async def test_an_answer_that_was_cut_off_is_refused_although_it_reads_well(engine: Engine) -> None:
    done, model = await told(engine, Say(GOOD, finish="length"), Say({**GOOD, "amount": 7}))
    assert json.loads(done.output)["amount"] == 7
    assert "cut off" in model.requests[1].messages[-1].text


async def test_an_answer_that_is_cut_off_each_time_says_so(engine: Engine) -> None:
    failed, _ = await told(engine, *[Say(GOOD, finish="length")] * 9, max_tokens=64)
    assert code(failed) == "output_truncated"
    assert failed.error is not None
    assert "64 tokens" in failed.error.what


async def test_free_text_that_was_cut_off_is_refused_too(engine: Engine) -> None:
    failed, _ = await told(engine, *[Say("Dear cust", finish="length")] * 9, output=str)
    assert code(failed) == "output_truncated"


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD)}\n```",
        f"Here it is:\n```json\n{json.dumps(GOOD)}\n```\nAnything else?",
        f"Sure! {json.dumps(GOOD)} Done.",
        f"```{json.dumps(GOOD)}```",
    ],
    ids=["json fence", "bare fence", "talk around a fence", "talk around", "fence in a line"],
)
async def test_what_stands_around_an_answer_is_stripped_and_marked(engine: Engine, text: str) -> None:
    model = ScriptedModel({"work": [Say(text)]})
    runtime, run = await engine.start(asking(), models=[model])
    done = await result(runtime, run)
    assert (json.loads(done.output), len(model.requests)) == (GOOD, 1)
    (ask,) = (await runtime.state(run)).asks.values()
    assert ask.repaired
    assert "ask.repaired" in await kinds(runtime, run)


async def test_an_answer_as_it_should_be_is_not_marked(engine: Engine) -> None:
    runtime, run = await engine.start(asking(), models=[ScriptedModel({"work": [Say(GOOD)]})])
    await result(runtime, run)
    (ask,) = (await runtime.state(run)).asks.values()
    assert not ask.repaired
    assert not ask.rejected


async def test_a_model_that_declines_fails_the_ask(engine: Engine) -> None:
    failed, model = await told(engine, Say("I cannot help with that", finish="refused"), Say(GOOD))
    assert (code(failed), len(model.requests)) == ("model_refused", 1)
    assert failed.error is not None
    assert "cannot help" in failed.error.why


async def test_an_empty_text_is_no_answer(engine: Engine) -> None:
    done, model = await told(engine, Say("  \n"), Say("Hello"), output=str)
    assert (json.loads(done.output), len(model.requests)) == ("Hello", 2)


@pytest.mark.parametrize("output", [int, list[int], dict[str, int], Ruling | None, tuple[int, str]], ids=str)
async def test_any_type_that_is_json_can_be_asked_for(engine: Engine, output: Any) -> None:
    good = {int: 3, list[int]: [1], dict[str, int]: {"a": 1}, tuple[int, str]: [1, "a"]}.get(output, GOOD)
    done, _ = await told(engine, Say(good), output=output)
    assert (done.status, json.loads(done.output)) == ("succeeded", good)


# ── models in order ──


def scripted(name: str, *turns: Any) -> ScriptedModel:
    return ScriptedModel({"work": list(turns)}, name=name)


PROVIDER_FAILURES: list[Any] = ["unavailable", "rate_limited", "timeout", "cut_off", "refused", "crash"]


@pytest.mark.parametrize("kind", PROVIDER_FAILURES)
async def test_the_next_model_answers_where_a_provider_fails(engine: Engine, kind: Any) -> None:
    first, second = scripted("first", Fail(kind)), scripted("second", Say(GOOD))
    runtime, run = await engine.start(asking(), models=[first, second])
    done = await result(runtime, run)
    assert (done.status, len(first.requests), len(second.requests)) == ("succeeded", 1, 1)
    asks = list((await runtime.state(run)).asks.values())
    assert [ask.model for ask in asks] == ["scripted:first", "scripted:second"]
    assert asks[0].error is not None
    assert asks[1].answer is not None


async def test_an_answer_that_does_not_fit_is_no_reason_for_the_next_model(engine: Engine) -> None:
    first, second = scripted("first", Say("nonsense"), Say(GOOD)), scripted("second", Say(GOOD))
    done = await engine.run(asking(), models=[first, second])
    assert (done.status, len(first.requests), len(second.requests)) == ("succeeded", 2, 0)


def patient(attempts: int, **options: Any) -> Workflow:
    @step(retry=Retry(attempts, base=0), **options)
    async def work(order: Order, run: Run) -> str:
        return (await run.ask(Ruling, "Rule on it")).decision

    return Workflow("ruling", input=Order, steps=[work])


async def test_all_models_failing_for_now_is_tried_again_and_then_falls_back(engine: Engine) -> None:
    first, second = scripted("first", Fail("unavailable")), scripted("second", Fail("rate_limited"))
    done = await engine.run(patient(3, fallback=Use("refuse")), models=[first, second])
    assert (done.status, done.output, done.degraded) == ("succeeded", "refuse", True)
    assert (len(first.requests), len(second.requests)) == (3, 3)


async def test_a_definite_no_of_all_models_is_not_tried_again(engine: Engine) -> None:
    first, second = scripted("first", Fail("refused")), scripted("second", Fail("refused"))
    failed = await engine.run(patient(3), models=[first, second])
    assert (code(failed), len(first.requests), len(second.requests)) == ("model_refused", 1, 1)


@pytest.mark.parametrize("order", [0, 1])
async def test_one_failure_that_may_pass_is_worth_another_attempt(engine: Engine, order: int) -> None:
    both = [scripted("first", Fail("refused")), scripted("second", Fail("unavailable"))]
    failed = await engine.run(patient(3), models=both[::-1] if order else both)
    assert code(failed) == "model_unavailable"
    assert [len(one.requests) for one in both] == [3, 3]


async def test_a_provider_that_asks_for_time_gets_it(engine: Engine) -> None:
    model = scripted("first", Fail("rate_limited", retry_after=30.0))
    runtime, run = await engine.start(patient(2), models=[model])
    for _ in range(500):
        row = await runtime.store.run(run)
        if row is not None and row.status == "waiting":
            break
        await engine.clock.advance(0)
    assert row is not None
    assert row.due == engine.clock.now() + 30_000_000
    await engine.clock.jump(30)
    assert code(await result(runtime, run)) == "model_unavailable"
    assert len(model.requests) == 2


async def test_no_model_at_all_is_a_clear_error(engine: Engine) -> None:
    failed = await engine.run(asking(), models=[])
    assert code(failed) == "definition"
    assert failed.error is not None
    assert "models=" in failed.error.remedy


# ── garbage ──


class Odd:
    """A provider that does what none should."""

    name = "test:odd"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def bound(self, request: ModelRequest) -> Bound:
        return Bound(100, request.max_tokens, 1000)

    def price(self, usage: Tokens) -> int:
        return FREE.of(usage) + usage.output

    async def request(self, request: ModelRequest) -> ModelAnswer:
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]

    async def close(self) -> None:
        pass


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even its text can be had")


class Escape(BaseException):
    """No Exception: what some libraries raise to get past everybody's except clauses."""


@pytest.mark.parametrize(
    "answer",
    [
        KeyError("choices"),
        Unspeakable(),
        SystemExit(3),
        Escape("out"),
        Exception("half a pair: \ud83d"),
        None,
        "just text",
        ModelAnswer(None),  # type: ignore[arg-type]
        ModelAnswer("fine", calls=None),  # type: ignore[arg-type]
        ModelAnswer("fine", usage="many"),  # type: ignore[arg-type]
        StopAsyncIteration(),
        RecursionError("too deep"),
    ],
    ids=lambda answer: repr(type(answer).__name__) + str(getattr(answer, "text", "")),
)
async def test_a_provider_that_breaks_in_any_way_is_a_failure_of_the_provider(
    engine: Engine, answer: Any
) -> None:
    odd = Odd(answer)
    good = ScriptedModel({"work": [Say(GOOD)]})
    runtime, run = await engine.start(asking(), models=[odd, good])
    done = await result(runtime, run)
    assert (done.status, json.loads(done.output)) == ("succeeded", GOOD)
    state = await runtime.state(run)
    assert (state.reserved_nanousd, state.reserved_tokens) == (0, 0)
    assert done.usage.nanousd >= 1000  # nobody knows what that cost
    # And the runtime serves the next run.
    again = await runtime.start(Order(number=2))
    assert (await result(runtime, again.id)).status == "succeeded"


@pytest.mark.parametrize(
    "text",
    [
        "\x00",
        "\ud800",
        '{"decision": "\\ud800", "amount": 1}',
        "\u202e" * 50,
        "{" * 5_000,
        "9" * 5000,
        "1e999999",
    ],
    ids=["nul", "half a pair", "escaped half", "bidi", "braces", "digits", "huge exponent"],
)
async def test_garbage_in_an_answer_is_refused_and_written_down(engine: Engine, text: str) -> None:
    model = ScriptedModel({"work": [Say(text), Say(GOOD)]})
    runtime, run = await engine.start(asking(), models=[model])
    done = await result(runtime, run)
    assert (done.status, json.loads(done.output)) == ("succeeded", GOOD)
    # Whoever takes the run up later reads the same journal.
    onlooker = await engine.open(asking(), drive=False)
    assert (await onlooker.look(run)).output == done.output


@pytest.mark.parametrize("usage", [Tokens(-1000, -1000), Tokens(0, -1), Tokens(10, 0, -5)], ids=str)
async def test_a_usage_that_cannot_be_is_none(engine: Engine, usage: Tokens) -> None:
    """Nobody gets money back for asking."""
    odd = Odd(ModelAnswer(json.dumps(GOOD), usage=usage))
    done = await engine.run(asking(), models=[odd])
    assert done.status == "succeeded"
    assert done.usage.nanousd == 1000


async def test_proposed_calls_of_an_ask_without_tools_are_refused(engine: Engine) -> None:
    done, model = await told(engine, UseTools([("rm", {"path": "/"})]), Say(GOOD))
    assert done.status == "succeeded"
    assert "not a tool that may be used here" in model.requests[1].messages[-1].text
