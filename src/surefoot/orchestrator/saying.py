"""Saying something to a run, whoever drives it: decide on an item, cancel, retry.

All of it is mail: the run's holder takes it into the journal, and a run that nobody holds falls due. So a
store and its keys are enough. With the workflow at hand, what a person gives is checked against its types at
once; without it, that happens when the holder uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from ..core.jsons import NULL, dumps, loads
from ..core.rule import Approve, Decision, Deny, Edit, Settle
from ..core.schema import lines_of
from ..core.workflow import Definition
from ..errors import (
    InvalidInput,
    ItemNotFound,
    NotAllowedToDecide,
    RunNotFinished,
    RunNotFound,
    WrongDecision,
)
from ..rails import policy
from ..rails.placeholders import holds_any, resolve
from ..rails.redaction import Secrets
from ..state.rows import ENDED, ItemRow, RunRow
from ..state.sealing import Keyring
from ..state.store import Store
from .recorder import Sealer
from .rows import row_of


async def decide(
    store: Store,
    keyring: Keyring,
    item: str,
    decision: Decision,
    *,
    people: Mapping[str, Sequence[str]] | None = None,
    workflow: Definition | None = None,
) -> ItemRow:
    """The first decision on an open item wins. Raises ItemNotFound, ItemClosed, WrongDecision,
    NotAllowedToDecide, and with `workflow` InvalidArguments (of an edit) and InvalidInput (a result that does
    not fit)."""
    row = await store.item(item)
    if row is None:
        raise ItemNotFound(
            f"there is no item {item!r} in the inbox",
            why="the id is misspelt, or the item lives in another store",
            remedy="See `surefoot inbox list`.",
        )
    choice, body = _body_of(item, decision)
    if choice not in row.view.get("choices", ()):
        raise WrongDecision(
            f"{item} cannot be decided by {choice!r}",
            why=f"it is {row.kind} and can be: {', '.join(row.view.get('choices', ()))}",
        )
    _may_decide(row, decision.by, people)
    run = await row_of(store, row.run)
    if run.data_key is None:
        raise RunNotFound(
            f"the journal of {row.run} was deleted", why="it was pruned, so nothing can be decided any more"
        )
    if workflow is not None:
        await must_fit(store, keyring, row, decision, workflow=workflow)
    public = dumps({"item": item, "choice": choice, "by": decision.by})
    return await store.decide(item, choice, decision.by, public, _sealed(keyring, run, body))


async def must_fit(
    store: Store, keyring: Keyring, item: ItemRow, decision: Decision, *, workflow: Definition
) -> None:
    """What `decide` checks of what a person gives, without deciding. Raises RunNotFound, InvalidArguments (of
    an edit), InvalidInput (a result that does not fit)."""
    run = await row_of(store, item.run)
    _must_fit(item, await _exact(store, keyring, run, decision), workflow)


async def cancel(store: Store, keyring: Keyring, run: str, *, by: str = "", reason: str = "") -> None:
    """What is under way is let finish; nothing new is started. Raises RunNotFound, WrongDecision."""
    row = await row_of(store, run)
    if row.status in ENDED:
        raise WrongDecision(
            f"{run} has {row.status} and cannot be cancelled",
            why="what has ended cannot be stopped",
            remedy="`surefoot runs show` tells how it ended.",
        )
    body = {"by": by, "reason": reason}
    await store.post(run, "cancel", dumps({"by": by}), _sealed(keyring, row, body))


async def retry(store: Store, keyring: Keyring, run: str, *, by: str = "", reason: str = "") -> None:
    """Takes a failed or cancelled run up again: its failed steps get new attempts. Raises RunNotFound,
    RunNotFinished."""
    row = await row_of(store, run)
    if row.status not in ("failed", "cancelled"):
        raise RunNotFinished(f"{run} is {row.status}", why="only a failed or cancelled run can be retried")
    body = {"by": by, "reason": reason}
    await store.post(run, "retry", dumps({"by": by}), _sealed(keyring, row, body))


def _sealed(keyring: Keyring, run: RunRow, body: Mapping[str, Any]) -> bytes | None:
    """What people write may hold private values, and lies in the mailbox until the run takes it up."""
    if run.data_key is None:
        return None
    return keyring.unwrap(run.data_key).seal(dumps(body).encode(), f"{run.id}|mail".encode())


def _may_decide(row: ItemRow, by: str, people: Mapping[str, Sequence[str]] | None) -> None:
    if not policy.may_decide(row.queue, by, people):
        raise NotAllowedToDecide(
            f"{by or 'nobody'} may not decide {row.id}",
            why=f"it is for {row.queue!r}",
            remedy="Let somebody of that group decide, or change the deployment's people.",
        )


async def _exact(store: Store, keyring: Keyring, run: RunRow, decision: Decision) -> Decision:
    """With the run's own values where somebody wrote what stands for them. Raises InvalidArguments for what
    stands for nothing, or for a secret."""
    given = decision.args if isinstance(decision, Edit) else getattr(decision, "result", None)
    if run.data_key is None or not holds_any(_plain(given)):
        return decision
    sealer = Sealer(run.id, keyring.unwrap(run.data_key), Secrets({}))
    for stored in await store.events(run.id):
        if stored.sealed is not None:
            sealer.open(stored)
    match decision:
        case Edit(args=args):
            return replace(decision, args=resolve(args, sealer.private))
        case Settle(result=result):
            return replace(decision, result=resolve(loads(_plain(result)), sealer.private))
        case _:
            return decision


def _must_fit(row: ItemRow, decision: Decision, workflow: Definition) -> None:
    """What a person gives is of its type: a call's arguments, a call's result, a step's output. Of an item of
    another workflow this one knows nothing."""
    if row.view.get("workflow", workflow.name) != workflow.name:
        return
    tool = workflow.tools.get(row.view.get("tool", ""))
    if isinstance(decision, Edit) and tool is not None:
        tool.parameters.from_python(decision.args)
    if not isinstance(decision, Settle):
        return
    if row.kind != "unknown":
        tool = None
    wired = workflow.plan.steps.get(row.view.get("step") or "")
    shape = tool.output if tool is not None else None if wired is None else wired.output
    if shape is None:
        return
    try:
        shape.load(_plain(decision.result))
    except ValueError as error:
        lines = lines_of(error) if isinstance(error, ValidationError) else [str(error)]
        raise InvalidInput(
            f"the result does not fit {tool.name if tool is not None else row.view['step']}",
            why="; ".join(lines),
            remedy="Give what its declared type asks for.",
            errors=lines,
        ) from error


def _body_of(item: str, decision: Decision) -> tuple[str, dict[str, Any]]:
    common = {"item": item, "by": decision.by, "reason": decision.reason}
    match decision:
        case Approve():
            return "approve", {**common, "choice": "approve"}
        case Deny():
            return "deny", {**common, "choice": "deny"}
        case Edit(args=args):
            return "edit", {**common, "choice": "edit", "args": loads(to_json(args))}
        case Settle(result=result):
            return "settle", {**common, "choice": "settle", "result": loads(_plain(result))}


def _plain(result: Any) -> str:
    return to_json(result).decode() if result is not None else NULL
