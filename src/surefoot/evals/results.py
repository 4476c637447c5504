"""What an eval found: of one trial, of one scenario, of the suite. Plain values; reports only print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..core.fold import RunState
from ..models.recordings import Miss
from .gate import Verdict
from .world import Change, Tables

Outcome = Literal["pass", "fail", "infra", "unscored", "miss"]
"""`infra`: it broke for a reason outside the workflow; `unscored`: a check itself broke; `miss`: the
recording does not know what was asked (replay only). None of these three is a pass, nor a regression."""


@dataclass(frozen=True)
class Played:
    """One run of a scenario, for checks to judge. `output` and `error` are JSON; `before` and `after` the
    world's tables (None where the scenario has no world); `trace` the canonical events, which are byte for
    byte the same whenever the same things happen."""

    status: str
    output: Any
    error: Mapping[str, Any] | None
    state: RunState
    before: Tables | None
    after: Tables | None
    changes: Sequence[Change]
    trace: Sequence[str]
    story: Sequence[str] = ()
    """Every event in a few words."""
    decisions: Sequence[str] = ()
    """What came of each thing that people said, in order, such as `approve refused: item_closed`."""
    unknown_calls: Sequence[str] = ()
    """Calls that no recording answers, where tools answer from one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One line of what is wrong: `check` names the expectation, `where` the place in the run or the world."""

    check: str
    expected: str
    got: str
    where: str = ""

    def __str__(self) -> str:
        at = f" at {self.where}" if self.where else ""
        return f"{self.check}{at}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True)
class Trial:
    """`seconds` is the run's own clock, `took` real time."""

    scenario: str
    outcome: Outcome
    failures: Sequence[Failure] = ()
    misses: Sequence[Miss] = ()
    problem: str = ""
    """Why it is infra or unscored."""
    status: str = ""
    usage: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[str] = ()
    """Effects that were made, in order, as `tool(arguments)`."""
    looks: Sequence[str] = ()
    """Calls that only read, likewise."""
    digest: str = ""
    """Of the canonical trace."""
    trace: Sequence[str] = ()
    took: float = 0.0


@dataclass(frozen=True)
class ScenarioResult:
    """`verdict` of this scenario alone, with one line of why."""

    id: str
    tags: Sequence[str]
    must: bool
    verdict: Verdict
    why: str
    trials: Sequence[Trial]
    baseline: Mapping[str, Any] | None = None
    """The accepted line of this scenario, where there is one."""
    drift: str = ""
    """Class of drift, of a miss."""


@dataclass(frozen=True)
class Control:
    """A negative control: the workflow was broken like this in that scenario. Caught: a check saw it."""

    kind: Literal["do_nothing", "dropped", "doubled", "extra"]
    scenario: str
    what: str
    caught: bool


@dataclass(frozen=True)
class SuiteResult:
    """`resume` is the token with which an eval that was cut short goes on."""

    workflow: str
    version: str
    lane: Literal["replay", "live"]
    verdict: Verdict
    reasons: Sequence[str]
    scenarios: Sequence[ScenarioResult]
    controls: Sequence[Control] = ()
    usd: float = 0.0
    took: float = 0.0
    resume: str = ""
    notes: Sequence[str] = ()

    @property
    def caught(self) -> tuple[int, int]:
        """Negative controls caught, of how many."""
        return sum(control.caught for control in self.controls), len(self.controls)
