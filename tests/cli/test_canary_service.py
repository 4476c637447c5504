"""What the service shows is looked at too: every route of the API and the console, what is refused, the news.
A leak in a template, in a route, in a number, in a problem and in a mail is found."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader

from cli.conftest import PROGRAMS, Shell
from service.rig import serving
from surefoot import console
from surefoot.cli.canary_service import paths_of
from surefoot.console import pages
from surefoot.service import news, problems, runs, stream
from surefoot.service.metrics import Metrics

DESK = Path(__file__).parents[2] / "examples" / "support_desk"


@pytest.fixture
def kiosk(shell: Shell) -> Shell:
    shutil.copy(PROGRAMS / "kiosk.py", shell.folder)
    return shell


@pytest.mark.anyio
async def test_no_route_is_left_out(kiosk: Shell, tmp_path: Path) -> None:
    """Of none that anybody adds later either: they are the application's own."""
    async with serving(tmp_path, drive=False) as rig:
        console.mount(rig.app, rig.service)
        routes = set(paths_of(rig.app.router.routes))
    assert {
        "/v1/runs/{run}/events",
        "/openapi.json",
        "/metrics",
        "/",
        "/inbox/{item}",
        "/live/store",
    } < routes
    report = kiosk.process("canary", "kiosk:kiosk", "--json").json
    assert report["leaks"] == []
    assert routes == {place.partition(": GET ")[2] for place in report["looked"] if ": GET /" in place}
    asked = report["asked"]
    assert asked["answers of the API"] > 300
    assert asked["pages of the console"] > 100
    assert asked["pieces of news"] > 10


def key() -> str:
    return os.environ.get("KIOSK_KEY", "")


def test_leaks_made_on_purpose_are_found_in_all_that_the_service_shows(
    kiosk: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = pages.templates()
    source = (pages.HERE / "templates" / "item.html").read_text()
    careless = DictLoader({"item.html": source.replace("{% block main %}", "{% block main %}{{ key() }}")})
    leaky = env.overlay(loader=ChoiceLoader([careless, env.loader or careless]))
    monkeypatch.setitem(env.globals, "key", key)
    monkeypatch.setattr(pages, "templates", lambda: leaky)
    # Exact values for whoever asks; a secret in the stream, in a label, and beside the redacted news.
    monkeypatch.setattr(runs, "_has_started", lambda principal, submitted: True)
    said = stream.as_sse
    monkeypatch.setattr(stream, "as_sse", lambda event: said(event) + f": {key()}\n\n".encode())
    monkeypatch.setattr(Metrics, "_tool", lambda self, name: key())
    monkeypatch.setattr(news, "_link", lambda url, *path: {"link": key()})

    class Blind:
        def withhold(self, text: str) -> str:
            return text

    monkeypatch.setattr(problems, "redactor", Blind)
    said_of = kiosk.here("canary", "kiosk:kiosk", "--json")
    monkeypatch.undo()
    found: dict[str, set[str]] = {}
    for leak in said_of.json["leaks"]:
        found.setdefault(leak["place"], set()).add(leak["kind"])
    assert "secret" in found["the console: GET /inbox/{item}"]
    assert "private name" in found["the API: GET /v1/runs/{run}"]
    assert "secret" in found["the API: GET /v1/runs/{run}/events"]
    assert "secret" in found["the API: GET /metrics"]
    assert "secret" in found["news by webhook"]
    assert "secret" in found["news by mail"]
    assert {"secret", "card", "email"} <= found["the API: what it refuses of GET /v1/runs/\u2026"]
    assert "email" in found["the API: a key that is taken"]
    assert "the console: GET /cost" not in found
    assert said_of.code == 1


@pytest.mark.slow
def test_the_desk_shows_nothing_to_others_that_is_private(shell: Shell) -> None:
    shutil.copytree(DESK, shell.folder / "desk", ignore=shutil.ignore_patterns(".*", "training"))
    os.chdir(shell.folder / "desk")
    said: Any = shell.here("canary")
    assert "Nothing that was planted was found" in said.out, said.out
    assert "pages of the console" in said.out
    assert said.code == 0
