"""Every store keeps every promise of the suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from surefoot.state.conformance import Promise, Rig, promises

pytestmark = pytest.mark.anyio

PROMISES = promises()


@pytest.fixture(params=["file", "memory"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    url = f"sqlite:///{tmp_path}/state.db" if request.param == "file" else f"memory:{tmp_path.name}"
    rig = Rig(url)
    yield rig
    await rig.close()


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES.keys())
async def test_promise(promise: Promise, rig: Rig) -> None:
    await promise(rig)
