"""An error as an answer."""

from __future__ import annotations

import json

from surefoot.errors import RunNotFinished
from surefoot.orchestrator.redacting import open_runs
from surefoot.rails.redaction import Private
from surefoot.service.problems import problem


def test_a_code_stays_what_it_is_whatever_customers_are_called() -> None:
    private = Private()
    private.learn({"finished": "name", "kim@shop.example": "email"})
    open_runs.add("r1", private)
    try:
        answer = problem(RunNotFinished("r1 of kim@shop.example goes on", why="it has not ended"))
    finally:
        open_runs.remove("r1")
    body = json.loads(bytes(answer.body))
    assert body["code"] == "run_not_finished"
    assert body["type"] == body["docs"] == "docs/reference/errors.md#run_not_finished"
    assert "kim@" not in bytes(answer.body).decode()
