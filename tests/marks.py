"""Which cases of a test `make test` runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def quick_or_slow(names: Iterable[str], quick: Collection[str]) -> list[Any]:
    """All names as parameters; those that are not `quick` are for `make test-all`."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]
