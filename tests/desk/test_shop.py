"""What the shop promises to whoever calls it, whatever they ask and however often."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support_desk import seed
from support_desk.books import ShopNotNow, ShopRefused
from support_desk.facts import Address, Item
from support_desk.shop import open_shop, shop_at

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LAMP = "SD-1163"  # delivered, 80.00
BLANKET = "SD-1196"  # not sent yet, 119.00
BREAD_BIN = "SD-1183"  # under way
DESK = Path(__file__).parents[2] / "examples" / "support_desk"


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


def refunds(path: Path) -> list[tuple[object, ...]]:
    """Those that were not in the books from the beginning."""
    return [row for row in rows(path, "refunds") if not str(row[0]).startswith("R-SD-")]


async def test_the_same_seed_gives_the_same_shop(tmp_path: Path) -> None:
    seed.create(tmp_path / "a.db")
    seed.create(tmp_path / "b.db")
    for table in ("customers", "products", "variants", "orders", "lines", "payments", "shipments", "returns"):
        assert rows(tmp_path / "a.db", table) == rows(tmp_path / "b.db", table)
    assert len(rows(tmp_path / "a.db", "orders")) == 300
    assert 90 <= len(rows(tmp_path / "a.db", "customers")) <= 120
    assert {row[3] for row in rows(tmp_path / "a.db", "shipments")} == {"in_transit", "delivered", "lost"}


async def test_no_order_is_shipped_before_it_was_placed_or_delivered_before_it_was_shipped(
    shop_file: Path,
) -> None:
    async with open_shop() as shop:
        for number in range(seed.FIRST, seed.LAST + 1):
            order = await shop.order(f"SD-{number:04d}")
            assert order is not None
            assert order.paid == order.total * (2 if order.number == "SD-1150" else 1)
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
    assert len(rows(path, "orders")) == 300
    assert [file.name for file in path.parent.iterdir() if file.name.startswith("shop-")] == []


async def test_a_refund_asked_for_twice_under_one_key_is_made_once(shop_file: Path) -> None:
    async with shop_at(shop_file, clock=lambda: NOON) as shop:
        first = await shop.refund(LAMP, Decimal("80"), idempotency_key="k")
        again = await shop.refund(LAMP, Decimal("80.00"), idempotency_key="k")
    assert first == again
    assert first.at == NOON
    assert len(refunds(shop_file)) == 1


async def test_a_key_never_stands_for_another_refund(shop_file: Path) -> None:
    async with open_shop() as shop:
        await shop.refund(LAMP, Decimal(30), idempotency_key="k")
        with pytest.raises(ShopRefused, match="already stands for"):
            await shop.refund(LAMP, Decimal(20), idempotency_key="k")
    assert len(refunds(shop_file)) == 1


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
            assert order.refunded == sum(Decimal(str(row[3])) / 100 for row in refunds(path))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(series(Path(shutil.copy(new_shop(), folder))))


@pytest.mark.parametrize("amount", ["0", "-1", "80.01", "0.001", "NaN", "Infinity"])
async def test_an_amount_that_is_no_payment_back_is_refused(shop_file: Path, amount: str) -> None:
    async with open_shop() as shop:
        with pytest.raises(ShopRefused):
            await shop.refund(LAMP, Decimal(amount), idempotency_key="k")
    assert refunds(shop_file) == []


REFUND = """
from decimal import Decimal
from functools import cache
from pathlib import Path
from support_desk.books import ShopNotNow, ShopRefused
from support_desk.shop import shop_at
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
    assert len(refunds(shop_file)) == 1


def test_two_keys_in_two_connections_at_once_never_return_more_than_was_paid(shop_file: Path) -> None:
    seed.create(shop_file)
    said = at_once(*(REFUND.format(path=str(shop_file), key=key) for key in ("a", "b")))
    assert "refused" in said
    assert len(refunds(shop_file)) == 1


async def test_cancelling_twice_is_cancelling_once_and_returns_what_was_paid(shop_file: Path) -> None:
    async with open_shop() as shop:
        first = await shop.cancel(BLANKET)
        assert await shop.cancel(BLANKET) == first
        order = await shop.order(BLANKET)
    assert first.returned == 119
    assert order is not None
    assert order.cancelled is not None
    assert order.refundable == 0
    assert len(refunds(shop_file)) == 1


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


async def test_a_tool_that_may_only_read_holds_a_connection_that_cannot_write(shop_file: Path) -> None:
    async with open_shop("orders:read") as shop:
        assert await shop.order(LAMP) is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await shop.refund(LAMP, Decimal(1), idempotency_key="k")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await shop.cancel(BLANKET)
    assert refunds(shop_file) == []


async def test_a_shop_that_is_busy_says_that_nothing_was_done(
    shop_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("support_desk.books.BUSY_SECONDS", 0.01)
    async with open_shop() as shop:
        with closing(sqlite3.connect(shop_file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ShopNotNow):
                await shop.cancel(BLANKET)
            other.execute("ROLLBACK")
        order = await shop.order(BLANKET)
        assert order is not None
        assert order.cancelled is None


# ── what comes back ──

FOUR_MUGS = "SD-1158"  # delivered, 4 x MUG-GREEN
JUMPER = "SD-1161"  # delivered, 1 x JUMPER-NAVY-M
MUG = Item(sku="MUG-GREEN", quantity=1)
NAVY_M = Item(sku="JUMPER-NAVY-M", quantity=1)


def stock(path: Path, sku: str) -> int:
    return next(int(str(row[5])) for row in rows(path, "variants") if row[0] == sku)


async def test_no_more_pieces_come_back_than_were_sent_and_a_key_registers_once(shop_file: Path) -> None:
    async with shop_at(shop_file, clock=lambda: NOON) as shop:
        first = await shop.take_back(FOUR_MUGS, [MUG], idempotency_key="a")
        assert await shop.take_back(FOUR_MUGS, [MUG], idempotency_key="a") == first
        assert (first.what, first.at) == ("1 Enamel mug, green", NOON)
        with pytest.raises(ShopRefused, match="already stands for"):
            await shop.take_back(FOUR_MUGS, [Item(sku="MUG-GREEN", quantity=2)], idempotency_key="a")
        await shop.take_back(FOUR_MUGS, [Item(sku="MUG-GREEN", quantity=3)], idempotency_key="b")
        with pytest.raises(ShopRefused, match="has 0 of MUG-GREEN"):
            await shop.take_back(FOUR_MUGS, [MUG], idempotency_key="c")
        with pytest.raises(ShopRefused, match="has 0 of LAMP-BLACK"):
            await shop.take_back(FOUR_MUGS, [Item(sku="LAMP-BLACK", quantity=1)], idempotency_key="d")
        with pytest.raises(ShopRefused, match="named twice"):
            await shop.take_back("SD-1169", [Item(sku="MUG-BLUE", quantity=1)] * 2, idempotency_key="e")
    assert [row[4] for row in rows(shop_file, "returns") if row[2] == FOUR_MUGS] == [1, 3]


async def test_an_exchange_takes_one_from_the_shelf_and_happens_once(shop_file: Path) -> None:
    async with open_shop() as shop:
        first = await shop.exchange(JUMPER, NAVY_M, "JUMPER-NAVY-L", idempotency_key="a")
        assert await shop.exchange(JUMPER, NAVY_M, "JUMPER-NAVY-L", idempotency_key="a") == first
        assert (first.wanted, first.wanted_what) == ("JUMPER-NAVY-L", "1 Fisher jumper Mole, navy L")
        with pytest.raises(ShopRefused, match="has 0 of"):
            await shop.exchange(JUMPER, NAVY_M, "JUMPER-NAVY-S", idempotency_key="b")
        with pytest.raises(ShopRefused, match="has 0 of"):
            await shop.take_back(JUMPER, [NAVY_M], idempotency_key="c")
        order = await shop.order(JUMPER)
        assert order is not None
        assert (order.lines[0].back, order.lines[0].exchanged) == (1, True)
    assert stock(shop_file, "JUMPER-NAVY-L") == 4


@pytest.mark.parametrize(
    ("number", "sku", "wanted", "why"),
    [
        ("SD-1158", "MUG-GREEN", "MUG-CREAM", "out of stock"),
        ("SD-1159", "FRAME-SMALL", "FRAME-LARGE", "at its price"),
        ("SD-1158", "MUG-GREEN", "LAMP-WHITE", "no other variant"),
        ("SD-1158", "MUG-GREEN", "MUG-GREEN", "no other variant"),
        ("SD-1158", "MUG-GREEN", "MUG-PINK", "no other variant"),
        ("SD-1185", "JUMPER-NAVY-S", "JUMPER-NAVY-M", "was not delivered"),
        ("SD-1154", "MAT-JETTY", "MUG-GREEN", "final sale"),
        ("SD-7811", "MUG-GREEN", "MUG-BLUE", "no order"),
    ],
)
async def test_what_cannot_be_exchanged_is_refused_and_changes_nothing(
    shop_file: Path, number: str, sku: str, wanted: str, why: str
) -> None:
    seed.create(shop_file)
    before = [rows(shop_file, table) for table in ("returns", "variants")]
    async with open_shop() as shop:
        with pytest.raises(ShopRefused, match=why):
            await shop.exchange(number, Item(sku=sku, quantity=1), wanted, idempotency_key="a")
    assert [rows(shop_file, table) for table in ("returns", "variants")] == before


async def test_an_order_goes_to_another_address_only_while_it_is_at_home(shop_file: Path) -> None:
    there = Address(street="1 New Road", postcode="2041", city="Hillport")
    async with open_shop() as shop:
        assert (await shop.redirect(BLANKET, there)).address == there
        await shop.redirect(BLANKET, there)
        order = await shop.order(BLANKET)
        assert order is not None
        assert order.address == there
        for number, why in (
            (BREAD_BIN, "left the shop"),
            ("SD-1191", "was cancelled"),
            ("SD-7811", "no order"),
        ):
            with pytest.raises(ShopRefused, match=why):
                await shop.redirect(number, there)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.integers(0, 3)), max_size=8))
def test_no_series_of_returns_and_exchanges_brings_back_more_than_was_sent(
    asked: list[tuple[int, int, int]],
) -> None:
    async def series(path: Path) -> None:
        async with shop_at(path, clock=lambda: NOON) as shop:
            for kind, quantity, key in asked:
                item = Item(sku="MUG-GREEN", quantity=quantity)
                try:
                    if kind == 0:
                        await shop.exchange(FOUR_MUGS, item, "MUG-BLUE", idempotency_key=str(key))
                    else:
                        await shop.take_back(FOUR_MUGS, [item], idempotency_key=str(key))
                except ShopRefused:
                    pass
        mine = [row for row in rows(path, "returns") if row[2] == FOUR_MUGS]
        assert sum(int(str(row[4])) for row in mine) <= 4
        assert len([row for row in mine if row[5]]) <= 1
        assert stock(path, "MUG-BLUE") == 40 - sum(int(str(row[4])) for row in mine if row[5])

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(series(Path(shutil.copy(new_shop(), folder))))
