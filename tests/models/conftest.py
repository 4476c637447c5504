"""What the tests of models share."""

from collections.abc import Iterator

import pytest

from wire import WireServer


@pytest.fixture
def wire() -> Iterator[WireServer]:
    with WireServer() as server:
        yield server
