"""Accepting drift: a person says that the old answers stand for the new requests, and the recording says who.

A reworded prompt makes every recording of its step a miss. Asking a model again is the honest way, and costs;
where somebody judges that the answers would be the same, they may say so for one class of drift. That is a
claim and no measurement, so it needs a reason, is refused in CI and where anything else differs or a check
then fails, and every report tells of it until the scenario is recorded anew.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import get_args

from ..errors import UsageError
from ..models.recordings import Drift, RepinningModel, Turn
from .recording import Recording
from .replay import scored, try_once
from .results import Trial
from .scenario import Scenario
from .trial import Broken, Stage, play, stage_of

CLASSES: tuple[Drift, ...] = get_args(Drift)


@dataclass(frozen=True)
class Accepted:
    """What came of one scenario. `recording` None: nothing was accepted, and `why` says why not; "" where
    there was no drift."""

    scenario: str
    recording: Recording | None
    why: str = ""


def who(environment: Mapping[str, str] = os.environ) -> str:
    """Whose claim it is: git's user, else the system's. Raises UsageError where nobody is named."""
    try:
        told = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607  the user's own git, wherever it is
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    own = [environment.get(name, "") for name in ("GIT_AUTHOR_NAME", "USER", "LOGNAME")]
    for name in (own[0], told, *own[1:]):
        if name.strip():
            return name.strip()
    raise UsageError(
        "nobody is named who accepts this",
        why="the recording keeps who said so, and neither git nor the environment tells",
        remedy="git config user.name NAME",
    )


async def accept(
    stage: Stage, scenario: Scenario, recording: Recording, drift: Drift, *, by: str, reason: str, date: str
) -> Accepted:
    """Pins the recorded answers to what is asked now, where that is all that differs."""
    trial = await try_once(stage, scenario, recording)
    if not trial.misses:
        return Accepted(scenario.id, None, "" if trial.outcome == "pass" else _why(trial))
    if others := {miss.drift or "no" for miss in trial.misses} - {drift}:
        return Accepted(scenario.id, None, f"it has {', '.join(sorted(others))} drift as well")
    heard: list[Turn] = []
    left = list(recording.turns)
    models = [RepinningModel(model, left, drift, heard.append) for model in stage.models]
    tools = recording.tools if stage_of(stage, scenario).world is None else None
    try:
        played = await play(stage, scenario, models, tools=tools)
    except Broken as error:
        return Accepted(scenario.id, None, str(error))
    trial = scored(scenario, played, None, took=0.0)
    if trial.outcome != "pass" or left:
        why = _why(trial) if trial.outcome != "pass" else f"{left[0].step}: a recorded turn was not asked for"
        return Accepted(scenario.id, None, f"with the old answers it does not pass: {why}")
    note = {"class": drift, "by": by, "reason": reason, "date": date}
    pinned = replace(recording, turns=heard, accepted=[*recording.accepted, note])
    again = await try_once(stage, scenario, pinned)
    if again.outcome != "pass":
        return Accepted(scenario.id, None, f"it does not replay: {_why(again)}")
    return Accepted(scenario.id, pinned)


def _why(trial: Trial) -> str:
    return "; ".join([*map(str, trial.failures), *filter(None, [trial.problem])]) or trial.outcome
