"""Recording: the one way in which recordings come to be.

A scenario's written turns are played as its author wrote them, or a real model is asked; either way each
answer is pinned to the whole request that it answered. Refused in CI: what a build records, nobody has read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from ..core.jsons import loads
from ..core.model import ModelAnswer, ModelRequest
from ..errors import ModelRefused, UsageError
from ..models.recordings import RecordingModel, Turn
from ..testing import Say as SayTurn
from ..testing import ScriptedModel, UseTools
from ..testing import Turn as ScriptTurn
from .recording import Recording, ToolTurn
from .replay import scored
from .results import Played, Trial
from .scenario import Say, Scenario
from .trial import Broken, Stage, play, stage_of

IN_CI = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD")


def ci_of(environment: Mapping[str, str] = os.environ) -> str | None:
    """The variable by which a build shows itself; None where nothing does."""
    return next((name for name in IN_CI if environment.get(name, "").lower() not in ("", "0", "false")), None)


def must_not_be_ci(environment: Mapping[str, str] = os.environ) -> None:
    """Raises UsageError."""
    if (name := ci_of(environment)) is not None:
        raise UsageError(
            "recordings are not made in CI",
            why=f"{name} is set, and what a build records, nobody has read",
            remedy="Record on your own machine, look at the change, and commit it.",
        )


class Script(ScriptedModel):
    """Written turns. `ended` tells of requests beyond the last one: to the workflow they are refused, and
    that must not become what the scenario shows."""

    def __init__(self, turns: Mapping[str, list[ScriptTurn]]) -> None:
        super().__init__(turns)
        self.ended: list[str] = []

    async def request(self, request: ModelRequest) -> ModelAnswer:
        try:
            return await super().request(request)
        except ModelRefused as error:
            self.ended.append(error.what)
            raise


def script_of(scenario: Scenario) -> Script | None:
    """Its written turns; None where it has none, and a model is to be asked."""
    if not scenario.turns and scenario.origin != "written":
        return None
    turns: dict[str, list[ScriptTurn]] = {
        step: [SayTurn(one.say) if isinstance(one, Say) else UseTools(list(one.use)) for one in said]
        for step, said in scenario.turns.items()
    }
    return Script(turns)


async def record(
    stage: Stage, scenario: Scenario, before: Recording | None = None
) -> tuple[Recording, Trial]:
    """Plays the scenario once, with its written turns or else with the stage's models. What was answered is
    kept whether or not the checks pass: whoever records looks at the trial. Raises Broken, also where the
    written turns end too early."""
    heard: list[Turn] = []
    script = script_of(scenario)
    models = [RecordingModel(model, heard.append, script) for model in stage.models]
    stage = stage_of(stage, scenario)
    tools = None if stage.world is not None or before is None else before.tools
    played = await play(stage, scenario, models, tools=tools)
    if script is not None and script.ended:
        raise Broken(f"{script.ended[0]}; write what the model says there")
    trial = scored(scenario, played, None, took=0.0)
    versions = {turn.answer.version for turn in heard if turn.answer is not None} - {""}
    recording = Recording(
        scenario=scenario.id,
        origin=scenario.origin,
        turns=heard,
        model=", ".join(dict.fromkeys(turn.request["model"] for turn in heard)),
        version="" if script is not None else ", ".join(sorted(versions)),
        tools=tool_turns(played) if stage.world is None else (),
    )
    return recording, trial


def tool_turns(played: Played) -> list[ToolTurn]:
    """What the tools answered, in the order in which they were called."""
    found = []
    for call in played.state.calls.values():
        turn = ToolTurn(call.tool, loads(call.args))
        if call.status == "returned":
            found.append(replace(turn, result=loads(call.result)))
        elif call.error is not None:
            found.append(replace(turn, error=call.error))
    return found
