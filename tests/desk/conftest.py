"""The desk is a project of its own: its folder is on the path, and every test has a shop of its own."""

import sys
from pathlib import Path

import pytest

DESK = Path(__file__).parents[2] / "examples" / "support_desk"
sys.path.insert(0, str(DESK))


@pytest.fixture
def shop_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's shop lies; made by whoever opens it first."""
    path = tmp_path / "shop.db"
    monkeypatch.setenv("SUPPORT_DESK_SHOP", str(path))
    return path
