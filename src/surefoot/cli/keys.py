"""`surefoot keys`: the ring of master keys, and its rotation."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..core.jsons import dumps
from ..orchestrator.clock import SystemClock
from ..state import rotation
from ..state.rotation import KeyState, Rotated
from .failures import DONE, FAILED
from .formats import count, ours, store_words
from .opening import go, open_store
from .options import Given, command
from .output import Cell, Column

VARIABLE = "SUREFOOT_MASTER_KEY"


@click.group("keys")
def keys() -> None:
    """The master keys under which every run's data key is wrapped.

    \b
    Examples:
      surefoot keys list
      surefoot keys rotate
      surefoot keys retire 1f2e3d4c
    """


@command("list", group=keys)
def list_keys(given: Given) -> None:
    """Every master key: when it was made, how many runs hang on it, and which one is current."""

    async def read() -> list[KeyState]:
        async with open_store(given.settings) as opened:
            return await rotation.states(opened.store, opened.keyring)

    found = go(read())
    if given.output.json:
        for one in found:
            shown = asdict(one) | {"created": one.created or None, "workers": list(one.workers)}
            given.output.line(dumps(shown))
        return
    columns = [Column("key"), Column("made"), Column("state"), Column("runs", right=True), Column("workers")]
    rows = [
        [
            Cell(one.key),
            Cell(one.created or "unknown", "dim"),
            Cell(_state(one), "good" if one.is_current else "" if one.is_held else "bad"),
            Cell(str(one.runs)),
            Cell(", ".join(one.workers)),
        ]
        for one in found
    ]
    given.output.table(columns, rows)


def _state(one: KeyState) -> str:
    if not one.is_held:
        return "not in the ring"
    if one.is_current:
        return "current"
    return "retired" if one.is_retired else "in use" if one.runs or one.workers else "free to retire"


@command("rotate", group=keys)
def rotate(given: Given) -> int:
    """Make a new master key and move every run over to it.

    The new key is in keys.json before anything hangs on it. Workers go on as they are, and take it with their
    next write. Cut off at any moment, nothing becomes unreadable, and the same command goes on where it was.

    Where the ring comes from SUREFOOT_MASTER_KEY, this prints the value to put there; give the command again
    when every process has been started with it. Exit code 1 where a run was left on its old key, because it
    is not as it was signed.
    """
    settings = given.settings

    async def work() -> tuple[Rotated, list[KeyState]]:
        async with open_store(settings) as opened:
            done = await rotation.rotate(opened.store, opened.keyring, SystemClock().now())
            return done, await rotation.states(opened.store, opened.keyring)

    done, found = go(work())
    free = [one.key for one in found if one.is_held and not one.is_current and not one.runs]
    output = given.output
    if output.json:
        output.keys(json.dumps(asdict(done) | {"refused": list(done.refused), "retirable": free}))
    elif done.variable is not None:
        output.keys(f"{VARIABLE}={done.variable}")
    if done.variable is not None:
        again = ours("keys", "rotate", *store_words(settings))
        output.say(f"Nothing has changed yet. Start every process with this {VARIABLE}, then give again")
        output.say(f"  {again}")
        return DONE
    if not output.json:
        made = "made" if done.is_new else "already there"
        output.answer(f"{done.key} is the current key ({made}); {count(done.runs, 'run')} moved over", "good")
    for run in done.refused:
        output.warn(f"{run} stays on its old key: it is not as it was signed (surefoot audit verify {run})")
    for key in free:
        output.say(f"Nothing hangs on {key} any more: {ours('keys', 'retire', key, *store_words(settings))}")
    return FAILED if done.refused else DONE


@command("retire", group=keys)
@click.argument("key")
def retire(given: Given, key: str) -> None:
    """Take a master key out of the ring for good.

    Refused while a run hangs on it or a living worker signs with it. Afterwards whoever has the old key and
    the store opens nothing. A backup made before still needs it: keep the old keys.json with such a backup.
    """
    settings = given.settings

    async def work() -> str | None:
        async with open_store(settings) as opened:
            return await rotation.retire(opened.store, opened.keyring, key)

    variable = go(work())
    if given.output.json:
        given.output.keys(json.dumps({"retired": key, "variable": variable}))
        return
    if variable is not None:
        given.output.keys(f"{VARIABLE}={variable}")
        given.output.say(
            f"{key} is retired: nothing is written under it any more. Use this value from now on."
        )
        return
    given.output.answer(f"{key} is retired, and is not in the ring any more.", "good")
