"""The folder above is the project; every test has a shop of its own."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture
def shop_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's shop lies; made by whoever opens it first."""
    path = tmp_path / "shop.db"
    monkeypatch.setenv("SUPPORT_DESK_SHOP", str(path))
    monkeypatch.delenv("SUPPORT_DESK_SMTP", raising=False)
    return path
