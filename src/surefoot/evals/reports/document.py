"""Reports of an eval: the same result as JSON, for machines to read and for other reports to be made of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..results import ScenarioResult, SuiteResult, Trial


def to_json(result: SuiteResult) -> dict[str, Any]:
    caught, planted = result.caught
    return {
        "workflow": result.workflow,
        "version": result.version,
        "lane": result.lane,
        "verdict": result.verdict,
        "reasons": list(result.reasons),
        "scenarios": [_scenario(one) for one in result.scenarios],
        "negative_controls": {
            "planted": planted,
            "caught": caught,
            "missed": [asdict(control) for control in result.controls if not control.caught],
        },
        "usd": result.usd,
        "seconds": round(result.took, 3),
        "resume": result.resume or None,
        "notes": list(result.notes),
    }


def _scenario(one: ScenarioResult) -> dict[str, Any]:
    return {
        "id": one.id,
        "tags": list(one.tags),
        "must": one.must,
        "verdict": one.verdict,
        "why": one.why,
        "drift": one.drift or None,
        "trials": [_trial(trial) for trial in one.trials],
        "baseline": one.baseline,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "outcome": trial.outcome,
        "status": trial.status,
        "failures": [asdict(failure) for failure in trial.failures],
        "misses": [
            {name: getattr(miss, name) for name in ("step", "nearest", "path", "drift", "recorded", "asked")}
            for miss in trial.misses
        ],
        "problem": trial.problem,
        "effects": list(trial.calls),
        "usage": dict(trial.usage),
        "trace": trial.digest,
        "seconds": round(trial.took, 4),
    }
