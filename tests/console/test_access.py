"""Who may see and do what: logins, scopes, and requests that another site's page has sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from surefoot import console
from surefoot.service.access import SCOPES
from surefoot.settings import gather

from .conftest import OTHERS, PAGES, Site

pytestmark = pytest.mark.anyio


async def logged_in(site: Site, person: str, *scopes: str) -> dict[str, str]:
    """The cookie that a login gives."""
    token = await site.token(person, *scopes)
    answer = await site.client().post("/login", data={"token": token, "next": "/inbox"})
    assert answer.status_code == 303, answer.text
    return {"cookie": answer.headers["set-cookie"].partition(";")[0]}


async def test_without_tokens_whoever_is_here_is_told_that_no_login_is_needed(site: Site) -> None:
    page = (await site.ask.get("/")).text
    assert "kim" in page and "at this machine, no login" in page
    assert "Log out" not in page
    assert (await site.ask.get("/login")).headers["location"] == "/"


async def test_from_another_machine_there_is_a_login_and_word_of_how_to_make_a_token(site: Site) -> None:
    away = site.client(("192.0.2.1", 40_000))
    answer = await away.get("/inbox?whose=all")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/inbox%3Fwhose%3Dall"
    page = await away.get(answer.headers["location"])
    assert page.status_code == 200
    assert "surefoot tokens create" in page.text


async def test_a_token_logs_in_and_logging_out_ends_it(site: Site) -> None:
    token = await site.token("ann", "runs:read")
    client = site.client()
    assert (await client.get("/")).headers["location"] == "/login?next=/"
    answer = await client.post("/login", data={"token": f" {token}\n", "next": "/cost"})
    assert answer.headers["location"] == "/cost"
    cookie = answer.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "Secure" not in cookie
    assert token not in cookie
    assert "ann" in (await client.get("/")).text
    kept = {"cookie": cookie.partition(";")[0]}
    assert (await client.post("/logout")).status_code == 303
    assert (await site.client(**kept).get("/")).headers["location"].startswith("/login")


async def test_over_https_the_cookie_stays_there(site: Site) -> None:
    token = await site.token("ann", "runs:read")
    client = site.client()
    client.base_url = "https://localhost"  # type: ignore[assignment]
    answer = await client.post("/login", data={"token": token})
    assert "Secure" in answer.headers["set-cookie"]


async def test_behind_a_proxy_that_speaks_tls_the_cookie_stays_there_too(site: Site, tmp_path: Path) -> None:
    settings = gather({}, {"SUREFOOT_URL": "https://desk.example"}, tmp_path)
    console.mount(site.app, site.service, settings)
    answer = await site.ask.post("/login", data={"token": await site.token("ann", "runs:read")})
    assert "Secure" in answer.headers["set-cookie"]


async def test_a_service_that_is_being_stopped_says_so_and_starts_nothing(site: Site) -> None:
    site.service.draining = True
    assert "being stopped" in (await site.ask.get("/")).text
    answer = await site.ask.post("/new", data={"field.subject": "a", "field.text": "b"})
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_session_ends_with_its_token(site: Site) -> None:
    kept = await logged_in(site, "ann", "runs:read")
    client = site.client(**kept)
    assert (await client.get("/")).status_code == 200
    (row,) = await site.service.store.tokens()
    await site.service.store.revoke_token(row.id)
    assert (await client.get("/")).status_code == 303


async def test_who_was_logged_out_while_typing_comes_back_to_that_page(site: Site) -> None:
    await site.token("ann", "runs:read")
    for referer, there in (
        ("http://localhost/inbox/x-1?a=b", "/login?next=/inbox/x-1"),
        ("https://evil.example/inbox", "/login?next=/"),
    ):
        client = site.client(referer=referer, origin="http://localhost")
        answer = await client.post("/inbox/x-1/decision", data={"choice": "deny"})
        assert answer.headers["location"] == there


@pytest.mark.parametrize(
    "there",
    [
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/a\tb",
        "evil",
        "/login",
        "/logout",
    ],
)
async def test_a_login_leads_to_our_own_pages_only(site: Site, there: str) -> None:
    token = await site.token("ann", "runs:read")
    answer = await site.client().post("/login", data={"token": token, "next": there})
    assert answer.headers["location"] == "/"


async def test_a_wrong_token_is_told_and_too_many_are_not_tried(site: Site) -> None:
    right = await site.token("ann", "runs:read")
    client = site.client()
    for _ in range(10):
        answer = await client.post("/login", data={"token": "sft_nobody_secret"})
        assert answer.status_code == 401
        assert "the token does not hold" in answer.text
        assert "sft_nobody_secret" not in answer.text
    assert (await client.post("/login", data={"token": right})).status_code == 429
    await site.clock.advance(120)
    assert (await client.post("/login", data={"token": right})).status_code == 303


async def test_a_cookie_of_an_older_store_locks_nobody_out(site: Site) -> None:
    answer = await site.client(cookie="surefoot=old.secret").get("/runs")
    assert answer.headers["location"] == "/login?next=/runs"
    assert 'surefoot="";' in answer.headers["set-cookie"]  # it is not sent again
    assert (await site.ask.get(answer.headers["location"])).headers["location"] == "/runs"


async def test_every_page_needs_runs_read(site: Site) -> None:
    item = await site.item()
    client = await site.as_person("ann", "inbox:decide", "runs:write", "runs:reveal")
    for path in (*PAGES, *OTHERS, f"/runs/{item.run}", f"/inbox/{item.id}", "/evals/x", "/live/store"):
        answer = await client.get(path)
        assert answer.status_code == 403, path
        assert "scope" in answer.text


async def forms(site: Site) -> dict[str, tuple[str, dict[str, str]]]:
    """Each form that changes something: path -> (scope, fields)."""
    item, run, failed = await site.item(), await site.start("sleep"), await site.start("fail")
    await site.token("somebody", "runs:read")
    (token,) = [one for one in await site.service.store.tokens() if one.person == "somebody"]
    return {
        "/new": ("runs:write", {"field.subject": "a", "field.text": "b"}),
        f"/runs/{run}/cancel": ("runs:write", {}),
        f"/runs/{failed}/retry": ("runs:write", {}),
        f"/runs/{failed}/fork": ("runs:write", {"step": "reading"}),
        f"/runs/{failed}/reveal": ("runs:reveal", {"reason": "a complaint"}),
        f"/inbox/{item.id}/preview": ("inbox:decide", {"field.amount": "7"}),
        f"/inbox/{item.id}/decision": ("inbox:decide", {"choice": "approve"}),
        "/intake": ("admin", {"do": "pause"}),
        "/settings/tokens/revoke": ("admin", {"token": token.id}),
    }


async def test_every_form_needs_its_scope(site: Site) -> None:
    for path, (scope, fields) in (await forms(site)).items():
        without = [one for one in SCOPES if one not in (scope, "admin")]
        client = await site.as_person("ann", *without)
        answer = await client.post(path, data=fields)
        assert answer.status_code == 403, (path, answer.status_code)
        allowed = await site.as_person("ann", "runs:read", scope)
        answer = await allowed.post(path, data=fields)
        assert answer.status_code in (200, 303), (path, answer.text)


async def test_admin_may_all_but_see_exact_values(site: Site) -> None:
    run = await site.start()
    client = await site.as_person("ann", "admin")
    assert (await client.post(f"/runs/{run}/reveal", data={"reason": "why"})).status_code == 403
    assert f'action="/runs/{run}/reveal"' not in (await client.get(f"/runs/{run}")).text


async def test_what_a_person_may_not_do_is_not_offered(site: Site) -> None:
    item, failed = await site.item(), await site.start("fail")
    client = await site.as_person("ann", "runs:read")
    for path in ("/", "/runs", f"/runs/{item.run}", f"/runs/{failed}", f"/inbox/{item.id}", "/settings"):
        page = (await client.get(path)).text
        actions = set(re.findall(r'action="([^"]+)"', page)) - {"/theme", "/logout", "/runs"}
        assert not actions, (path, actions)
        assert 'href="/new"' not in page
    assert "your token may not decide" in (await client.get(f"/inbox/{item.id}")).text
    assert item.id not in (await client.get("/settings")).text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
    ],
)
async def test_no_form_takes_what_another_site_sends(site: Site, headers: dict[str, str]) -> None:
    """Neither of who is logged in, nor of who is at this machine."""
    sent = {**(await forms(site)), "/logout": ("", {}), "/theme": ("", {"theme": "dark"}), "/login": ("", {})}
    kept = await logged_in(site, "ann", "admin", "runs:reveal")
    for path, (_, fields) in sent.items():
        answer = await site.client(**kept, **headers).post(path, data=fields)
        assert answer.status_code == 403, path
    assert not site.world.done


async def test_at_this_machine_another_site_s_form_is_refused_too(site: Site) -> None:
    item = await site.item()
    client = site.client(origin="https://evil.example")
    answer = await client.post(f"/inbox/{item.id}/decision", data={"choice": "approve"})
    assert answer.status_code == 403
    assert not site.world.done


async def test_a_form_of_another_kind_is_refused(site: Site) -> None:
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/json"):
        answer = await site.ask.post("/intake", content=b"do=pause", headers={"content-type": kind})
        assert answer.status_code == 422 or answer.status_code == 400
    many = "&".join(f"f{n}=1" for n in range(1000))
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for body in (many.encode(), b"a=%ff", b"\xff=1"):
        assert 400 <= (await site.ask.post("/intake", content=body, headers=kind)).status_code < 500
    assert (await site.service.runtime.intake.view()).is_open


async def test_the_choice_of_light_or_dark_is_kept_and_works_without_scripts(site: Site) -> None:
    answer = await site.ask.post("/theme", data={"theme": "dark", "next": "/runs?status=failed"})
    assert answer.headers["location"] == "/runs?status=failed"
    assert 'data-theme="dark"' in (await site.ask.get("/")).text
    await site.ask.post("/theme", data={"theme": "<b>"})
    assert 'data-theme="dark"' in (await site.ask.get("/")).text


async def test_settings_show_no_secret_and_revoke_a_token(site: Site) -> None:
    secret = await site.token("bo", "runs:read", "inbox:decide")
    client = await site.as_person("ann", "admin")
    page = (await client.get("/settings")).text
    (bo,) = [one for one in await site.service.store.tokens() if one.person == "bo"]
    assert bo.id in page and "bo" in page
    assert secret not in page and bo.digest not in page
    answer = await client.post("/settings/tokens/revoke", data={"token": bo.id})
    assert answer.status_code == 303
    assert (await site.client(authorization=f"Bearer {secret}").get("/")).status_code == 303
    again = await client.post("/settings/tokens/revoke", data={"token": bo.id})
    assert 400 <= again.status_code < 500
