"""Webhooks: what happens in runs reaches receivers, signed, once for each attempt that took it, and with nothing in it
that a view would not show."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks import WebhookVerificationError

from orchestrator.rig import quiet, until
from service.receiving import CARD, CUSTOMER, OTHER, SECRET, Receiver, Ticket, listening, now, serving, told
from surefoot import Approve, Deny
from surefoot.core.clock import MICROS
from surefoot.errors import UsageError
from surefoot.orchestrator.forgetting import forget
from surefoot.service.egress import Answer
from surefoot.service.service import Service
from surefoot.service.telling import ATTEMPTS, HELD, telling, wait_after
from surefoot.state.deliveries import DeliveryRow
from surefoot.state.outbox import KEPT
from surefoot.testing import ManualClock

pytestmark = pytest.mark.anyio

ENVIRONMENT = {"SUREFOOT_WEBHOOK_SECRET": SECRET}
HOOK = "https://hooks.example/desk"
DAY = 86_400.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(now())


def tell(service: Service, receiver: Receiver, *, webhooks: str = HOOK, **settings: str) -> Any:
    """By the receiver's hand instead of a socket."""
    return telling(
        service,
        told(webhooks=webhooks, **settings),
        environment=ENVIRONMENT,
        post=receiver.post,
        chance=lambda: 0.5,
    )


async def asked(service: Service, ticket: Ticket | None = None) -> tuple[str, str]:
    """A run that waits for a person, and what it waits for."""
    run = await service.runtime.start(ticket or Ticket())
    while not (items := await service.store.items(run=run.id)):
        await asyncio.sleep(0.002)
    return run.id, items[0].id


async def settled(service: Service, count: int, *statuses: str) -> list[DeliveryRow]:
    """All deliveries, oldest first, once `count` have ended (or have come to one of these). One that waits
    counts when an attempt has failed."""
    wanted = statuses or ("sent", "failed", "dropped")
    for _ in range(2000):
        found = await service.store.deliveries()
        if sum(one.status in wanted and bool(one.answer) for one in found) >= count:
            return found[::-1]
        await asyncio.sleep(0.002)
    raise AssertionError(await service.store.deliveries())


def busy_until(number: int) -> Receiver:
    """Takes nothing before so many requests, and says which one it was."""
    return Receiver(lambda n: (503 if n < number else 200, {}, f"busy {n + 1}"))


async def to_wait(service: Service, tries: int) -> float:
    """Seconds until the only delivery is tried again, once so many attempts have failed."""
    for _ in range(2000):
        for row in await service.store.deliveries():
            if row.answer == f"503 busy {tries}":
                return (row.due - service.clock.now()) / MICROS
        await asyncio.sleep(0.002)
    raise AssertionError(await service.store.deliveries())


async def arrived(receiver: Receiver, count: int) -> None:
    await until(lambda: len(receiver.requests) == count, f"{count} requests")


async def advance(clock: ManualClock, seconds: float) -> None:
    await clock.advance(seconds)
    await asyncio.sleep(0.03)


# ── what is told ──


async def test_an_approval_asked_for_reaches_the_receiver_signed(clock: ManualClock) -> None:
    with listening(Receiver()) as receiver:
        async with serving("memory:", clock) as service:
            settings = told(webhooks=receiver.url, url="https://desk.example/")
            async with telling(service, settings, environment=ENVIRONMENT):
                run, item = await asked(service)
                await settled(service, 1)
    (request,) = receiver.requests
    news = request.verified()
    assert (request.path, news["type"]) == ("/hook", "item.opened")
    assert datetime.fromisoformat(news["timestamp"]).timestamp() == pytest.approx(clock.now() / MICROS, abs=5)
    assert (news["data"]["run"], news["data"]["workflow"]) == (run, "little-desk")
    assert news["data"]["status"] == "waiting"
    assert news["data"]["link"] == f"https://desk.example/runs/{run}"
    told_item = news["data"]["item"]
    assert (told_item["item"], told_item["kind"], told_item["status"]) == (item, "approval", "open")
    assert (told_item["for"], told_item["tool"]) == ("leads", "refund")
    assert told_item["args"]["amount"] == "80"
    assert told_item["args"]["to"] == "[email-1]"
    assert told_item["reason"] == "more than 50 is for the leads"
    assert datetime.fromisoformat(told_item["expires"]).timestamp() == pytest.approx(
        clock.now() / MICROS + DAY, abs=5
    )
    assert told_item["link"] == f"https://desk.example/inbox/{item}"
    with pytest.raises(WebhookVerificationError):
        request.verified(OTHER)


async def test_a_receiver_learns_how_it_was_decided_and_how_the_run_ended(clock: ManualClock) -> None:
    receiver = Receiver()
    async with serving("memory:", clock) as service, tell(service, receiver):
        run, item = await asked(service)
        await service.runtime.decide(item, Deny(by="kim", reason="not this one"))
        await quiet(service.runtime)
        await settled(service, 3)
    assert receiver.types == ["item.opened", "item.decided", "run.failed"]
    decided, failed = (one.news["data"] for one in receiver.requests[1:])
    assert (decided["item"]["by"], decided["item"]["decision"]) == ("kim", "deny")
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "denied"
    assert failed["run"] == run


async def test_what_is_told_is_how_things_are_when_it_is_sent(clock: ManualClock) -> None:
    """An item that was decided while the receiver was down is not told as open."""
    receiver = Receiver(lambda number: (503 if number == 0 else 204, {}, ""))
    async with serving("memory:", clock) as service, tell(service, receiver):
        _, item = await asked(service)
        await settled(service, 1, "waiting")
        await service.runtime.decide(item, Approve(by="kim"))
        await quiet(service.runtime)
        await settled(service, 2)
        await advance(clock, 10)
        await settled(service, 3)
    first, *_, last = receiver.requests
    assert (first.id, first.news["type"]) == (last.id, last.news["type"])
    assert first.news["data"]["item"]["status"] == "open"
    assert last.news["data"]["item"]["status"] == "decided"


async def test_both_secrets_sign_while_one_is_replaced(clock: ManualClock) -> None:
    receiver = Receiver()
    environment = {"SUREFOOT_WEBHOOK_SECRET": f"{OTHER} {SECRET}"}
    async with (
        serving("memory:", clock) as service,
        telling(service, told(webhooks=HOOK), environment=environment, post=receiver.post),
    ):
        await asked(service)
        await settled(service, 1)
    (request,) = receiver.requests
    assert request.verified(SECRET) == request.verified(OTHER)


async def test_an_endpoint_hears_of_what_it_named_and_of_nothing_else(
    clock: ManualClock, tmp_path: Path
) -> None:
    table = f'[tool.surefoot.webhooks]\npager = {{url = "{HOOK}", types = ["run.succeeded"]}}\n'
    (tmp_path / "pyproject.toml").write_text(table)
    from surefoot.settings import gather

    receiver = Receiver()
    settings = gather({}, {}, tmp_path)
    async with (
        serving("memory:", clock) as service,
        telling(service, settings, environment=ENVIRONMENT, post=receiver.post),
    ):
        _, item = await asked(service)
        await service.runtime.decide(item, Approve(by="kim"))
        await quiet(service.runtime)
        await settled(service, 1)
    assert receiver.types == ["run.succeeded"]


async def test_nothing_private_or_secret_is_told_stored_or_logged(
    clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = "T00000000-B0000000-XyZ0123456789abcdef"
    planted = f"send it to {CUSTOMER}, card {CARD}, and sign with {SECRET}"
    caplog.set_level(logging.DEBUG)

    def echo(number: int) -> tuple[int, Mapping[str, str], str]:
        return (500 if number == 0 else 204), {}, planted

    with listening(Receiver(echo)) as receiver:
        async with serving(f"sqlite:///{tmp_path}/state.db", clock) as service:
            settings = told(webhooks=f"{receiver.url}/{hidden}")
            async with telling(service, settings, environment=ENVIRONMENT):
                await asked(service, Ticket(text=planted))
                await asked(service, Ticket(unclear=True, text=planted))
                await settled(service, 1)
                await advance(clock, 10)
                deliveries = await settled(service, 2)
    assert len(receiver.requests) >= 3
    bodies = [one.body.decode() for one in receiver.requests]
    said = [one.answer for one in deliveries]
    files = [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    for text in (*bodies, *said, *files, caplog.text):
        for value in (CUSTOMER, CARD, CARD.replace(" ", ""), SECRET, SECRET.removeprefix("whsec_"), hidden):
            assert value not in text
    assert "delivery 1 to" in caplog.text


async def test_news_stays_small_whatever_a_ticket_holds(clock: ManualClock) -> None:
    receiver = Receiver()
    async with serving("memory:", clock) as service, tell(service, receiver):
        await asked(service, Ticket(text="long " * 20_000))
        await settled(service, 1)
    (request,) = receiver.requests
    assert len(request.body) < 20_000
    assert len(request.news["data"]["item"]["args"]["note"]) < 5_000


async def test_what_signs_is_not_even_kept_sealed(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUREFOOT_WEBHOOK_SECRET", f"{OTHER} {SECRET}")
    monkeypatch.setenv("SUREFOOT_SMTP", "smtp://kim:pass%3Aword1@mail.example")
    async with serving("memory:", clock) as service:
        run = await service.runtime.start(Ticket(amount=Decimal(5), text=f"{SECRET}, {OTHER}, pass:word1"))
        await service.runtime.result(run.id)
        revealed = await service.runtime.reveal(run.id, by="kim")
    texts = "".join(one.view for one in revealed.events)
    assert "[secret:SUREFOOT_WEBHOOK_SECRET-1]" in texts
    assert not [one for one in (SECRET, OTHER, "pass:word1") if one in texts]


async def test_of_a_forgotten_and_of_a_pruned_run_the_row_is_told(clock: ManualClock) -> None:
    receiver = Receiver()
    async with serving("memory:", clock) as service:
        await service.store.set_endpoints([])
        async with tell(service, receiver):
            run, item = await asked(service)
            await service.runtime.decide(item, Approve(by="kim"))
            await quiet(service.runtime)
            opened, _, ended = await settled(service, 3)
            keyring = service.runtime.deployment.keyring
            await forget(service.store, keyring, clock, run, by="kim")
            for one in (opened, ended):
                assert await service.store.replay_delivery(one.id)
            await arrived(receiver, 5)
            await settled(service, 3)
            await service.store.prune(clock.now() + MICROS)
            for one in (opened, ended):
                assert await service.store.replay_delivery(one.id)
            await arrived(receiver, 7)
            await settled(service, 3)
    (item_again, run_again), (item_pruned, run_pruned) = receiver.requests[3:5], receiver.requests[5:]
    assert item_again.news["data"]["forgotten"] is not None
    assert run_again.news["data"]["status"] == run_pruned.news["data"]["status"] == "succeeded"
    assert run_pruned.news["data"]["pruned"] is True
    assert item_pruned.news["data"]["item"]["item"] == item
    assert CUSTOMER.encode() not in b"".join(one.body for one in receiver.requests)


# ── trying again ──


async def test_what_fails_is_tried_again_with_the_same_id_and_each_time_later(clock: ManualClock) -> None:
    receiver = busy_until(3)
    async with serving("memory:", clock) as service, tell(service, receiver):
        await service.runtime.start(Ticket(amount=Decimal(10)))
        for tries, wait in enumerate((5, 20, 80), 1):
            left = await to_wait(service, tries)
            assert 0 < left <= wait
            await advance(clock, left - 0.5)
            assert len(receiver.requests) == tries
            await advance(clock, 0.5)
        (sent,) = await settled(service, 1)
    assert (sent.status, sent.attempts) == ("sent", 4)
    assert len({one.id for one in receiver.requests}) == 1
    stamps = [int(one.headers["webhook-timestamp"]) for one in receiver.requests]
    assert stamps == sorted(set(stamps)), "each attempt is signed for its own moment"


async def test_after_about_a_day_it_is_given_up_and_can_be_sent_again(clock: ManualClock) -> None:
    receiver = busy_until(ATTEMPTS)
    async with serving("memory:", clock) as service, tell(service, receiver):
        await service.runtime.start(Ticket(amount=Decimal(10)))
        begun = clock.now()
        for tries in range(1, ATTEMPTS):
            await advance(clock, await to_wait(service, tries))
        (failed,) = await settled(service, 1)
        assert (failed.status, failed.attempts) == ("failed", ATTEMPTS)
        assert 20 * 3600 < (clock.now() - begun) / MICROS < 30 * 3600
        await advance(clock, DAY)
        assert len(receiver.requests) == ATTEMPTS
        assert await service.store.replay_delivery(failed.id)
        await arrived(receiver, ATTEMPTS + 1)
        (sent,) = await settled(service, 1, "sent")
    assert sent.attempts == 1
    assert len({one.id for one in receiver.requests}) == 1


def test_waits_grow_and_are_spread() -> None:
    chance = random.Random(7)
    for attempts in range(1, ATTEMPTS):
        least, most = wait_after(attempts, 0.0), wait_after(attempts, 1.0)
        assert most == 3 * least
        assert least <= wait_after(attempts, chance.random()) <= most
    assert wait_after(1, 0.5) == 5
    assert wait_after(ATTEMPTS - 1, 0.5) == 6 * 3600


@pytest.mark.parametrize(
    ("asked_for", "seconds"), [("120", 120), ("7", 7), ("9999999", DAY), ("soon", 5), ("-1", 5)]
)
async def test_a_receiver_may_ask_for_time(clock: ManualClock, asked_for: str, seconds: float) -> None:
    receiver = Receiver(lambda number: (429 if number == 0 else 204, {"Retry-After": asked_for}, ""))
    async with serving("memory:", clock) as service, tell(service, receiver):
        await asked(service)
        (waits,) = await settled(service, 1, "waiting")
        assert waits.due - clock.now() == pytest.approx(seconds * MICROS, abs=MICROS)
        if seconds > 10:
            await asked(service)
            await asyncio.sleep(0.05)
            assert len(receiver.requests) == 1, "others to it wait as well"
        await advance(clock, seconds + 1)
        await settled(service, 1)


async def test_an_endpoint_that_is_gone_is_sent_nothing_more(clock: ManualClock) -> None:
    receiver = Receiver(lambda number: (410, {}, "no more of it"))
    async with serving("memory:", clock) as service, tell(service, receiver):
        await asked(service)
        (failed,) = await settled(service, 1)
        assert (failed.status, failed.answer) == ("failed", "410 no more of it")
        await asked(service)
        failed, unsent = await settled(service, 2)
        assert len(receiver.requests) == 1
        assert "gone" in unsent.answer
        receiver.answer = lambda number: (204, {}, "")
        await advance(clock, 3601)
        assert await service.store.replay_delivery(unsent.id)
        await settled(service, 1, "sent")


async def test_a_redirect_is_no_answer_and_nobody_follows_it(clock: ManualClock) -> None:
    with listening(Receiver()) as other:
        moved = Receiver(lambda number: (302, {"Location": other.url}, ""))
        with listening(moved):
            async with (
                serving("memory:", clock) as service,
                telling(service, told(webhooks=moved.url), environment=ENVIRONMENT),
            ):
                await asked(service)
                (waits,) = await settled(service, 1, "waiting")
    assert waits.answer.startswith("302")
    assert other.requests == []


# ── one of several ──


async def test_a_receiver_that_hangs_holds_up_no_other(clock: ManualClock) -> None:
    good, hangs = Receiver(), asyncio.Event()

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if "slow" in url:
            await hangs.wait()
        return await good.post(url, headers, body)

    settings = told(webhooks=f"{HOOK},https://slow.example/hook")
    async with (
        serving("memory:", clock) as service,
        telling(service, settings, environment=ENVIRONMENT, post=post),
    ):
        for _ in range(20):
            await asked(service)
        await arrived(good, 20)
        assert {one.path for one in good.requests} == {HOOK}
        hangs.set()
        await settled(service, 40)


async def test_two_processes_that_tell_send_each_once(clock: ManualClock, tmp_path: Path) -> None:
    receiver = Receiver()
    store = f"sqlite:///{tmp_path}/state.db"
    async with (
        serving(store, clock) as one,
        serving(store, clock) as two,
        tell(one, receiver),
        tell(two, receiver),
    ):
        for service in (one, two) * 10:
            await service.runtime.start(Ticket())
        await settled(one, 20)
    assert len(receiver.requests) == 20
    assert len({request.id for request in receiver.requests}) == 20


async def test_one_that_dies_before_it_settles_leaves_it_to_be_sent_again(
    clock: ManualClock, tmp_path: Path
) -> None:
    receiver, sent = Receiver(), asyncio.Event()

    async def dies(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        await receiver.post(url, headers, body)
        sent.set()
        raise asyncio.CancelledError  # as when its process ends here

    async with serving(f"sqlite:///{tmp_path}/state.db", clock) as service:
        async with telling(service, told(webhooks=HOOK), environment=ENVIRONMENT, post=dies):
            run = await service.runtime.start(Ticket())
            await sent.wait()
        async with tell(service, receiver):
            await asyncio.sleep(0.05)
            assert len(receiver.requests) == 1, "somebody may still be sending it"
            await advance(clock, HELD + 1)
            (delivery,) = await settled(service, 1)
    first, second = receiver.requests
    assert (first.id, first.news["type"]) == (second.id, second.news["type"])
    assert (delivery.run, delivery.status, delivery.attempts) == (run.id, "sent", 2)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_fails_and_dies_everything_arrives(
    clock: ManualClock, tmp_path: Path, seed: int
) -> None:
    """Two processes tell, receivers fail in every way, and now and then one of the two dies and starts again."""
    chance, receiver = random.Random(seed), Receiver()

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        match chance.randrange(16):
            case 0:
                raise TimeoutError
            case 1:
                raise ZeroDivisionError
            case 2:
                await receiver.post(url, headers, body)
                raise httpx2.ReadError("it has taken it, and its answer was lost")
            case 3:
                await receiver.post(url, headers, body)
                raise asyncio.CancelledError  # its process ends here
            case 4:
                return Answer(chance.choice([302, 400, 404, 409, 429, 500, 502]), {}, "")
        return await receiver.post(url, headers, body)

    hooks = f"{HOOK},https://other.example/hook"
    store, settings = f"sqlite:///{tmp_path}/state.db", told(webhooks=hooks)
    async with serving(store, clock) as one, serving(store, clock) as two:
        async with tell(one, receiver, webhooks=hooks):
            pass  # so that the store knows whom to tell
        runs = [(await one.runtime.start(Ticket(amount=Decimal(n)))).id for n in range(20)]
        await quiet(one.runtime)
        await quiet(two.runtime)
        while True:
            async with (
                telling(one, settings, environment=ENVIRONMENT, post=post),
                telling(two, settings, environment=ENVIRONMENT, post=post),
            ):
                await advance(clock, HELD + 1)
            rows = await one.store.deliveries()
            if all(row.status == "sent" for row in rows):
                break
            assert not [row for row in rows if row.status == "failed"]
    assert len(rows) == 40
    arrived_at = {(request.path, request.news["data"]["run"]) for request in receiver.requests}
    assert arrived_at == {(webhook.url, run) for webhook in settings.webhooks.values() for run in runs}
    assert len({request.id for request in receiver.requests}) == 40


async def test_what_breaks_in_us_is_an_attempt_that_failed(clock: ManualClock) -> None:
    good, breaks = Receiver(), [True]

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if breaks.pop() if breaks else False:
            raise ZeroDivisionError
        return await good.post(url, headers, body)

    async with (
        serving("memory:", clock) as service,
        telling(service, told(webhooks=HOOK), environment=ENVIRONMENT, post=post),
    ):
        await asked(service)
        await settled(service, 1, "waiting")
        await advance(clock, 10)
        (sent,) = await settled(service, 1)
    assert (sent.status, sent.attempts) == ("sent", 2)


# ── what is set up ──


async def test_an_endpoint_that_is_no_longer_named_is_told_nothing_more(clock: ManualClock) -> None:
    down, receiver = Receiver(lambda number: (503, {}, "")), Receiver()
    async with serving("memory:", clock) as service:
        async with tell(service, down):
            await asked(service)
            await until(lambda: down.requests)
        async with tell(service, receiver, webhooks="https://other.example/hook"):
            await asked(service)
            dropped, sent = await settled(service, 2)
        async with telling(service, told(), environment={}):
            assert await service.store.endpoints() == []
        await asked(service)
        assert len(await service.store.deliveries()) == 2
    assert (dropped.status, sent.status) == ("dropped", "sent")


async def test_the_store_does_not_know_where_news_is_taken(clock: ManualClock) -> None:
    async with serving("memory:", clock) as service, tell(service, Receiver(), webhooks=f"{HOOK}?token=1234"):
        (row,) = await service.store.endpoints()
    assert row.url == "https://hooks.example/…"


@pytest.mark.parametrize(
    ("settings", "secret", "says"),
    [
        ({"webhooks": HOOK}, "", "SUREFOOT_WEBHOOK_SECRET is not set"),
        ({"webhooks": HOOK}, "whsec_c2hvcnQ=", "24 to 64 bytes"),
        ({"webhooks": HOOK}, f"{SECRET} secret", "secret 2 of"),
        ({"webhooks": "http://hooks.example"}, SECRET, "not https"),
        ({"webhooks": HOOK, "webhook_hosts": "other.example"}, SECRET, "SUREFOOT_WEBHOOK_HOSTS"),
        ({"mail": "leads=kim@shop.example"}, SECRET, "SUREFOOT_SMTP is not set"),
        ({"mail": "leads=kim@shop.example", "smtp": "smtp://mail.example"}, SECRET, "SUREFOOT_MAIL_FROM"),
    ],
)
async def test_what_could_never_be_told_is_refused_at_the_start(
    clock: ManualClock, settings: dict[str, str], secret: str, says: str
) -> None:
    async with serving("memory:", clock) as service:
        with pytest.raises(UsageError) as refused:
            async with telling(service, told(**settings), environment={"SUREFOOT_WEBHOOK_SECRET": secret}):
                pass
    assert says in str(refused.value)


async def test_what_was_told_long_ago_is_swept(clock: ManualClock) -> None:
    receiver = Receiver()
    async with serving("memory:", clock) as service, tell(service, receiver):
        await asked(service)
        await settled(service, 1)
        (first,) = await service.store.deliveries()
        await advance(clock, KEPT / MICROS + 1)
        await asked(service)
        await until(lambda: receiver.types.count("item.opened") == 2)
        assert first.id not in [one.id for one in await service.store.deliveries()]
