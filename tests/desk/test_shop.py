"""What the shop promises to whoever calls it, whatever they ask and however often."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_desk import seed, tickets
from support_desk.shop import ShopNotNow, ShopRefused, open_shop, shop_at

pytestmark = pytest.mark.anyio
MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LAMP = "SD-1163"  # delivered, 80.00
BLANKET = "SD-1196"  # not sent yet, 119.00
BREAD_BIN = "SD-1183"  # under way
DESK = Path(__file__).parents[2] / "examples" / "support_desk"


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


async def test_the_same_seed_gives_the_same_shop(tmp_path: Path) -> None:
    seed.create(tmp_path / "a.db")
    seed.create(tmp_path / "b.db")
    for table in ("customers", "orders", "lines", "payments", "shipments"):
        assert rows(tmp_path / "a.db", table) == rows(tmp_path / "b.db", table)
    assert len(rows(tmp_path / "a.db", "orders")) == 200
    assert 50 <= len(rows(tmp_path / "a.db", "customers")) <= 70
    assert {row[3] for row in rows(tmp_path / "a.db", "shipments")} == {"in_transit", "delivered", "lost"}


async def test_no_order_is_shipped_before_it_was_placed_or_delivered_before_it_was_shipped(
    shop_file: Path,
) -> None:
    async with open_shop() as shop:
        for number in range(seed.FIRST, seed.LAST + 1):
            order = await shop.order(f"SD-{number}")
            assert order is not None
            assert order.paid == sum(line.price * line.quantity for line in order.lines)
            if order.shipment is not None:
                assert order.placed <= order.shipment.shipped
                assert order.shipment.delivered is None or order.shipment.shipped <= order.shipment.delivered


def at_once(*programs: str) -> list[str]:
    """Runs programs in processes of their own, each on from its `go()` at the same time; what they said."""
    head = "import asyncio, sys\nsys.path.insert(0, sys.argv[1])\n"
    head += "def go():\n    print('ready', flush=True)\n    sys.stdin.readline()\n"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", head + program, str(DESK)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for program in programs
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(programs)
    return said


def test_two_processes_that_open_a_new_shop_at_once_find_one_whole_shop(tmp_path: Path) -> None:
    path = tmp_path / "new" / "shop.db"
    program = (
        f"from pathlib import Path; from support_desk import seed; go(); seed.create(Path({str(path)!r}))"
    )
    at_once(program, program)
    assert len(rows(path, "orders")) == 200
    assert [file.name for file in path.parent.iterdir() if file.name.startswith("shop-")] == []


async def test_a_refund_asked_for_twice_under_one_key_is_made_once(shop_file: Path) -> None:
    async with shop_at(shop_file, clock=lambda: NOON) as shop:
        first = await shop.refund(LAMP, Decimal("80"), idempotency_key="k")
        again = await shop.refund(LAMP, Decimal("80.00"), idempotency_key="k")
    assert first == again
    assert first.at == NOON
    assert len(rows(shop_file, "refunds")) == 1


async def test_a_key_never_stands_for_another_refund(shop_file: Path) -> None:
    async with open_shop() as shop:
        await shop.refund(LAMP, Decimal(30), idempotency_key="k")
        with pytest.raises(ShopRefused, match="already stands for"):
            await shop.refund(LAMP, Decimal(20), idempotency_key="k")
    assert len(rows(shop_file, "refunds")) == 1


@cache
def new_shop() -> Path:
    """A shop to copy: making one takes longer than most examples."""
    path = Path(tempfile.mkdtemp()) / "shop.db"
    seed.create(path)
    return path


@given(st.lists(st.tuples(st.integers(-100, 9000), st.integers(0, 4)), max_size=8))
def test_no_series_of_refunds_returns_more_than_was_paid(asked: list[tuple[int, int]]) -> None:
    async def series(path: Path) -> None:
        async with shop_at(path, clock=lambda: NOON) as shop:
            for cents, key in asked:
                before = await shop.order(LAMP)
                try:
                    await shop.refund(LAMP, Decimal(cents).scaleb(-2), idempotency_key=str(key))
                except ShopRefused:
                    assert await shop.order(LAMP) == before
            order = await shop.order(LAMP)
            assert order is not None
            assert 0 <= order.refunded <= order.paid == 80
            assert order.refunded == sum(Decimal(str(row[3])) / 100 for row in rows(path, "refunds"))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(series(Path(shutil.copy(new_shop(), folder))))


@pytest.mark.parametrize("amount", ["0", "-1", "80.01", "0.001", "NaN", "Infinity"])
async def test_an_amount_that_is_no_payment_back_is_refused(shop_file: Path, amount: str) -> None:
    async with open_shop() as shop:
        with pytest.raises(ShopRefused):
            await shop.refund(LAMP, Decimal(amount), idempotency_key="k")
    assert rows(shop_file, "refunds") == []


REFUND = """
from decimal import Decimal
from functools import cache
from pathlib import Path
from support_desk.shop import ShopNotNow, ShopRefused, shop_at
async def main():
    async with shop_at(Path({path!r})) as shop:
        go()
        while True:
            try:
                receipt = await shop.refund("SD-1163", Decimal(80), idempotency_key={key!r})
            except ShopRefused:
                return print("refused")
            except ShopNotNow:
                continue
            return print(receipt.receipt)
asyncio.run(main())
"""


def test_one_key_in_two_connections_at_once_moves_the_money_once(shop_file: Path) -> None:
    seed.create(shop_file)
    program = REFUND.format(path=str(shop_file), key="k")
    one, other = at_once(program, program)
    assert one == other != "refused"
    assert len(rows(shop_file, "refunds")) == 1


def test_two_keys_in_two_connections_at_once_never_return_more_than_was_paid(shop_file: Path) -> None:
    seed.create(shop_file)
    said = at_once(*(REFUND.format(path=str(shop_file), key=key) for key in ("a", "b")))
    assert "refused" in said
    assert len(rows(shop_file, "refunds")) == 1


async def test_cancelling_twice_is_cancelling_once_and_returns_what_was_paid(shop_file: Path) -> None:
    async with open_shop() as shop:
        first = await shop.cancel(BLANKET)
        assert await shop.cancel(BLANKET) == first
        order = await shop.order(BLANKET)
    assert first.returned == 119
    assert order is not None
    assert order.cancelled is not None
    assert order.refundable == 0
    assert len(rows(shop_file, "refunds")) == 1


async def test_nothing_is_cancelled_that_has_left_the_house(shop_file: Path) -> None:
    async with open_shop() as shop:
        before = await shop.order(BREAD_BIN)
        with pytest.raises(ShopRefused, match="left the shop"):
            await shop.cancel(BREAD_BIN)
        assert await shop.order(BREAD_BIN) == before


async def test_an_unknown_order_is_refused_and_not_invented(shop_file: Path) -> None:
    async with open_shop() as shop:
        assert await shop.order("SD-7811") is None
        assert await shop.orders_of("nobody@post.example") == ()
        with pytest.raises(ShopRefused, match="no order"):
            await shop.refund("SD-7811", Decimal(1), idempotency_key="k")
        with pytest.raises(ShopRefused, match="no order"):
            await shop.cancel("SD-7811")


async def test_the_outbox_knows_what_left_and_does_not_hide_a_double(shop_file: Path) -> None:
    mail = ("anna.berg@post.example", "Re: lamp", "Hello")
    async with shop_at(shop_file, clock=lambda: NOON) as shop:
        assert await shop.sent("<k>") is None
        sent = await shop.send(*mail, message_id="<k>", not_after=NOON)
        assert await shop.sent("<k>") == sent
        await shop.send(*mail, message_id="<k>", not_after=NOON)
    assert len(rows(shop_file, "outbox")) == 2


async def test_a_process_that_wakes_up_too_late_sends_nothing(shop_file: Path) -> None:
    async with shop_at(shop_file, clock=lambda: NOON) as shop:
        with pytest.raises(ShopNotNow, match="was to be sent until"):
            await shop.send("a@b.example", "x", "y", message_id="<k>", not_after=NOON - timedelta(seconds=1))
    assert rows(shop_file, "outbox") == []


async def test_nobody_says_that_a_mail_did_not_leave_while_somebody_may_be_sending_it(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support_desk.shop.BUSY_SECONDS", 0.01)
    async with open_shop() as shop:
        with closing(sqlite3.connect(shop_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ShopNotNow):
                await shop.sent("<k>")


async def test_a_tool_that_may_only_read_holds_a_connection_that_cannot_write(shop_file: Path) -> None:
    async with open_shop("orders:read") as shop:
        assert await shop.order(LAMP) is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await shop.refund(LAMP, Decimal(1), idempotency_key="k")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await shop.send("a@b.example", "x", "y", message_id="<k>", not_after=datetime.now(UTC) + MINUTE)
    assert rows(shop_file, "refunds") == []


async def test_a_shop_that_is_busy_says_that_nothing_was_done(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support_desk.shop.BUSY_SECONDS", 0.01)
    async with open_shop() as shop:
        with closing(sqlite3.connect(shop_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ShopNotNow):
                await shop.cancel(BLANKET)
            other.execute("ROLLBACK")
        order = await shop.order(BLANKET)
        assert order is not None
        assert order.cancelled is None


async def test_every_ticket_that_names_an_order_of_its_sender_finds_it_in_the_shop(shop_file: Path) -> None:
    async with open_shop("orders:read") as shop:
        for name, ticket in tickets():
            if name not in ("07-not-the-buyer", "08-unknown-number"):
                assert await shop.orders_of(ticket.sender), name
