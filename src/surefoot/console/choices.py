"""What each choice on an item means: told before it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from ..state.rows import ItemRow


@dataclass(frozen=True)
class Choice:
    """`label` is the button's; `past` is how a list tells that somebody has chosen it."""

    name: str
    label: str
    means: str
    past: str


_CALL = (
    Choice(
        "approve",
        "Approve",
        "The call is made once, with exactly these arguments. Every rule is checked again at that moment.",
        "approved",
    ),
    Choice(
        "deny",
        "Deny",
        "The call is not made. The step sees your reason, and goes on without it.",
        "denied",
    ),
    Choice(
        "edit",
        "Edit",
        "The call is made with your arguments instead, after every check has passed again.",
        "edited",
    ),
)
_UNKNOWN = (
    Choice(
        "settle",
        "It did happen",
        "The call counts as made, with the result that you give. It is not made again.",
        "settled",
    ),
    Choice("approve", "It did not happen: do it", "The call is made now.", "told to do it"),
    Choice("deny", "Give up", "The call is given up; whether it happened stays unknown.", "given up"),
)
_STEP = (
    Choice(
        "settle",
        "Give the result",
        "What you give is this step's output, checked against its type. The run goes on from there.",
        "settled",
    ),
    Choice("approve", "Try again", "The step gets a new attempt.", "told to try again"),
    Choice("deny", "Let it fail", "The run fails, with your reason in its journal.", "left to fail"),
)
_RUN = (
    Choice("approve", "Go on", "The run goes on, under the code that runs here now.", "told to go on"),
    Choice("deny", "Let it fail", "The run fails, with your reason in its journal.", "left to fail"),
)


def choices_of(row: ItemRow) -> list[Choice]:
    known = _CALL if row.kind == "approval" else _UNKNOWN if row.kind == "unknown" else _of_review(row)
    allowed = row.view.get("choices", ())
    return [one for one in known if one.name in allowed]


def _of_review(row: ItemRow) -> tuple[Choice, ...]:
    return _STEP if row.view.get("about", "step") == "step" else _RUN


def past_of(row: ItemRow) -> str:
    """How it was decided, in a word."""
    found = next((one.past for one in choices_of(row) if one.name == row.decision), None)
    return found or row.decision or row.status
