"""The server of processes serves all tests of a test run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crash.forks import Server
from crash.processes import Place


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path, server: Server) -> Iterator[Place]:
    place = Place(tmp_path, server)
    yield place
    place.close()
