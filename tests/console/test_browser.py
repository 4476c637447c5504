"""The console in a real browser, with scripts and without, by keyboard, on a phone.

In each of these a message in the browser's console, or a breach of the page's policy, fails the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .running import Running, running

HOSTILE = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\"><b>bold</b>"

EXPECTED = (
    "Failed to load resource",  # a page that is answered with 4xx on purpose, or without a connection
)

Open = Callable[..., Page]

expect.set_options(timeout=10_000)  # machines that build are busy


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service")) as one:
        yield one


@pytest.fixture
def site(service: Running) -> Running:
    service.world.done.clear()
    return service


@pytest.fixture
def visit(browser: Browser, site: Running) -> Iterator[Open]:
    """Opens a page as somebody new: nothing is kept of one who came before."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=site.url, **options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if path:
            page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [one for one in complaints if not any(known in one for known in EXPECTED)] == []


SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])


def item_of(site: Running, **ticket: Any) -> tuple[str, str]:
    """(run, item) of a run that waits for a person."""
    run = site.start(**{"amount": "80", **ticket})
    assert site.result(run) == "waiting"
    (item,) = site.do(site.service.store.items(run=run))
    return run, item.id


@SCRIPTS
def test_a_ticket_is_submitted_watched_edited_and_its_effect_is_seen_once(
    visit: Open, site: Running, scripts: bool
) -> None:
    page = visit("/new", java_script_enabled=scripts)
    page.get_by_label("subject").fill("A broken kettle")
    page.get_by_label("text").fill("Please send the money back.\nThank you.")
    page.get_by_label("amount").fill("80")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/*")
    run = page.url.rpartition("/")[2]
    if not scripts:
        site.result(run)
        page.reload()
    expect(page.get_by_text("waits for leads")).to_be_visible()
    page.get_by_role("link", name="Approval").click()
    page.get_by_text("Edit the arguments").click()
    page.locator("#edit").get_by_label("amount").fill("7.50")
    page.locator("#edit").get_by_label("Why").fill("half of it")
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator(".preview ins")).to_have_text('"7.50"')
    assert site.refunds == []
    page.get_by_role("button", name="Make the call with this").click()
    expect(page.get_by_text("decided: edit")).to_be_visible()
    site.result(run)
    page.get_by_role("link", name="The run", exact=True).click()
    expect(page.locator("#head .badge").first).to_have_text("succeeded")
    expect(page.locator("#outcome")).to_contain_text("done: refund")
    assert site.refunds == [{"subject": "A broken kettle", "amount": Decimal("7.50"), "note": ""}]


@SCRIPTS
def test_a_denial_reaches_the_step_with_its_reason(visit: Open, site: Running, scripts: bool) -> None:
    run, item = item_of(site)
    page = visit(f"/inbox/{item}", java_script_enabled=scripts)
    page.get_by_label("Why not").fill("it was paid twice")
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("decided: deny")).to_be_visible()
    assert site.result(run) == "succeeded"
    page.goto(f"/runs/{run}")
    expect(page.locator("#outcome")).to_contain_text("refused: it was paid twice")
    assert site.refunds == []


@SCRIPTS
def test_an_item_that_nobody_decides_expires_before_one_s_eyes(
    visit: Open, site: Running, scripts: bool
) -> None:
    run = site.start(mode="soon", amount="9")
    page = visit(f"/runs/{run}", java_script_enabled=scripts)
    (item,) = wait_for(lambda: site.do(site.service.store.items(run=run, status=None)))
    page.goto(f"/inbox/{item.id}")
    assert site.result(run) == "succeeded"
    if not scripts:
        page.reload()
    expect(page.locator("#state")).to_contain_text("Nobody decided in time")
    if scripts:  # what was on the page before can still be pressed, and is refused
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="What you had typed")).to_be_visible()
    assert site.refunds == []


@SCRIPTS
def test_of_two_people_at_once_the_second_is_told_and_loses_nothing(
    visit: Open, site: Running, scripts: bool
) -> None:
    run, item = item_of(site)
    ann = visit(f"/inbox/{item}", java_script_enabled=scripts)
    bo = visit(f"/inbox/{item}", java_script_enabled=scripts)
    bo.get_by_label("Why not").fill("I have thought about this for long")
    ann.get_by_role("button", name="Approve").click()
    expect(ann.get_by_text("decided: approve")).to_be_visible()
    if scripts:  # told at once, with what was typed still there
        expect(bo.locator("#state")).to_contain_text("decided: approve")
        expect(bo.get_by_label("Why not")).to_have_value("I have thought about this for long")
    bo.get_by_role("button", name="Deny").click()
    expect(bo.locator("#state")).to_contain_text("decided: approve")
    expect(bo.locator(".kept")).to_contain_text("I have thought about this for long")
    site.result(run)
    assert len(site.refunds) == 1


@SCRIPTS
def test_a_ticket_of_html_and_script_is_only_text(visit: Open, site: Running, scripts: bool) -> None:
    run, item = item_of(site, subject=HOSTILE, text=HOSTILE)
    page = visit("/", java_script_enabled=scripts)
    for path in ("/", "/inbox", f"/inbox/{item}", f"/runs/{run}", f"/runs/{run}?at=step%20reading", "/runs"):
        page.goto(path)
        assert page.title() != "run"
        assert page.locator("img, main b:text-is('bold'), main script").count() == 0
    page.goto(f"/runs/{run}")
    expect(page.locator("#outcome").get_by_text(HOSTILE).first).to_be_visible()


@SCRIPTS
def test_logging_in_and_out(browser: Browser, tmp_path: Path, scripts: bool) -> None:
    with running(tmp_path) as other:
        token = other.token("ann", "runs:read", "inbox:decide")
        context = browser.new_context(base_url=other.url, java_script_enabled=scripts)
        page = context.new_page()
        page.goto("/inbox?whose=all")
        page.get_by_label("Your token").fill("sft_wrong_wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("the token does not hold")
        page.get_by_label("Your token").fill(token)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/inbox?whose=all")
        expect(page.get_by_text("ann", exact=False).first).to_be_visible()
        page.get_by_role("button", name="dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto("/")
        page.wait_for_url("**/login?next=/")
        context.close()


def test_a_run_is_seen_live_from_beginning_to_end(visit: Open, site: Running) -> None:
    site.hold()
    run = site.start(mode="slow", amount="3")
    page = visit(f"/runs/{run}")
    expect(page.locator("#waterfall")).to_contain_text("checked")
    expect(page.locator("#head .badge")).to_have_text("running")
    page.evaluate("window.isSame = true")  # it is this very page that follows
    site.let_go()
    expect(page.locator("#head .badge")).to_have_text("succeeded")
    expect(page.locator("#waterfall")).to_contain_text("told")
    expect(page.locator("#journal tbody tr").last).to_contain_text("run.finished")
    expect(page.locator("#journal tbody tr")).to_have_count(19)
    assert page.evaluate("window.isSame") is True


def test_the_overview_and_the_inbox_follow_what_happens(visit: Open, site: Running) -> None:
    overview, inbox, runs = visit("/"), visit("/inbox"), visit("/runs")
    run, item = item_of(site, subject="A new one")
    for page in (overview, inbox):
        expect(page.locator(f'a[href="/inbox/{item}"]').first).to_be_visible()
    expect(runs.locator(f'a[href="/runs/{run}"]')).to_be_visible()
    count = inbox.locator("#nav-count").inner_text()
    done = visit(f"/inbox/{item}")
    done.get_by_role("button", name="Approve").click()
    expect(inbox.locator(f'a[href="/inbox/{item}"]')).to_have_count(0)
    expect(inbox.locator("#nav-count")).not_to_have_text(count)


def test_what_somebody_types_is_not_taken_away_by_what_happens(visit: Open, site: Running) -> None:
    run, _ = item_of(site)
    page = visit(f"/runs/{run}")
    page.get_by_text("Cancel", exact=True).click()
    page.locator("#cancel-reason").fill("because the cust")
    site.do(site.service.runtime.reveal(run, by="kim", reason="to grow the journal"))
    expect(page.locator("#journal tbody tr").last).to_contain_text("private.revealed")
    expect(page.locator("#cancel-reason")).to_have_value("because the cust")
    expect(page.locator("#cancel-reason")).to_be_focused()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#head .badge").first).to_have_text("cancelled")


def test_a_stream_that_breaks_off_is_taken_up_where_it_was(visit: Open, site: Running) -> None:
    page = visit("/inbox")
    _, item = item_of(site)
    expect(page.locator(f'a[href="/inbox/{item}"]')).to_be_visible()
    site.break_streams()
    _, other = item_of(site)
    expect(page.locator(f'a[href="/inbox/{other}"]')).to_be_visible()


def test_a_page_that_nobody_sees_holds_no_connection_and_is_told_what_it_missed(
    visit: Open, site: Running
) -> None:
    page = visit("/inbox")
    turn = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    _, first = item_of(site)
    expect(page.locator(f'a[href="/inbox/{first}"]')).to_be_visible()
    page.evaluate(turn, True)
    _, item = item_of(site)
    expect(page.locator(f'a[href="/inbox/{item}"]')).to_have_count(0)
    page.evaluate(turn, False)
    expect(page.locator(f'a[href="/inbox/{item}"]')).to_be_visible()


def test_everything_is_reached_with_the_keyboard(visit: Open, site: Running) -> None:
    run, item = item_of(site)
    page = visit("/inbox")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    tab_to(page, f'a.card[href="/inbox/{item}"]')
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/inbox/{item}")
    tab_to(page, "#edit > summary")
    page.keyboard.press("Enter")
    tab_to(page, "#edit-amount")
    page.keyboard.press("Control+A")
    page.keyboard.type("11")
    page.keyboard.press("Enter")
    expect(page.locator(".preview")).to_be_visible()
    tab_to(page, ".preview button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("decided: edit")).to_be_visible()
    site.result(run)
    assert [one["amount"] for one in site.refunds] == [Decimal(11)]
    page.goto(f"/runs/{run}")
    tab_to(page, '.wf a[href*="at=c2"]')
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_contain_text("done: refund")
    assert "at=c2" in page.url
    page.go_back()
    expect(page.locator("#detail")).not_to_contain_text("done: refund")


def test_on_a_phone_one_approves_with_a_thumb(visit: Open, site: Running) -> None:
    run, item = item_of(site)
    page = visit("/", viewport={"width": 360, "height": 640}, is_mobile=True, has_touch=True)
    page.locator(f'a.card[href="/inbox/{item}"]').tap()
    button = page.get_by_role("button", name="Approve")
    box = button.bounding_box()
    assert box is not None and box["height"] >= 44 and box["width"] >= 200
    for path in ("/", "/runs", f"/runs/{run}", "/inbox", "/cost", "/settings", "/new", f"/inbox/{item}"):
        page.goto(path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    page.get_by_role("button", name="Approve").tap()
    expect(page.get_by_text("decided: approve")).to_be_visible()
    site.result(run)
    assert len(site.refunds) == 1


def test_the_policy_keeps_a_page_from_running_what_is_not_ours(browser: Browser, site: Running) -> None:
    page = browser.new_page(base_url=site.url)
    page.goto("/")
    ran = page.evaluate(
        """() => new Promise((done) => {
            document.addEventListener("securitypolicyviolation", (event) => done(event.violatedDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            setTimeout(() => done(window.ran === true ? "ran" : "nothing"), 500);
        })"""
    )
    assert ran.startswith("script-src")
    page.close()


def tab_to(page: Page, selector: str, most: int = 80) -> None:
    for _ in range(most):
        if page.evaluate("(wanted) => document.activeElement?.matches(wanted) === true", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} was not reached")


def wait_for(look: Callable[[], Any], most: int = 200) -> Any:
    """What `look` finds, as soon as it finds something."""
    for _ in range(most):
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came")
