"""Every page, for every state in which a run can be; and nothing on any of them is more than text."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from surefoot.testing import Say

from . import program
from .conftest import OTHERS, PAGES, Site, open_site
from .program import World

pytestmark = pytest.mark.anyio

HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202egpj.exe\x1b[31m\u200b</textarea>"
)


async def pages_of(site: Site) -> dict[str, str]:
    """Every page that the store's runs and items have, with each item of each run chosen once."""
    from surefoot.orchestrator.trace import trace_of
    from surefoot.state.rows import RunFilter

    paths = [*PAGES, *OTHERS, "/login"]
    for row in await site.service.store.runs(RunFilter(limit=500)):
        paths += [f"/runs/{row.id}", f"/runs/{row.id}?scale=real&after=3&page=9"]
        for span in trace_of(await site.service.store.events(row.id)).spans:
            paths.append(f"/runs/{row.id}?at={span.id.replace(' ', '%20')}")
    paths += [f"/inbox/{item.id}" for item in await site.service.store.items(status=None)]
    found = {}
    for path in paths:
        page = await site.ask.get(path, follow_redirects=True)
        assert page.status_code == 200, (path, page.text)
        found[path] = page.text
    return found


async def in_every_state(site: Site, **ticket: Any) -> None:
    """Runs that ended in each way, wait for each thing, and are under way."""
    for mode in ("plain", "fail", "review", "unknown", "sleep", "denied", "slow"):
        await site.start(mode, **ticket)
    await site.start("plain", **{**ticket, "amount": "80"})
    edited = await site.item(**ticket)
    client = site.ask
    done = await client.post(
        f"/inbox/{edited.id}/decision",
        data={"choice": "edit", "field.amount": "7", "field.note": "x", "reason": ticket.get("text", "")},
    )
    assert done.status_code == 303, done.text
    await site.settle(edited.run)
    denied = await site.item(**ticket)
    await client.post(f"/inbox/{denied.id}/decision", data={"choice": "deny", "reason": "no " * 5})
    await site.settle(denied.run)
    await site.item("soon", **ticket)
    await site.clock.advance(5)
    cancelled = await site.start("sleep", **ticket)
    await client.post(f"/runs/{cancelled}/cancel", data={"reason": ticket.get("text", "")})
    await site.settle(cancelled)
    retried = await site.start("fail", **ticket)
    await client.post(f"/runs/{retried}/retry", data={"reason": "again"})
    await site.settle(retried)
    forked = await client.post(f"/runs/{retried}/fork", data={"step": "checked"})
    await site.settle(forked.headers["location"].rpartition("/")[2])


async def test_every_page_of_an_empty_store_is_there(site: Site) -> None:
    for path, page in (await pages_of(site)).items():
        assert "<h1" in page, path


async def test_every_page_is_there_for_every_state_of_a_run_and_shows_no_private_value(site: Site) -> None:
    await in_every_state(site, sender="private.person@post.example", text="I am private.person@post.example")
    pages = await pages_of(site)
    for path, page in pages.items():
        assert "private.person" not in page, path
        assert_outlined(page, path)
    assert len(pages) > 100
    everything = "\n".join(pages.values())
    for word in ("succeeded", "failed", "waiting", "cancelled", "queued", "unknown outcome", "review"):
        assert word in everything


async def test_a_run_that_was_pruned_or_forgotten_still_has_a_page(site: Site) -> None:
    pruned, forgotten = await site.start("fail"), await site.start("plain")
    await site.service.runtime.forget(forgotten, by="kim")
    page = (await site.ask.get(f"/runs/{forgotten}")).text
    assert "its exact values are gone" in page
    assert 'action="/runs/' + forgotten + '/reveal"' not in page
    await site.clock.advance(1000)
    await site.service.store.prune(site.clock.now())
    for run in (pruned, forgotten):
        page = (await site.ask.get(f"/runs/{run}")).text
        assert "Its journal was deleted" in page
    page = (await site.ask.get(f"/runs/{pruned}")).text
    assert "ZeroDivisionError" in page and "tokens_in" in page
    assert (await site.ask.get("/runs")).status_code == 200


async def test_whatever_anybody_writes_is_text_on_every_page(tmp_path: Path) -> None:
    """The ticket, the model's answer, a tool's result, a person's reason, a key."""
    world = World()
    hostile_model = program.model([Say(HOSTILE), Say({"wish": HOSTILE})])
    async with open_site(tmp_path, made=program.workflow(world), models=[hostile_model]) as site:
        await in_every_state(site, subject=HOSTILE[:110], text=HOSTILE, lines=[HOSTILE])
        given = {"subject": HOSTILE[:110], "text": HOSTILE}
        keyed = await site.service.runtime.start(given, key=HOSTILE[:90])
        await site.settle(keyed.id)
        await site.ask.post("/intake", data={"do": "pause", "reason": HOSTILE})
        pages = await pages_of(site)
        found = await site.ask.get("/runs", params={"q": HOSTILE, "status": HOSTILE, "before": HOSTILE})
        missing = await site.ask.get(f"/runs/x{quote(HOSTILE, safe='')}", params={"at": HOSTILE})
        for path, page in {**pages, "search": found.text, "missing": missing.text}.items():
            assert_harmless(page, path)
        everything = "\n".join(pages.values())
        assert "&lt;script&gt;alert(1)" in everything
        assert "\\u202e" in everything


class Outline(HTMLParser):
    """What somebody needs who hears a page: names of fields, landmarks, one heading above all, ids of one meaning."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: Counter[str] = Counter()
        self.named: set[str] = set()
        self.fields: list[dict[str, str | None]] = []
        self.tags: Counter[str] = Counter()
        self.unnamed: list[str] = []
        self._in_label = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags[tag] += 1
        if name := given.get("id"):
            self.ids[name] += 1
        if tag == "label":
            self._in_label += 1
            self.named.add(given.get("for") or "")
        is_field = tag in ("input", "select", "textarea") and given.get("type") != "hidden"
        if is_field and not self._in_label and "aria-label" not in given:
            self.fields.append(given)
        if tag in ("nav", "aside") and not {"aria-label", "aria-labelledby"} & given.keys():
            self.unnamed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self._in_label -= 1


def assert_outlined(page: str, path: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert [name for name, number in outline.ids.items() if number > 1] == [], path
    assert [one for one in outline.fields if one.get("id") not in outline.named] == [], path
    assert (outline.tags["h1"], outline.tags["main"], outline.unnamed) == (1, 1, []), path
    assert '<html lang="en"' in page and 'href="#main"' in page


class Tags(HTMLParser):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("img", "iframe", "object", "embed", "style", "base"), self.path
        assert not [name for name in given if name == "style" or name.startswith("on")], (
            self.path,
            tag,
            given,
        )
        if tag == "script":
            assert re.fullmatch(r"/static/[\w.]+\?v=\w+", given["src"] or ""), self.path
        for name in ("href", "action"):
            assert (given.get(name) or "/").startswith(("/", "?", "#")), (self.path, given)


def assert_harmless(page: str, path: str) -> None:
    """No tag, attribute or invisible mark of theirs: only our own scripts, and no handler or style."""
    Tags(path).feed(page)
    assert not re.search(r">49\b", page), path
    for mark in ("\u202e", "\x1b", "\u200b"):
        assert mark not in page, (path, hex(ord(mark)))


async def test_every_page_forbids_a_browser_to_run_anything_but_our_files(site: Site) -> None:
    run = await site.start()
    for path in (*PAGES, *OTHERS, "/login", f"/runs/{run}", "/nothing", "/runs/nothing"):
        page = await site.ask.get(path, follow_redirects=True)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"


async def test_static_files_are_kept_for_ever_under_the_name_of_their_content(site: Site) -> None:
    page = (await site.ask.get("/")).text
    for url in set(re.findall(r'"(/static/[^"]+)"', page)):
        answer = await site.ask.get(url)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await site.ask.get("/static/app.css?v=old")).headers["cache-control"] == "no-cache"
    for wrong in ("/static/nothing.css", "/static/..%2fpages.py", "/static/htmx-LICENSE.txt"):
        assert (await site.ask.get(wrong)).status_code == 404


async def test_a_page_that_is_not_there_is_told_as_a_page_and_to_programs_as_a_problem(site: Site) -> None:
    page = await site.ask.get("/nothing")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "What to do" in page.text
    problem = await site.ask.get("/nothing", headers={"accept": "application/json"})
    assert problem.headers["content-type"] == "application/problem+json"
    missing = await site.ask.get("/v1/runs/nothing", headers={"accept": "text/html"})
    assert missing.headers["content-type"] == "application/problem+json"


async def test_pages_are_no_part_of_the_api_s_document(site: Site) -> None:
    assert all(
        path.startswith(("/v1/", "/healthz", "/readyz", "/metrics")) for path in site.app.openapi()["paths"]
    )


async def test_filters_stand_in_the_address_and_pages_follow_each_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.console.runs.PAGE", 5)
    runs = [await site.start() for _ in range(6)]
    failed = await site.start("fail")
    page = (await site.ask.get("/runs")).text
    assert page.count('class="rid"') == 5
    older = re.search(r'href="(/runs\?[^"]*before=[^"]*)"', page)
    assert older is not None
    second = (await site.ask.get(older[1].replace("&amp;", "&"))).text
    assert runs[0] in second and failed not in second
    only = (await site.ask.get("/runs?status=failed")).text
    assert failed in only and runs[5] not in only
    assert 'value="failed" checked' in only
    none = (await site.ask.get("/runs?status=queued&since=1h")).text
    assert "No run fits" in none


async def test_a_run_is_found_by_its_id_and_by_its_key(site: Site) -> None:
    started = await site.service.runtime.start({"subject": "a", "text": "b"}, key="order-17")
    await site.settle(started.id)
    for sought in (started.id, "order-17"):
        found = await site.ask.get("/runs", params={"q": sought})
        assert found.headers["location"] == f"/runs/{started.id}"
    assert "There is no run" in (await site.ask.get("/runs?q=nobody")).text


async def test_a_long_journal_is_shown_page_by_page(site: Site) -> None:
    run = await site.start()
    page = (await site.ask.get(f"/runs/{run}?after=5")).text
    assert ">6</td>" in page and ">5</td>" not in page


async def test_the_chosen_item_shows_all_that_the_journal_says_of_it(tmp_path: Path) -> None:
    world = World()
    async with open_site(tmp_path, made=program.workflow(world), models=[program.garbage_model()]) as site:
        item = await site.item()
        await site.ask.post(
            f"/inbox/{item.id}/decision", data={"choice": "edit", "field.amount": "7", "reason": "less"}
        )
        await site.settle(item.run)
        ask = (await site.ask.get(f"/runs/{item.run}?at=a1")).text
        for word in (
            "did not fit; told the model",
            "scripted:scripted",
            "tokens",
            "cost",
            "What does the customer",
        ):
            assert word in ask, word
        call = (await site.ask.get(f"/runs/{item.run}?at=c1")).text
        for word in ("arguments", "result", "done: refund", "key", "approved as", "deadline", "keyed"):
            assert word in call, word
        approval = (await site.ask.get(f"/runs/{item.run}?at={item.id}")).text
        for word in (
            "arguments as proposed",
            "arguments as edited",
            "What a person changed",
            "ask refund by leads",
            "less",
        ):
            assert word in approval, word
        step = (await site.ask.get(f"/runs/{item.run}?at=step%20acted")).text
        assert "reads" in step and "checked" in step


async def test_an_error_is_shown_with_what_to_do(site: Site) -> None:
    page = (await site.ask.get(f"/runs/{await site.start('denied')}")).text
    assert "never:given" in page and "What to do" in page and "tool_denied" in page


async def test_cost_tells_days_models_steps_and_the_dearest_runs(tmp_path: Path) -> None:
    async with open_site(tmp_path) as site:
        run = await site.start()
        page = (await site.ask.get("/cost?days=30")).text
        for word in ("scripted:scripted", "reading", run, "today", "$5.00"):
            assert word in page, word
    (tmp_path / "other").mkdir()
    async with open_site(tmp_path / "other", models=[program.failing_model()]) as site:
        await site.start()
        assert "By model" in (await site.ask.get("/cost")).text
