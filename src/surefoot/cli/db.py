"""`surefoot db`: the store's schema."""

from __future__ import annotations

from pathlib import Path

import click

from ..orchestrator.clock import SystemClock
from ..state.forgetting import clean
from ..state.opening import place_of, ring_of
from ..state.schema import PATIENCE
from ..state.schema import upgrade as upgrade_file
from ..state.sealing import Keyring
from .options import Given, command


@click.group("db")
def db() -> None:
    """The store's schema."""


@command("upgrade", group=db)
def upgrade(given: Given) -> None:
    """Make the store, or bring it to this version's schema.

    Every command does this by itself when it opens the store; this one is for deployments that want it done,
    and seen to work, before any worker starts. An older Surefoot cannot read an upgraded store.
    """
    settings = given.settings
    place = place_of(settings.store)

    def keys() -> Keyring:
        return ring_of(settings.store, SystemClock().now)

    before, after = upgrade_file(place, keys) if isinstance(place, Path) else (0, 0)
    if isinstance(place, Path):
        clean(place, PATIENCE)
    if given.output.json:
        given.output.document({"store": settings.shown("store"), "before": before, "after": after})
    elif not isinstance(place, Path):
        given.output.answer("A store in memory is made anew each time: there is nothing to upgrade.")
    elif before == after:
        given.output.answer(f"{settings.store} has schema {after}, the newest.")
    else:
        given.output.answer(f"{settings.store}: schema {before} -> {after}.")
