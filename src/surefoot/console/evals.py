"""Reports of evals that were saved beside the store: the list, one of them, two of them compared."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from ..errors import InvalidInput, NoSuchPage
from ..evals.saved import NAME, SavedReport, read_report, saved_reports
from ..service.access import Principal
from ..service.asking import needs
from .pages import show
from .setup import Setup, SetupOf

router = APIRouter()

Reader = Annotated[Principal, needs("runs:read")]
TONES = {"green": "good", "pass": "good", "red": "bad", "fail": "bad"}
ORDER = {"red": 0, "inconclusive": 1, "green": 2}


@router.get("/evals")
async def evals(request: Request, principal: Reader, setup: SetupOf, a: str = "", b: str = "") -> Response:
    """With `a` and `b` those two are compared, `a` as the one before."""
    if a and b:
        before, after = await _report(setup, a), await _report(setup, b)
        return await show(
            request,
            "compare.html",
            principal,
            before=before,
            after=after,
            rows=compared(before.document, after.document),
            tones=TONES,
        )
    found = await asyncio.to_thread(saved_reports, setup.reports)
    return await show(request, "evals.html", principal, reports=[_row(one) for one in found], tones=TONES)


@router.get("/evals/{name}")
async def one_report(name: str, request: Request, principal: Reader, setup: SetupOf) -> Response:
    """Raises NoSuchPage."""
    report = await _report(setup, name)
    scenarios = sorted(_scenarios(report.document), key=lambda one: ORDER.get(str(one.get("verdict")), 1))
    controls = report.document.get("negative_controls")
    return await show(
        request,
        "report.html",
        principal,
        report=report,
        document=report.document,
        scenarios=scenarios,
        controls=controls if isinstance(controls, dict) else {},
        tones=TONES,
    )


async def _report(setup: Setup, name: str) -> SavedReport:
    """Raises NoSuchPage, InvalidInput."""
    path = setup.reports / f"{name}.json"
    if not NAME.fullmatch(path.name) or path.name != f"{name}.json" or not path.is_file():
        raise NoSuchPage(
            f"there is no report {name!r}",
            why="it is none of the latest, or never was",
            remedy="See the list of reports.",
        )
    try:
        return await asyncio.to_thread(read_report, path)
    except InvalidInput as error:
        raise InvalidInput(
            f"the report {name!r} cannot be read", why="its file is damaged", remedy=error.remedy
        ) from error


def _row(report: SavedReport) -> dict[str, Any]:
    verdicts = [str(one.get("verdict")) for one in _scenarios(report.document)]
    return {
        "report": report,
        "counts": [(verdict, verdicts.count(verdict)) for verdict in ORDER if verdict in verdicts],
        "usd": report.document.get("usd"),
        "seconds": report.document.get("seconds"),
    }


def _scenarios(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in document["scenarios"] if isinstance(one, dict)]


def compared(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """Scenario by scenario, what has changed first."""
    old = {str(one.get("id")): one for one in _scenarios(before)}
    new = {str(one.get("id")): one for one in _scenarios(after)}
    rows = [_pair(name, old.get(name), new.get(name)) for name in sorted({*old, *new})]
    return sorted(rows, key=lambda row: (not row["changed"], ORDER.get(row["after"], 3), row["id"]))


def _pair(name: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> dict[str, Any]:
    before, after = (str(one.get("verdict")) if one else "" for one in (old, new))
    return {
        "id": name,
        "before": before,
        "after": after,
        "changed": before != after,
        "why": str((new or old or {}).get("why") or ""),
        "usd": (_usage(old, "usd"), _usage(new, "usd")),
        "seconds": (_usage(old, "seconds"), _usage(new, "seconds")),
    }


def _usage(one: dict[str, Any] | None, name: str) -> float | None:
    """The mean over its trials."""
    trials = [trial for trial in (one or {}).get("trials", ()) if isinstance(trial, dict)]
    found = [trial.get("usage", {}).get(name) if name == "usd" else trial.get(name) for trial in trials]
    numbers = [float(number) for number in found if isinstance(number, int | float)]
    return sum(numbers) / len(numbers) if numbers else None
