"""Fills a new shop: some 60 customers and 200 orders, the same ones from the same seed.

Most orders are drawn by chance; the ones that the tickets speak of are written out below, because what
the desk may do about a ticket hangs on their facts. The shop's "today" is fixed, so that a ticket about
a parcel of last week stays one about last week, whenever the desk is run.
"""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

TODAY = date(2026, 11, 20)
FIRST, LAST = 1001, 1200
DAYS_OF_ORDERS = 118
CUSTOMERS = 60

Stage = Literal["open", "in_transit", "delivered", "lost"]


@dataclass(frozen=True, slots=True)
class Given:
    """An order that a ticket speaks of. `cents` is its whole price; days are counted back from TODAY."""

    number: int
    email: str
    name: str
    stage: Stage
    lines: tuple[tuple[str, int, int], ...]
    """Title, quantity, cents of one piece."""
    shipped_ago: int = 0
    delivered_ago: int = 0


GIVEN = (
    Given(1163, "anna.berg@post.example", "Anna Berg", "delivered", (("Desk lamp Fjord", 1, 8000),), 10, 8),
    Given(1171, "tom.okafor@post.example", "Tom Okafor", "delivered", (("Tea towel set", 1, 2000),), 6, 3),
    Given(1196, "lucia.ferro@letters.example", "Lucia Ferro", "open", (("Wool blanket Skerry", 1, 11900),)),
    Given(1183, "ben.harrow@post.example", "Ben Harrow", "in_transit", (("Bread bin Cove", 1, 4200),), 4),
    Given(1187, "mei.tanaka@letters.example", "Mei Tanaka", "in_transit", (("Enamel mug", 4, 950),), 3),
    Given(1189, "jonas.weiss@brief.example", "Jonas Weiss", "in_transit", (("Coat hook Pier", 3, 1250),), 2),
    Given(
        1168, "clara.dunn@post.example", "Clara Dunn", "delivered", (("Picture frame Quay", 1, 3600),), 9, 5
    ),
    Given(
        1178,
        "oscar.lindqvist@brief.example",
        "Oscar Lindqvist",
        "delivered",
        (("Storm kettle", 1, 4650),),
        7,
        4,
    ),
    Given(
        1058,
        "victor.hale@mail.example",
        "Victor Hale",
        "delivered",
        (("Reading chair Anchor", 1, 34900),),
        82,
        79,
    ),
    Given(1149, "dana.petrov@letters.example", "Dana Petrov", "lost", (("Wall clock Harbour", 1, 3450),), 19),
    Given(1190, "carmen.ruiz@correo.example", "Carmen Ruiz", "in_transit", (("Linen apron", 2, 2150),), 2),
    Given(1175, "rita.holm@post.example", "Rita Holm", "delivered", (("Candle holder Isle", 2, 1450),), 6, 4),
)

FIRST_NAMES = (
    "Ada Alan Bea Carl Dora Emil Fay Gus Hana Ivo Jana Karl Lena Marc Nora Otto Pia Quinn Rosa Sam Tess Uma"
).split()
LAST_NAMES = (
    "Abbott Brandt Carver Dahl Elliot Farkas Grant Hobbs Ivers Jensen Keller Lowe Marsh Norris Osborne Pratt"
    " Reyes Sato Thorne Ullman Vance Walsh Young Ziegler"
).split()
GOODS = (
    ("Enamel mug", 950), ("Desk lamp Fjord", 8000), ("Tea towel set", 2000), ("Wool blanket Skerry", 11900),
    ("Bread bin Cove", 4200), ("Coat hook Pier", 1250), ("Picture frame Quay", 3600), ("Storm kettle", 4650),
    ("Wall clock Harbour", 3450), ("Linen apron", 2150), ("Candle holder Isle", 1450),
    ("Doormat Jetty", 2900), ("Bookend Capstan", 2600), ("Glass carafe", 3100), ("Notebook Log", 1190),
    ("Oil lamp Beacon", 5400),
)  # fmt: skip
CARRIERS = ("Gull Post", "Northline", "Parcel Tern")


def create(path: Path, seed: int = 7) -> None:
    """Make and fill the shop at `path`. Of two processes that try at once one wins; both find it whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="shop-") as folder:
        draft = Path(folder) / "shop.db"
        fill(draft, seed)
        try:
            # A link appears whole or not at all, and fails where the name is taken: the first one stays.
            os.link(draft, path)
        except FileExistsError:
            return


def fill(path: Path, seed: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")  # kept in the file, for every later connection
        db.executescript((Path(__file__).parent / "shop.sql").read_text(encoding="utf-8"))
        with db:
            db.execute("BEGIN")
            chance = random.Random(seed)
            for order in _orders(chance):
                _insert(db, order, chance)


def _orders(chance: random.Random) -> Iterator[Given]:
    given = {order.number: order for order in GIVEN}
    people: dict[str, str] = {}
    while len(people) < CUSTOMERS - len(GIVEN):
        first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
        people[f"{first}.{last}@mail.example".lower()] = f"{first} {last}"
    for number in range(FIRST, LAST + 1):
        yield given.get(number) or _drawn(number, chance, list(people.items()))


def _drawn(number: int, chance: random.Random, people: list[tuple[str, str]]) -> Given:
    email, name = chance.choice(people)
    age = (TODAY - placed_on(number)).days
    shipped_ago = max(age - chance.randint(1, 3), 0)
    delivered_ago = max(shipped_ago - chance.randint(2, 5), 0)
    stage: Stage = "delivered" if delivered_ago > 0 else "in_transit" if shipped_ago > 0 else "open"
    if stage == "delivered" and chance.random() < 0.03:
        stage = "lost"
    lines = tuple(
        (title, chance.choice((1, 1, 1, 2, 4)), cents)
        for title, cents in chance.sample(GOODS, chance.randint(1, 3))
    )
    return Given(number, email, name, stage, lines, shipped_ago, delivered_ago)


def placed_on(number: int) -> date:
    """Orders come in evenly: numbers rise with the days, and the last one is of today."""
    return TODAY - timedelta(days=(LAST - number) * DAYS_OF_ORDERS // (LAST - FIRST))


def _insert(db: sqlite3.Connection, order: Given, chance: random.Random) -> None:
    number = f"SD-{order.number}"
    placed = placed_on(order.number).isoformat()
    db.execute("INSERT OR IGNORE INTO customers VALUES (?, ?)", (order.email, order.name))
    db.execute("INSERT INTO orders VALUES (?, ?, ?, NULL)", (number, order.email, placed))
    for position, (title, quantity, cents) in enumerate(order.lines):
        db.execute("INSERT INTO lines VALUES (?, ?, ?, ?, ?)", (number, position, title, quantity, cents))
    total = sum(quantity * cents for _, quantity, cents in order.lines)
    card = f"card ending {chance.randint(0, 9999):04d}"
    db.execute("INSERT INTO payments VALUES (?, ?, ?, ?)", (number, card, total, placed))
    if order.stage == "open":
        return
    shipped = TODAY - timedelta(days=order.shipped_ago)
    expected = shipped + timedelta(days=5)
    delivered = TODAY - timedelta(days=order.delivered_ago) if order.stage == "delivered" else None
    carrier = chance.choice(CARRIERS)
    tracking = f"{carrier[:2].upper()}{chance.randint(10**8, 10**9 - 1)}"
    db.execute(
        "INSERT INTO shipments VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            number,
            carrier,
            tracking,
            order.stage,
            shipped.isoformat(),
            expected.isoformat(),
            None if delivered is None else delivered.isoformat(),
        ),
    )
