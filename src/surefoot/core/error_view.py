"""Errors on their way through the journal: what is kept of one, and the same one raised again."""

from __future__ import annotations

from typing import Any

from ..errors import StepFailed, SurefootError, every_error


def view_of(error: BaseException) -> dict[str, Any]:
    """code, what, why, remedy, transient; of a foreign exception its type and text as `why`."""
    if isinstance(error, SurefootError):
        view: dict[str, Any] = {"code": error.code, "what": error.what}
        if error.why:
            view["why"] = error.why
        if error.remedy:
            view["remedy"] = error.remedy
        if error.transient:
            view["transient"] = True
        if error.retry_after is not None:
            view["retry_after"] = error.retry_after
        if by := error.data.get("by"):
            view["by"] = str(by)
        return view
    text = str(error).strip()
    name = type(error).__name__
    return {
        "code": StepFailed.code,
        "what": f"it raised {name}",
        "why": text[:2000],
        "remedy": "See the step's code; `surefoot runs show --debug` has the traceback.",
    }


def error_of(view: dict[str, Any]) -> SurefootError:
    """The error that a view was made of, so that a replayed body sees what it saw before."""
    cls = every_error().get(view.get("code", ""), SurefootError)
    error = cls.__new__(cls)
    data = {"by": view["by"]} if "by" in view else {}
    SurefootError.__init__(
        error, view.get("what", "it failed"), why=view.get("why", ""), remedy=view.get("remedy", ""), **data
    )
    error.transient = bool(view.get("transient", False))
    error.retry_after = view.get("retry_after")
    if cls.code == "denied":
        error.__dict__.update(reason=view.get("why", ""), by=view.get("by", ""))
    return error
