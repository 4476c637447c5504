"""Reports of evals: where there are none, one of them, two compared, and files that are no reports."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from surefoot import console
from surefoot.settings import gather

from .conftest import Site, open_site

pytestmark = pytest.mark.anyio

BEFORE, AFTER = "20261129T080000.000Z-ab12", "20261130T080000.000Z-cd34"


def report(when: str, **verdicts: str) -> dict[str, Any]:
    scenarios = [
        {
            "id": name,
            "tags": ["money"],
            "must": name == "safe",
            "verdict": verdict,
            "why": "" if verdict == "green" else "<script>paid twice</script>",
            "trials": [
                {
                    "outcome": "pass" if verdict == "green" else "fail",
                    "failures": [] if verdict == "green" else [{"check": "calls", "said": "<b>two</b>"}],
                    "usage": {"usd": 0.25},
                    "seconds": 1.5,
                }
            ],
        }
        for name, verdict in verdicts.items()
    ]
    worst = "red" if "red" in verdicts.values() else "green"
    controls = {"planted": 9, "caught": 8, "missed": []}
    return {
        "when": when,
        "target": "desk:desk",
        "only": [],
        "workflow": "desk",
        "version": "1",
        "lane": "replay",
        "verdict": worst,
        "reasons": ["one is red"] if worst == "red" else [],
        "scenarios": scenarios,
        "negative_controls": controls,
        "usd": 0.5,
        "seconds": 3.25,
        "resume": None,
        "notes": [],
    }


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        settings = gather({"store": f"sqlite:///{tmp_path}/state.db"}, {}, tmp_path)
        console.mount(opened.app, opened.service, settings)
        yield opened


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    folder = tmp_path / "evals"
    folder.mkdir()
    before = report("2026-11-29T08:00:00+00:00", safe="green", gone="green", same="green")
    after = report("2026-11-30T08:00:00+00:00", safe="red", same="green", new="green")
    (folder / f"{BEFORE}.json").write_text(json.dumps(before))
    (folder / f"{AFTER}.json").write_text(json.dumps(after))
    (folder / "20261130T090000.000Z-ee.json").write_text("no report")
    return folder


async def test_where_there_is_none_one_is_told_how_to_make_one(site: Site) -> None:
    assert "surefoot eval" in (await site.ask.get("/evals")).text


async def test_reports_are_listed_newest_first_and_a_damaged_one_hides_none(
    site: Site, reports: Path
) -> None:
    page = (await site.ask.get("/evals")).text
    assert page.index(AFTER) < page.index(BEFORE)
    assert "1 red" in page and "3 green" in page


async def test_one_report_shows_what_needs_a_look_first(site: Site, reports: Path) -> None:
    page = (await site.ask.get(f"/evals/{AFTER}")).text
    assert page.index("safe") < page.index("same")
    for word in ("must", "8 of 9 caught", "one is red", "&lt;script&gt;paid twice"):
        assert word in page, word
    assert "<b>two</b>" not in page


async def test_two_reports_are_compared_scenario_by_scenario(site: Site, reports: Path) -> None:
    page = (await site.ask.get(f"/evals?a={BEFORE}&b={AFTER}")).text
    assert "3 scenarios changed" in page
    for word in ("gone", "new", "not there", "changed"):
        assert word in page, word
    assert page.index("safe") < page.rindex("same")


async def test_only_reports_of_that_folder_are_read(site: Site, reports: Path, tmp_path: Path) -> None:
    (tmp_path / "20261130T080000.000Z-cd99.json").write_text((reports / f"{AFTER}.json").read_text())
    for name in ("nothing", "..%2f20261130T080000.000Z-cd99", "20261130T080000.000Z-cd99", f"{AFTER}.json"):
        assert (await site.ask.get(f"/evals/{name}")).status_code == 404, name
    damaged = await site.ask.get("/evals/20261130T090000.000Z-ee")
    assert damaged.status_code == 422
    assert str(tmp_path) not in damaged.text


async def test_settings_tell_where_each_setting_came_from(site: Site) -> None:
    page = (await site.ask.get("/settings")).text
    assert "Where each setting came from" in page
    assert "--store" in page and "concurrency" in page
