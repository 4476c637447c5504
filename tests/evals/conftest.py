from __future__ import annotations

from pathlib import Path

import pytest

from .notes import notes


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return notes(tmp_path_factory.mktemp("notes"))
