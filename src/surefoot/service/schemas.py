"""Bodies of requests: they are read through these, and an unknown field is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints

from ..core.rule import Approve, Decision, Deny, Edit, Settle

Text = Annotated[str, StringConstraints(max_length=10_000)]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewRun(Asked):
    """`input` is of the workflow's input type."""

    input: Any


class Fork(Asked):
    """`start_from` is the first step that is done anew."""

    start_from: Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Reason(Asked):
    """Kept in the journal, with the name of who says so."""

    reason: Text = ""


class Pause(Reason):
    """`refuse`: new runs are not accepted at all; without it they queue."""

    refuse: bool = False


class ApproveIt(Asked):
    """Make the call as it was proposed; of a review: try again."""

    choice: Literal["approve"]
    reason: Text = ""

    def by(self, person: str) -> Decision:
        return Approve(person, self.reason)


class DenyIt(Asked):
    """Refuse the call; of a review: let it fail; of an unknown call: give it up."""

    choice: Literal["deny"]
    reason: Text = ""

    def by(self, person: str) -> Decision:
        return Deny(person, self.reason)


class EditIt(Asked):
    """Make the call with these arguments instead, after every check has passed again."""

    choice: Literal["edit"]
    args: dict[str, Any]
    reason: Text = ""

    def by(self, person: str) -> Decision:
        return Edit(self.args, person, self.reason)


class SettleIt(Asked):
    """It did happen, with this result; of a review: this is the step's output."""

    choice: Literal["settle"]
    result: Any
    reason: Text = ""

    def by(self, person: str) -> Decision:
        return Settle(self.result, person, self.reason)


class Decide(RootModel[Annotated[ApproveIt | DenyIt | EditIt | SettleIt, Field(discriminator="choice")]]):
    """The person who decides is the token's or the session's."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"choice": "approve", "reason": "the photos show it"},
                {"choice": "deny", "reason": "it was delivered"},
                {"choice": "edit", "args": {"number": "SD-1001", "amount": "20.00"}},
                {"choice": "settle", "result": {"sent": True}},
            ]
        }
    )
