"""`surefoot eval --accept-drift CLASS --reason TEXT`: old answers for new requests, in somebody's name."""

from __future__ import annotations

from datetime import UTC, datetime

from ..errors import UsageError
from ..evals.drift import Accepted, accept, who
from ..evals.record import must_not_be_ci
from ..evals.suite import Suite
from ..evals.trial import Stage
from ..models.recordings import Drift
from .failures import DONE, FAILED
from .formats import count
from .opening import go
from .output import Output, clean


def accept_drift(output: Output, stage: Stage, suite: Suite, drift: Drift, reason: str) -> int:
    """Exit code 1 where a scenario drifted and was not accepted. Raises UsageError."""
    must_not_be_ci()
    if not reason.strip():
        raise UsageError(
            "nobody says why this drift is accepted",
            why="nobody asked a model whether its answers would be the same: that is somebody's claim",
            remedy='Say why: --reason "...". It is kept in the recordings, and told in every report.',
        )
    by, date = who(), datetime.now(UTC).date().isoformat()
    found = go(_all(stage, suite, drift, by=by, reason=reason.strip(), date=date))
    accepted = [one for one in found if one.recording is not None]
    refused = [one for one in found if one.recording is None and one.why]
    for one in accepted:
        assert one.recording is not None
        suite.recording_of(one.scenario).write_text(one.recording.to_text(), "utf-8")
    if output.json:
        output.document(
            {
                "class": drift,
                "by": by,
                "accepted": [one.scenario for one in accepted],
                "refused": {one.scenario: one.why for one in refused},
            }
        )
        return FAILED if refused else DONE
    for one in accepted:
        output.say(f"{one.scenario}: {drift} drift accepted by {by}")
    for one in refused:
        output.say(f"{one.scenario}: not accepted: {clean(one.why)}", "bad")
    said = f"{count(len(accepted), 'recording')} pinned anew, {len(refused)} refused"
    output.answer(said, "bad" if refused else "good")
    return FAILED if refused else DONE


async def _all(
    stage: Stage, suite: Suite, drift: Drift, *, by: str, reason: str, date: str
) -> list[Accepted]:
    found = []
    for scenario in suite.scenarios:
        if (recording := suite.recordings.get(scenario.id)) is not None:
            found.append(await accept(stage, scenario, recording, drift, by=by, reason=reason, date=date))
    return found
