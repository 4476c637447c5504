"""Surefoot: one agentic workflow, shipped as a reliable service. The public names, and nothing else."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .core.budget import Budget, Usage
from .core.private import Private
from .core.rule import Approve, Deny, Edit, Rule, Settle, accept, approve, forbid
from .core.run import Run
from .core.step import Retry, Review, Step, Use, step
from .core.tool import Call, CannotTell, Done, Effect, Tool, Undone, tool
from .errors import (
    CallUnknown,
    Denied,
    InvalidArguments,
    ModelError,
    NotDone,
    SurefootError,
    ToolError,
    Transient,
)

if TYPE_CHECKING:
    from .orchestrator.program import Workflow
    from .orchestrator.results import Result
    from .orchestrator.runtime import Runtime

__all__ = [
    "Approve",
    "Budget",
    "Call",
    "CallUnknown",
    "CannotTell",
    "Denied",
    "Deny",
    "Done",
    "Edit",
    "Effect",
    "InvalidArguments",
    "ModelError",
    "NotDone",
    "Private",
    "Result",
    "Retry",
    "Review",
    "Rule",
    "Run",
    "Runtime",
    "Settle",
    "Step",
    "SurefootError",
    "Tool",
    "ToolError",
    "Transient",
    "Undone",
    "Usage",
    "Use",
    "Workflow",
    "accept",
    "approve",
    "forbid",
    "step",
    "tool",
]

_ENGINE = {"Workflow": "program", "Result": "results", "Runtime": "runtime"}


def __getattr__(name: str) -> Any:
    """The engine is more than half of the import: a module that only defines tools or steps goes without."""
    if name not in _ENGINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.orchestrator.{_ENGINE[name]}"), name)
    globals()[name] = found
    return found
