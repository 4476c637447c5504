"""What every store promises, as checks that run against any of them.

A promise is a coroutine function that takes a `Rig` and raises AssertionError where the store breaks it;
its name says what is promised. `promises()` lists them all; a test suite runs each on a rig of its own.
Two stores of one rig are two workers on the same data, in one process.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

from . import inbox, intake, journals, keeping, leases, service, upkeep
from .rig import Rig

Promise = Callable[[Rig], Awaitable[None]]

__all__ = ["Promise", "Rig", "promises"]


def promises() -> dict[str, Promise]:
    """Every promise by its name."""
    return {
        name: function
        for module in (journals, leases, inbox, intake, upkeep, keeping, service)
        for name, function in vars(module).items()
        if inspect.iscoroutinefunction(function)
        and function.__module__ == module.__name__
        and not name.startswith("_")
    }
