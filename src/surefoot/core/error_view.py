"""Errors on their way through the journal: what is kept of one, and the same one raised again."""

from __future__ import annotations

import traceback
from datetime import timedelta
from math import isfinite
from typing import Any

from pydantic import ValidationError

from ..errors import StepFailed, SurefootError, every_error
from .schema import lines_of

DEEPEST = 20
"""So many exceptions of a chain are told: the nearest ones."""


def view_of(error: BaseException) -> dict[str, Any]:
    """code, what, why, remedy, transient; of a foreign exception its type and text as `why`."""
    if isinstance(error, SurefootError):
        view: dict[str, Any] = {"code": error.code, "what": _said(error, "what") or "it failed"}
        if why := _said(error, "why"):
            view["why"] = why
        if remedy := _said(error, "remedy"):
            view["remedy"] = remedy
        if error.transient:
            view["transient"] = True
        if (asked := wait_of(error)) is not None:
            view["retry_after"] = asked
        data = getattr(error, "data", {})
        if by := data.get("by"):
            view["by"] = str(by)
        if isinstance(status := data.get("status"), int):
            view["status"] = status  # of a provider: a bad key concerns every run (see rails/breaker.py)
        return view
    text = text_of(error).strip()
    name = type(error).__name__
    return {
        "code": StepFailed.code,
        "what": f"it raised {name}",
        "why": text[:2000],
        "remedy": "Mend it there: `surefoot runs show RUN --debug` shows where it came from.",
    }


def text_of(error: BaseException) -> str:
    """What it says, without the values that did not fit a type: they may be anybody's. Also of one whose own
    text cannot be had."""
    try:
        if isinstance(error, ValidationError):
            return "; ".join(lines_of(error))
        if type(error).__module__.startswith("jsonschema."):  # its text shows the value
            where = ".".join(str(part) for part in getattr(error, "absolute_path", ())) or "value"
            return f"{where}: does not satisfy {getattr(error, 'validator', 'its schema')}"
        if isinstance(error, SurefootError):  # what helps against it is not what happened
            what, why = _said(error, "what"), _said(error, "why")
            return f"{what}; {why}" if why else what
        return str(error)
    except Exception:  # noqa: BLE001  a bug in somebody's exception must not become one of ours
        return "(it has no text that can be shown)"


def trace_of(error: BaseException) -> str:
    """The way to an error, for --debug: places, their lines of source, and what each exception of the chain
    says. Values of local variables are never shown; to take out secrets is for the caller."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and len(chain) < DEEPEST and all(one is not known for known in chain):
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\nThat led to:\n\n".join(_told_with_way(one) for one in reversed(chain))


def _told_with_way(error: BaseException) -> str:
    way = "".join(traceback.format_tb(error.__traceback__))
    told = f"Traceback (most recent call last):\n{way}" if way else ""
    told += f"{type(error).__name__}: {text_of(error)}\n"
    for note in getattr(error, "__notes__", ()):
        told += f"{note}\n"
    if isinstance(error, BaseExceptionGroup):
        for number, one in enumerate(error.exceptions[:DEEPEST], 1):
            told += f"\nNo. {number} of {len(error.exceptions)}:\n" + trace_of(one)
    return told


def wait_of(error: SurefootError) -> float | None:
    """Seconds that it asks to wait, where it says so in a way that can be done."""
    asked: Any = error.retry_after
    if isinstance(asked, timedelta):
        asked = asked.total_seconds()
    return float(asked) if isinstance(asked, int | float) and isfinite(asked) and asked >= 0 else None


def _said(error: SurefootError, name: str) -> str:
    """`what`, `why` or `remedy`; whoever raised it may have put anything there, such as another exception."""
    value = getattr(error, name, "")
    if isinstance(value, str):
        return value
    return text_of(value) if isinstance(value, BaseException) else repr(value)


def error_of(view: dict[str, Any]) -> SurefootError:
    """The error that a view was made of, so that a replayed body sees what it saw before."""
    cls = every_error().get(view.get("code", ""), SurefootError)
    error = cls.__new__(cls)
    data = {name: view[name] for name in ("by", "status") if name in view}
    SurefootError.__init__(
        error, view.get("what", "it failed"), why=view.get("why", ""), remedy=view.get("remedy", ""), **data
    )
    error.transient = bool(view.get("transient", False))
    error.retry_after = view.get("retry_after")
    if cls.code == "denied":
        error.__dict__.update(reason=view.get("why", ""), by=view.get("by", ""))
    return error
