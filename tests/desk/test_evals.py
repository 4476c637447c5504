"""The desk's own suite holds the desk to its promises: green as it is, and never green once something is broken.

Each planted regression is an edit of the desk's source in a copy of it, and `surefoot eval` in a process of
its own, as a pull request would run it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support_desk.evals import ShopState, world
from surefoot.evals.suite import load
from surefoot.evals.world import changes

from .conftest import DESK

LEFT_OUT = shutil.ignore_patterns("training", "tests", "tickets", ".*", "__pycache__", "*.tmp")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The desk in a folder of its own; a test that breaks it mends it again."""
    return Path(shutil.copytree(DESK, tmp_path_factory.mktemp("desk") / "desk", ignore=LEFT_OUT))


def surefoot(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """(exit code, the JSON that it printed) of a command in that folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SUREFOOT_")}
    done = subprocess.run(
        [sys.executable, "-m", "surefoot", *words, "--json"],
        cwd=folder,
        env=environment | {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["verdict"] for one in report["scenarios"] if one["verdict"] != "green"}


def why(report: dict[str, Any], scenario: str) -> str:
    return str(next(one["why"] for one in report["scenarios"] if one["id"] == scenario))


# ── as it is ─────────────────────────────────────────────────────────────────────────────────────


def test_the_suite_is_as_wide_as_a_shops_year() -> None:
    suite = load(DESK / "scenarios", world)
    assert len(suite.scenarios) >= 70
    tags = {tag for one in suite.scenarios for tag in one.tags}
    assert tags >= {"track", "cancel", "refund", "address", "return", "exchange", "other"}
    assert tags >= {"policy", "approval", "wrong-customer", "language", "injection", "html", "review"}
    assert tags >= {"fault", "tool", "provider", "mail", "kill", "budget"}
    idle = [one.id for one in suite.scenarios if one.refusal]
    assert len(idle) <= len(suite.scenarios) // 10
    assert set(suite.recordings) == {one.id for one in suite.scenarios}, "a recording for each, and no other"


def test_every_scenario_is_green_and_so_are_its_traces_the_next_time(copy: Path) -> None:
    code, report = surefoot(copy, "eval", "--no-controls")
    assert (code, report["verdict"]) == (0, "green"), report["reasons"]
    first = {one["id"]: one["trials"][0]["trace"] for one in report["scenarios"]}
    code, report = surefoot(copy, "eval", "--no-controls", "--only", "kill", "--only", "approval")
    assert (code, report["verdict"]) == (0, "green"), report["reasons"]
    again = {one["id"]: one["trials"][0]["trace"] for one in report["scenarios"]}
    assert len(again) > 20
    assert again.items() <= first.items()


@pytest.mark.slow
def test_twenty_times_green_with_the_same_traces(copy: Path) -> None:
    traces = set()
    for _ in range(20):
        code, report = surefoot(copy, "eval", "--no-controls")
        assert (code, report["verdict"]) == (0, "green"), report["reasons"]
        traces.add(tuple(one["trials"][0]["trace"] for one in report["scenarios"]))
    assert len(traces) == 1


CONTROLLED = ("wrong-customer", "html")
"""Tags that `make test` tries negative controls on; the whole suite's are slow."""


def test_negative_controls_are_caught(copy: Path) -> None:
    code, report = surefoot(copy, "eval", *(word for tag in CONTROLLED for word in ("--only", tag)))
    assert (code, report["verdict"]) == (0, "green"), report["reasons"]
    found = report["negative_controls"]
    assert found["planted"] >= 20
    assert found["caught"] / found["planted"] >= 0.95, found["missed"]


@pytest.mark.slow
def test_negative_controls_are_caught_in_the_whole_suite(copy: Path) -> None:
    code, report = surefoot(copy, "eval")
    assert (code, report["verdict"]) == (0, "green"), report["reasons"]
    found = report["negative_controls"]
    assert found["planted"] >= 300
    assert found["caught"] / found["planted"] >= 0.95, found["missed"]


# ── the world ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_a_world_lasts_in_its_folder_and_another_folder_is_another_shop(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    state = ShopState(stock={"MUG-BLUE": 3})
    async with world(state, one) as shown:
        before = await shown.snapshot()
        async with shown.resources[0]("orders:write") as shop:
            await shop.cancel("SD-1196")
    async with world(state, one) as again, world(state, other) as fresh:
        found = changes(before, await again.snapshot())
        assert sorted((one.table, one.row) for one in found) == [
            ("orders", "SD-1196"),
            ("refunds", "SD-1196"),
        ]
        assert changes(before, await fresh.snapshot()) == []
    assert before["variants"]["MUG-BLUE"]["stock"] == 3


@pytest.mark.anyio
async def test_who_may_only_look_cannot_write_in_a_scenario_either(tmp_path: Path) -> None:
    async with world(ShopState(), tmp_path) as shown, shown.resources[0]("orders:read") as shop:
        assert (await shop.order("SD-1196")) is not None
        with pytest.raises(sqlite3.OperationalError):
            await shop.cancel("SD-1196")


@pytest.mark.anyio
async def test_a_scenario_changes_orders_in_few_words_and_a_new_one_must_be_whole(tmp_path: Path) -> None:
    given = {"email": "jan@post.example", "items": {"HOOK-BRASS": 4}, "parcel": {"delivered": "2026-11-18"}}
    changed = {"times_paid": 2, "refunded": "5.00", "gift": True}
    state = ShopState.model_validate({"orders": {"SD-2002": given, "SD-1171": changed}})
    async with world(state, tmp_path) as shown, shown.resources[0]("orders:read") as shop:
        new, old = await shop.order("SD-2002"), await shop.order("SD-1171")
    assert new is not None
    assert old is not None
    assert new.shipment is not None
    assert (new.total, new.paid, new.shipment.state) == (50, 50, "delivered")
    assert (old.paid, old.refunded, old.gift) == (40, 5, True)
    less = ShopState.model_validate({"orders": {"SD-2003": {"email": "jan@post.example"}}})
    (tmp_path / "less").mkdir()
    with pytest.raises(ValueError, match="say its email and items"):
        async with world(less, tmp_path / "less"):
            pass


# ── planted regressions ──────────────────────────────────────────────────────────────────────────

Edit = tuple[str, str, str]
"""File below support_desk/, what stands there, what stands there instead."""

RULE: list[Edit] = [("policy.py", "if (day - parcel.delivered).days > _days(order):", "if False:")]
WHOSE: list[Edit] = [("policy.py", "if order is None or order.email != ticket.sender:", "if order is None:")]
APPROVAL: list[Edit] = [("workflow.py", "amount > policy.LEADS_ABOVE", "amount > 10_000")]
RENAMED: list[Edit] = [
    ("tools.py", "async def refund(", "async def give_back("),
    ("workflow.py", "    refund,\n    return_items", "    give_back as refund,\n    return_items"),
]
SEND = "mail = await run.call(send_reply, to=ticket.sender, subject=reply.subject, body=reply.text)"
TWICE: list[Edit] = [
    (
        "workflow.py",
        SEND,
        SEND + "\n    " + SEND,
    )
]
FIELD: list[Edit] = [
    (
        "schemas.py",
        "    kind: OutcomeKind\n    number: OrderNumber | None = None\n    amount: Amount | None = None\n",
        "    kind: OutcomeKind\n    number: OrderNumber | None = None\n    amount: Amount | None = Field(default=None, exclude=True)\n",
    ),
]


PAY_BACK = '        self._db.execute(\n            "INSERT INTO refunds (receipt,'
COLUMN: list[Edit] = [
    (
        "shop.py",
        PAY_BACK,
        '        self._db.execute("UPDATE orders SET gift = 1 WHERE number = ?", (number,))\n' + PAY_BACK,
    )
]
FIND = "    return await run.call(find_order, number=reading.order_number)"
NOSY: list[Edit] = [("workflow.py", FIND, '    await run.call(find_order, number="SD-1163")\n' + FIND)]
GROUP: list[Edit] = [("workflow.py", 'by="leads"', 'by="desk"')]
RETRY: list[Edit] = [
    (
        "workflow.py",
        "@step(retry=Retry(attempts=3))\nasync def order",
        "@step(retry=Retry(1))\nasync def order",
    )
]
FALLBACK: list[Edit] = [
    (
        "workflow.py",
        '@step(timeout=180, fallback=Review("desk"))\nasync def details',
        "@step(timeout=180)\nasync def details",
    )
]
PATIENT: list[Edit] = [
    ("tools.py", "timeout=5)\nasync def find_order", "timeout=50)\nasync def find_order"),
]


def budget(usd: str = "0.20", tokens: str = "40_000", calls: str = "12", seconds: str = "300") -> list[Edit]:
    return [
        (
            "workflow.py",
            'Budget(usd="0.20", tokens=40_000, tool_calls=12, seconds=300',
            f'Budget(usd="{usd}", tokens={tokens}, tool_calls={calls}, seconds={seconds}',
        )
    ]


ONLY: dict[str, tuple[str, ...]] = {
    "a-rule-dropped": ("refund-too-late", "return-too-late"),
    "a-tool-renamed": ("refund-small",),
    "an-effect-made-twice": ("html",),
    "half-of-the-money": ("budget",),
    "somebody-elses-order-read": ("refund-small",),
    "a-column-more-changed": ("refund-small",),
}
"""What `make test` runs of the suite for these; the whole of it is slow, and does it for all."""
PLANTED: dict[str, tuple[list[Edit], str, str]] = {
    "a-rule-dropped": (RULE, "refund-too-late", "expected succeeded, got waiting|declined"),
    "whose-order-it-is-dropped": (WHOSE, "cancel-somebody-elses", "declined"),
    "the-approval-rule-dropped": (APPROVAL, "refund-waits-for-the-leads", "expected waiting, got succeeded"),
    "a-tool-renamed": (RENAMED, "refund-small", "a tool 'refund'"),
    "an-effect-made-twice": (TWICE, "track-html-only", "outbox"),
    "an-output-field-removed": (FIELD, "refund-small", "outcome.amount"),
    "a-column-more-changed": (COLUMN, "refund-small", "orders[SD-1171].gift: expected no change"),
    "somebody-elses-order-read": (NOSY, "refund-small", 'reads: find_order({"number":"SD-1163"})'),
    "another-group-asked": (GROUP, "refund-waits-for-the-leads", "asked.who: expected leads, got desk"),
    "a-retry-removed": (RETRY, "fault-look-up-fails-twice", "expected succeeded, got failed"),
    "a-fallback-removed": (FALLBACK, "fault-catalogue-is-down", "expected waiting, got failed"),
    "a-time-limit-raised": (PATIENT, "fault-look-up-times-out", "seconds: expected at most 12"),
    "half-of-the-time": (
        budget(seconds="150"),
        "budget-just-enough-seconds",
        "expected succeeded, got failed",
    ),
    "half-of-the-calls": (budget(calls="6"), "budget-just-enough-calls", "expected succeeded, got waiting"),
    "half-of-the-tokens": (
        budget(tokens="20_000"),
        "budget-just-enough-tokens",
        "expected succeeded, got waiting",
    ),
    "half-of-the-money": (
        budget(usd="0.10"),
        "budget-just-enough-dollars",
        "expected succeeded, got waiting",
    ),
}


@pytest.fixture
def broken(copy: Path) -> Any:
    """Plants edits in the copy, and takes them out again afterwards."""
    kept: dict[Path, bytes] = {}

    def plant(edits: list[Edit]) -> Path:
        for name, old, new in edits:
            path = copy / "support_desk" / name
            kept.setdefault(path, path.read_bytes())
            text = path.read_text("utf-8")
            assert text.count(old) >= 1, f"{name} does not say {old!r} any more"
            path.write_text(text.replace(old, new), "utf-8")
        return copy

    yield plant
    for path, was in kept.items():
        path.write_bytes(was)


def planted_is_red(folder: Path, planted: str, *words: str) -> None:
    _, scenario, cause = PLANTED[planted]
    code, report = surefoot(folder, "eval", "--no-controls", *words)
    assert (code, report["verdict"]) == (1, "red"), report["reasons"]
    assert verdicts(report)[scenario] == "red", why(report, scenario)
    assert any(part in why(report, scenario) for part in cause.split("|")), why(report, scenario)
    assert any(reason.startswith(f"{scenario}:") for reason in report["reasons"])


@pytest.mark.parametrize("planted", ONLY)
def test_a_planted_regression_is_red_in_the_scenarios_about_it(
    broken: Callable[[list[Edit]], Path], planted: str
) -> None:
    folder = broken(PLANTED[planted][0])
    planted_is_red(folder, planted, *(word for name in ONLY[planted] for word in ("--only", name)))


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_regression_is_red_and_named(broken: Callable[[list[Edit]], Path], planted: str) -> None:
    planted_is_red(broken(PLANTED[planted][0]), planted)


PROMPT: list[Edit] = [("prompts/triage.md", "cancel: does not want", "cancel: no longer wants")]


def test_a_changed_line_of_a_prompt_is_inconclusive_and_says_where(
    broken: Callable[[list[Edit]], Path],
) -> None:
    code, report = surefoot(broken(PROMPT), "eval", "--no-controls", "--only", "html")
    assert (code, report["verdict"]) == (2, "inconclusive"), report["reasons"]
    assert {one["verdict"] for one in report["scenarios"]} == {"inconclusive"}
    for one in report["scenarios"]:
        (miss,) = one["trials"][0]["misses"]
        assert (one["drift"], miss["nearest"], miss["path"]) == ("prompt", "triage", "instructions")
        assert "no longer wants" in miss["asked"]
        assert f"{one['id']}: step triage: prompt drift" in "\n".join(report["reasons"])


@pytest.mark.slow
def test_a_changed_line_of_a_prompt_is_never_green_nor_red_in_the_whole_suite(
    broken: Callable[[list[Edit]], Path],
) -> None:
    code, report = surefoot(broken(PROMPT), "eval", "--no-controls")
    assert (code, report["verdict"]) == (2, "inconclusive"), report["reasons"]
    found = verdicts(report)
    assert set(found.values()) == {"inconclusive"}
    assert len(found) > len(report["scenarios"]) * 0.9


# ── killed at every commit ───────────────────────────────────────────────────────────────────────

KILLED = ("address-changed",)
KILLED_MORE = (
    "refund-small",
    "refund-approved",
    "cancel-before-it-left",
    "return-does-not-fit",
    "exchange-a-size",
)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [*KILLED, *KILLED_MORE])
def test_killed_at_any_commit_the_shop_looks_the_same(copy: Path, scenario: str) -> None:
    code, report = surefoot(copy, "crashtest", "--only", scenario)
    assert (code, report["ok"]) == (0, True), report
    assert report["kills"] > 20
