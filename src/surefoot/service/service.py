"""What all routes work on: a workflow that runs (or only its store), who may ask, and the limits.

The one composing type of this package: `app.build(service)` makes an application of it, the console adds its
pages to that, and `server.serve` gives it a socket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.clock import Clock
from ..core.workflow import Definition
from ..orchestrator.runtime import Runtime
from ..state.store import Store
from .access import Access
from .feed import Feed
from .probe import Probe
from .room import Room
from .throttle import Throttle


@dataclass(frozen=True)
class Limits:
    """`hosts` are names that the service goes by, beside those of the loopback address; bytes and seconds."""

    queue: int = 10_000
    """Runs that may wait to be taken up; one more is refused."""
    body: int = 1_000_000
    headers: int = 32_000
    wait: float = 60.0
    """The longest that a request may ask to wait for a run's end."""
    drain: float = 30.0
    heartbeat: float = 15.0
    """The longest that a stream is silent."""
    hosts: tuple[str, ...] = ()


@dataclass
class Service:
    """`people` are the deployment's groups, as the Runtime has them."""

    runtime: Runtime
    access: Access
    feed: Feed
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    people: Mapping[str, Sequence[str]] | None = None
    draining: bool = False
    """It is being stopped: no new runs."""

    def __post_init__(self) -> None:
        self.throttle = Throttle(self.clock)
        self.probe = Probe(self.store, self.clock)
        self.room = Room(self.store, self.workflow.name, self.clock, self.limits.queue)

    @property
    def workflow(self) -> Definition:
        return self.runtime.workflow

    @property
    def store(self) -> Store:
        return self.runtime.store
