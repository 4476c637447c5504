"""`surefoot doctor`: looks whether this machine is in order, and says what to do where it is not."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ..errors import SurefootError
from ..models.providers import VARIABLES, embedded_adapters, embedded_available
from ..orchestrator.clock import SystemClock
from ..orchestrator.intake import IntakeView, views
from ..settings import Settings
from ..state.opening import place_of
from ..state.schema import newest, schema_version
from ..state.sealing import Keyring
from .failures import DONE, FAILED
from .opening import go, open_store
from .options import Given, command
from .output import Style, clean

Level = Literal["ok", "note", "warning", "wrong"]
PACKAGES = ("surefoot", "pydantic", "cryptography", "click", "rich", "openai", "anthropic", "xllamacpp")
LEAST_FREE = 200 * 1024 * 1024
"""Bytes. A store that cannot grow stops every run that lives in it."""


@dataclass(frozen=True)
class Sign:
    level: Level
    about: str
    what: str
    remedy: str = ""


@command("doctor")
def doctor(given: Given) -> int:
    """Look whether this machine is in order.

    Python, store, keys, disk, models, clock. Exit code 1 where something is wrong; a warning is not.
    """
    signs = list(examine(lambda: given.settings))
    output = given.output
    is_wrong = any(sign.level == "wrong" for sign in signs)
    if output.json:
        output.document({"ok": not is_wrong, "signs": [asdict(sign) for sign in signs]})
    else:
        styles: dict[Level, Style] = {"ok": "good", "note": "dim", "warning": "warn", "wrong": "bad"}
        for sign in signs:
            output.answer(f"{sign.level:<8} {sign.about:<12} {clean(sign.what)}", styles[sign.level])
            if sign.remedy:
                output.answer(f"{'':<21} do: {clean(sign.remedy)}")
    return FAILED if is_wrong else DONE


def examine(read: Callable[[], Settings]) -> Iterator[Sign]:
    yield from _versions()
    try:
        settings = read()
    except SurefootError as error:
        yield Sign("wrong", "settings", f"{error.what}: {error.why}", error.remedy)
    else:
        for complaint in settings.unknown:
            yield Sign("warning", "settings", complaint, "See `surefoot config show --sources`.")
        try:
            yield from _store(settings)
        except SurefootError as error:
            yield Sign(
                "wrong", "store", f"{error.what}: {error.why}" if error.why else error.what, error.remedy
            )
    yield from _models()
    yield from _clock()


def _versions() -> Iterator[Sign]:
    python = f"{platform.python_version()} at {sys.executable}, SQLite {sqlite3.sqlite_version}"
    yield Sign("ok", "python", python)
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    yield Sign("ok", "packages", ", ".join(found))


def _store(settings: Settings) -> Iterator[Sign]:
    shown = settings.shown("store")
    place = place_of(settings.store)
    if isinstance(place, str):
        yield Sign("warning", "store", f"{shown} forgets everything when its process ends", "Use a file.")
        return
    schema = schema_version(place)
    if schema is None:
        yield Sign("note", "store", f"{shown} does not exist yet: the first run makes it")
    elif schema > newest():
        what = f"{shown} has schema {schema}, and this version knows schemas up to {newest()}"
        yield Sign("wrong", "store", what, "Run the newer Surefoot that upgraded it.")
    elif schema < newest():
        what = f"{shown} has schema {schema}, and {newest()} is the newest"
        yield Sign("warning", "store", what, "`surefoot db upgrade`, or any command that opens it.")
    else:
        yield Sign("ok", "store", f"{shown}, schema {schema}, {place.stat().st_size / 1e6:.1f} MB")
    yield from _may_write(place)
    yield from _keys(place, is_there=bool(schema))
    yield from _disk(place)
    if schema == newest():
        yield from _intake(settings)


def _may_write(place: Path) -> Iterator[Sign]:
    for path in (place, place.parent):
        if path.exists() and not os.access(path, os.W_OK):
            yield Sign(
                "wrong", "store", f"this user may not write {path}", "Change its owner, or choose a --store."
            )


def _keys(place: Path, *, is_there: bool) -> Iterator[Sign]:
    if os.environ.get("SUREFOOT_MASTER_KEY"):
        Keyring.from_env(os.environ)  # raises what is wrong with it
        yield Sign("ok", "keys", "SUREFOOT_MASTER_KEY is set")
        return
    path = place.with_name("keys.json")
    if not path.exists():
        if is_there:
            yield Sign(
                "wrong", "keys", f"{path} is gone: what is sealed in the store cannot be read", "Restore it."
            )
        return
    Keyring.load(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        yield Sign("wrong", "keys", f"{path} may be read by others (mode {mode:04o})", f"chmod 600 {path}")
    else:
        yield Sign(
            "ok", "keys", f"{path}; keep a copy apart from the store's: without it sealed values are lost"
        )


def _disk(place: Path) -> Iterator[Sign]:
    folder = next((path for path in (place.parent, *place.absolute().parents) if path.exists()), Path.cwd())
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:.1f} GB free where the store lies"
    if free < LEAST_FREE:
        yield Sign("wrong", "disk", what, "Free some space, or `surefoot prune --older-than 30d`.")
    else:
        yield Sign("ok", "disk", what)


def _intake(settings: Settings) -> Iterator[Sign]:
    """Queues that grow because nothing is taken from them look like a worker that hangs."""

    async def look() -> list[IntakeView]:
        async with open_store(settings) as opened:
            return await views(opened.store, SystemClock().now())

    closed = [view for view in go(look()) if not view.is_open]
    for view in closed:
        what = f"{view.workflow} is {view.state}, {view.waiting} runs to begin"
        yield Sign("warning", "intake", what, "See `surefoot intake show`.")
    if not closed:
        yield Sign("ok", "intake", "open")


def _models() -> Iterator[Sign]:
    missing = embedded_available()
    if missing is None:
        what = "a model of 135M parameters runs here: enough for the demo's short decisions, not for an agent"
        yield Sign("ok", "embedded", what)
        yield from _adapters()
    else:
        yield Sign("note", "embedded", f"not usable: {missing}", "`make setup` in a checkout installs it.")
    for provider, (key, url) in VARIABLES.items():
        told = [f"{name} is set" for name in (key, url) if os.environ.get(name)]
        yield Sign("ok" if told else "note", provider, ", ".join(told) or f"{key} is not set")


def _adapters() -> Iterator[Sign]:
    try:
        found = embedded_adapters()
    except SurefootError as error:
        yield Sign("wrong", "embedded", f"{error.what}: {error.why}", error.remedy)
        return
    for name, one in found:
        if isinstance(one, SurefootError):
            yield Sign("wrong", "adapter", f"{one.what}: {one.why}", one.remedy)
            continue
        used = f"for {', '.join(sorted(one.outputs))} only" if one.outputs else "for every answer"
        yield Sign("ok", "adapter", f"{name} ({one.version}), {used}; without it: --model embedded")


def _clock() -> Iterator[Sign]:
    """Leases and expiries trust the machine's clock."""
    now = datetime.now(UTC)
    wall, steady = time.time(), time.monotonic()
    time.sleep(0.05)
    drift = abs((time.time() - wall) - (time.monotonic() - steady))
    if now.year < 2025:
        yield Sign(
            "wrong", "clock", f"it says {now:%Y-%m-%d %H:%M} UTC", "Set it: leases and expiries follow it."
        )
    elif drift > 0.02:
        what = f"it moved {drift * 1000:.0f} ms against the steady clock within 50 ms"
        yield Sign("warning", "clock", what, "Let it be slewed, not set: leases follow it.")
    else:
        yield Sign("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC, and steady")
