"""`surefoot webhooks`: who is told, what became of it, telling it again, and trying whether it would arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.receiving import SECRET, Receiver, listening
from surefoot.orchestrator.clock import SystemClock
from surefoot.service.endpoints import endpoints_of
from surefoot.settings import gather
from surefoot.state.deliveries import DeliveryRow
from surefoot.state.opening import make_store

from .conftest import Shell

HOOK = "https://hooks.example/T0000/XyZ0123456789abcdef"


@pytest.fixture
def shop(shell: Shell) -> Shell:
    """A folder whose settings name two endpoints, and in which an approval waits."""
    shell.write(
        "pyproject.toml",
        '[tool.surefoot]\nworkflow = "till:till"\n\n[tool.surefoot.webhooks]\n'
        f'pager = "{HOOK}"\nlog = {{url = "mailto:ops@shop.example", types = ["run.failed"]}}\n\n'
        '[tool.surefoot.mail]\nleads = ["kim@shop.example"]\n',
    )
    shell.here("run", "--input", "small.json", "--quiet")
    store(shell, "endpoints")
    shell.here("run", "--input", "large.json", "--quiet")
    return shell


def store(shell: Shell, what: str) -> list[DeliveryRow]:
    """As a dispatcher would act on it: `endpoints` sets them up, `fail` has every attempt fail for good."""

    async def act() -> list[DeliveryRow]:
        clock = SystemClock()
        url = f"sqlite:///{shell.folder}/.surefoot/state.db"
        opened, _ = make_store(url, now=clock.now, worker="telling")
        await opened.open()
        try:
            if what == "endpoints":
                found = endpoints_of(gather({}, {}, shell.folder))
                await opened.set_endpoints([one.row(clock.now()) for one in found])
            for one in await opened.endpoints():
                for taken in await opened.take_deliveries(one.id, 9, clock.now()) if what == "fail" else ():
                    await opened.settle_delivery(taken, "failed", "410 gone")
            return await opened.deliveries()
        finally:
            await opened.close()

    return asyncio.run(act())


def test_the_list_says_who_is_told_of_what_and_no_address(shop: Shell) -> None:
    said = shop.here("webhooks", "list")
    assert said.code == 0
    assert "pager" in said.out
    assert "everything" in said.out
    assert "mail-leads" in said.out
    assert "XyZ0123456789abcdef" not in said.out
    pager, log, leads = shop.here("webhooks", "list", "--json").lines
    assert (pager["name"], pager["to"], pager["groups"]) == ("pager", "https://hooks.example/…", None)
    assert (log["name"], log["types"]) == ("log", ["run.failed"])
    assert (leads["types"], leads["groups"]) == (["item.opened", "item.expired"], ["leads"])


def test_without_endpoints_it_says_what_to_set(shell: Shell) -> None:
    said = shell.here("webhooks", "list")
    assert said.code == 0
    assert "SUREFOOT_WEBHOOKS" in said.err


def test_what_failed_is_found_and_told_again(shop: Shell) -> None:
    leads, pager = shop.here("webhooks", "deliveries", "--json").lines
    waiting = {one["to"]: one for one in (leads, pager)}
    assert waiting["pager"]["status"] == "waiting"
    assert waiting["pager"]["type"] == "item.opened"
    number = str(waiting["pager"]["delivery"])
    said = shop.here("webhooks", "replay", number)
    assert (said.code, "still waits" in said.err) == (2, True)
    store(shop, "fail")
    assert "410 gone" in shop.here("webhooks", "deliveries", "--status", "failed").out
    again = shop.here("webhooks", "replay", number, "--json").json
    assert (again["status"], again["attempts"], again["to"]) == ("waiting", 0, "pager")


def test_what_cannot_be_told_again_is_refused(shop: Shell) -> None:
    said = shop.here("webhooks", "replay", "4711")
    assert (said.code, "there is no delivery 4711" in said.err) == (2, True)
    store(shop, "fail")
    number = str(shop.here("webhooks", "deliveries", "--json").lines[0]["delivery"])
    shop.write("pyproject.toml", "[tool.surefoot]\n")
    store(shop, "endpoints")
    said = shop.here("webhooks", "replay", number)
    assert (said.code, "can be sent nowhere" in said.err) == (2, True)
    assert shop.here("webhooks", "deliveries", "--limit", "1").err.startswith("There may be more")


def test_a_test_arrives_signed_and_says_what_came_back(shell: Shell) -> None:
    answers: list[Any] = [(204, {}, ""), (401, {}, "who are you?")]
    with listening(Receiver(lambda number: answers[number])) as receiver:
        shell.setenv("SUREFOOT_WEBHOOKS", receiver.url)
        shell.setenv("SUREFOOT_WEBHOOK_SECRET", SECRET)
        said = shell.here("webhooks", "test")
        assert (said.code, "has taken it: 204" in said.out) == (0, True)
        said = shell.here("webhooks", "test", "--json")
        assert said.code == 1
        assert said.json["answer"] == "401 who are you?"
    assert receiver.requests[0].verified()["type"] == "test"


@pytest.mark.parametrize(
    ("environment", "words", "says"),
    [
        ({}, [], "nobody is told"),
        ({"SUREFOOT_WEBHOOKS": HOOK, "SUREFOOT_WEBHOOK_SECRET": SECRET}, ["other"], "no endpoint is called"),
        ({"SUREFOOT_WEBHOOKS": HOOK}, [], "SUREFOOT_WEBHOOK_SECRET is not set"),
        ({"SUREFOOT_WEBHOOKS": "http://hooks.example/x"}, [], "not https"),
    ],
)
def test_a_test_that_cannot_be_sent_says_why(
    shell: Shell, environment: dict[str, str], words: list[str], says: str
) -> None:
    for name, value in environment.items():
        shell.setenv(name, value)
    said = shell.here("webhooks", "test", *words)
    assert said.code == 2
    assert says in said.err
