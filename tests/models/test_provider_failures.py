"""What a provider's failure becomes: may another try succeed, and was it billed? Both wire formats alike."""

from __future__ import annotations

import asyncio
import socket

import pytest

from surefoot.core.model import ModelSettings
from surefoot.errors import ModelError, ModelRefused, ModelUnavailable
from surefoot.models.providers import open_model
from wire import WireServer
from wire.server import KEY

from .subjects import FIND, PRICE, ask, wired

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("provider", ["openai", "anthropic"])]


async def failure(wire: WireServer, provider: str, scenario: str, **changes: object) -> ModelError:
    model = wired(wire, provider, scenario)
    try:
        with pytest.raises(ModelError) as caught:
            await model.request(ask(**changes))
    finally:
        await model.close()
    error = caught.value
    assert KEY not in str(error)
    assert len(str(error)) < 700
    return error


@pytest.mark.parametrize(
    ("scenario", "charged", "wait"),
    [
        ("rate-limited", False, 7.0),
        ("rate-limited-until", False, 30.0),
        ("broken", True, None),
        ("gateway", True, None),
        ("unavailable", False, 2.0),
        ("overloaded", False, None),
        ("cut", True, None),
        ("dropped", True, None),
        ("broken-json", True, None),
        ("empty", True, None),
        ("page", True, None),
        ("list", True, None),
        ("no-choices", True, None),
        ("no-message", True, None),
    ],
)
async def test_what_may_pass_is_unavailable_and_held_as_spent_unless_surely_free(
    wire: WireServer, provider: str, scenario: str, charged: bool, wait: float | None
) -> None:
    error = await failure(wire, provider, scenario)
    assert isinstance(error, ModelUnavailable)
    assert error.transient
    assert error.charged is charged
    assert error.retry_after == wait


@pytest.mark.parametrize(
    "scenario",
    [
        "unauthorized",
        "forbidden",
        "unknown-model",
        "refused-schema",
        "unprocessable",
        "too-long",
        "no-credit",
        "redirect",
    ],
)
async def test_a_definite_no_is_refused_and_costs_nothing(
    wire: WireServer, provider: str, scenario: str
) -> None:
    error = await failure(wire, provider, scenario)
    assert isinstance(error, ModelRefused)
    assert not error.transient
    assert error.charged is False
    assert error.remedy


async def test_a_refused_schema_is_told_how_to_do_without(wire: WireServer, provider: str) -> None:
    error = await failure(wire, provider, "refused-schema")
    assert "output" in error.remedy
    assert "HTTP 400: response_format is not supported" in error.why


async def test_every_failure_is_one_http_request(wire: WireServer, provider: str) -> None:
    for scenario in ("rate-limited", "broken", "dropped", "cut", "unauthorized", "redirect"):
        await failure(wire, provider, scenario)
    assert len(wire.received) == 6


async def test_an_answer_that_does_not_come_is_held_as_spent(wire: WireServer, provider: str) -> None:
    error = await failure(wire, provider, "slow", timeout=0.3)
    assert isinstance(error, ModelUnavailable)
    assert error.charged


async def test_an_answer_that_drips_is_out_of_time_as_a_whole(wire: WireServer, provider: str) -> None:
    error = await failure(wire, provider, "dripping", timeout=0.4)
    assert isinstance(error, ModelUnavailable)
    assert error.charged


async def test_where_nobody_listens_nothing_was_sent_and_nothing_is_billed(provider: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        model = open_model(f"{provider}:x", {provider: ModelSettings(api_key=KEY, base_url=url, price=PRICE)})
        with pytest.raises(ModelUnavailable) as caught:
            await model.request(ask())
        await model.close()
    assert caught.value.charged is False
    assert caught.value.transient


@pytest.mark.parametrize("key", ["sk-with\nbreak", "sk-“quoted”"])
async def test_a_key_that_http_cannot_carry_is_refused_unshown(
    wire: WireServer, provider: str, key: str
) -> None:
    model = open_model(
        f"{provider}:ok", {provider: ModelSettings(api_key=key, base_url=wire.openai, price=PRICE)}
    )
    with pytest.raises(ModelRefused) as caught:
        await model.request(ask())
    assert "sk-" not in str(caught.value)
    assert not wire.received


async def test_without_a_key_nothing_is_sent(provider: str) -> None:
    model = open_model(
        f"{provider}:x", {provider: ModelSettings(base_url="http://model.invalid", price=PRICE)}
    )
    with pytest.raises(ModelRefused, match="no key"):
        await model.request(ask())


async def test_a_base_url_that_is_none_is_refused(provider: str) -> None:
    settings = ModelSettings(api_key=KEY, base_url="gopher://localhost", price=PRICE)
    model = open_model(f"{provider}:x", {provider: settings})
    with pytest.raises(ModelRefused) as caught:
        await model.request(ask())
    assert "base URL" in caught.value.remedy
    await model.close()


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    wire: WireServer, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    model = wired(wire, provider, "ok")
    assert (await model.request(ask())).finish == "stop"
    await model.close()


async def test_a_cancelled_request_lets_go_of_its_connection(wire: WireServer, provider: str) -> None:
    model = wired(wire, provider, "slow")
    task = asyncio.create_task(model.request(ask()))
    assert await asyncio.to_thread(wire.arrived.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wire.scenarios.append("ok")
    assert (await model.request(ask())).finish == "stop"
    await model.close()


# ── answers that are no failure of the provider's, and no answer to use either ───────────────────


@pytest.mark.parametrize(
    ("scenario", "finish"),
    [("length", "length"), ("cut-call", "length"), ("refused", "refused"), ("filtered", "refused")],
)
async def test_the_finish_says_that_an_answer_is_not_whole(
    wire: WireServer, provider: str, scenario: str, finish: str
) -> None:
    model = wired(wire, provider, scenario)
    answer = await model.request(ask(tools=(FIND,)))
    assert answer.finish == finish
    assert answer.usage is not None
    await model.close()


async def test_json_that_is_none_is_passed_on_for_the_road_to_refuse(wire: WireServer, provider: str) -> None:
    model = wired(wire, provider, "bad-json")
    assert (await model.request(ask())).text == '{"intent": refund'
    await model.close()


@pytest.mark.parametrize("scenario", ["no-usage", "odd-usage"])
async def test_usage_that_nobody_tells_is_none(wire: WireServer, provider: str, scenario: str) -> None:
    model = wired(wire, provider, scenario)
    answer = await model.request(ask())
    assert answer.usage is None
    assert answer.text
    await model.close()


async def test_text_in_parts_is_one_text(wire: WireServer, provider: str) -> None:
    model = wired(wire, provider, "parts")
    assert (await model.request(ask(output_schema=None))).text == "It is on its way."
    await model.close()


async def test_cached_tokens_are_part_of_the_input(wire: WireServer, provider: str) -> None:
    model = wired(wire, provider, "ok")
    usage = (await model.request(ask())).usage
    assert usage is not None
    assert usage.cached == 3
    assert usage.input > 3
    assert model.price(usage) == (usage.input - 3) * 2000 + 3 * 200 + usage.output * 10000
    await model.close()


async def test_a_model_serves_one_event_loop_after_another(wire: WireServer, provider: str) -> None:
    model = wired(wire, provider, "ok")
    assert (await model.request(ask())).finish == "stop"

    def elsewhere() -> str:
        async def main() -> str:
            answer = await model.request(ask())
            await model.close()
            return answer.finish

        return asyncio.run(main())

    assert await asyncio.to_thread(elsewhere) == "stop"
