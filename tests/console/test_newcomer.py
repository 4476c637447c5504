"""What somebody does who has never seen it: `surefoot new`, `surefoot serve`, and the browser. All of it is
real but for the model, whose answers are written down."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cli.conftest import Shell
from service.processes import Process

MODEL = 'models=["embedded:smollm2+shop/adapter"]'
IMPORT = "from surefoot.errors import TurnsExhausted"
LETTER = (
    "Hello,\\n\\nWe have returned 80.00 EUR for order SD-1163 to the card you paid with. Banks take up to five "
    "working days to show it.\\nKind regards,\\nHarbour Goods"
)
WRITTEN = f'''models=[
        ScriptedModel({{
            "triage": [Say({{"intent": "refund", "order_number": "SD-1163"}})],
            "reply": [Say({{"text": "{LETTER}"}})],
        }})
    ]'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    assert Shell(tmp_path, monkeypatch).here("new", "shop").code == 0
    folder = tmp_path / "shop"
    file = folder / "shop" / "workflow.py"
    text = file.read_text(encoding="utf-8")
    assert MODEL in text
    text = text.replace(MODEL, WRITTEN).replace(
        IMPORT, f"{IMPORT}\nfrom surefoot.testing import Say, ScriptedModel"
    )
    file.write_text(text, encoding="utf-8")
    return folder


def rows(folder: Path, what: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / ".surefoot" / "shop.db") as shop:
        return shop.execute(what).fetchall()


def test_a_newcomer_sees_a_refund_approved_done_once_and_told(shop: Path, browser: Browser) -> None:
    serving = Process(shop, "serve", "--port", "0")
    try:
        page = browser.new_page(base_url=serving.said["url"])
        page.set_default_timeout(20_000)
        page.goto("/")
        page.get_by_role("link", name="Start a run").click()
        page.get_by_role("button", name="Start").click()
        page.get_by_role("link", name="Approval").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text('refund(number="SD-1163"')
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("link", name="The run").click()
        expect(page.locator("#head")).to_contain_text("succeeded")
        expect(page.locator("#outcome")).to_contain_text("We have returned 80.00 EUR for order SD-1163")
        page.close()
        assert serving.stop() == 0
        assert "nothing is under way" in serving.log
    finally:
        serving.close()
    assert rows(shop, "select cents from refunds where number = 'SD-1163'") == [(8000,)]
    ((subject,),) = rows(shop, "select subject from outbox")
    assert subject == "Re: Refund for SD-1163"
