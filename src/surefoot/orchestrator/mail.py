"""The mailroom: what people and other processes said to a run, taken into its journal.

Only the holder of a run's lease appends to its journal, so everybody else leaves a message. A decision
was accepted when it was posted (first one wins, by that transaction's clock); here it gets its effect.
"""

from __future__ import annotations

from typing import Any

from ..core import events as e
from ..core.error_view import text_of
from ..core.jsons import Raw, dumps, loads
from ..core.states import ItemState
from ..errors import InvalidArguments
from ..state.rows import Mail
from ..state.store import RunChange
from .deployment import Deployment
from .recorder import Recorder


class Mailroom:
    def __init__(self, deployment: Deployment, journal: Recorder) -> None:
        self._deployment = deployment
        self._journal = journal

    async def collect(self) -> None:
        """All messages into the journal, in one commit with their removal from the mailbox."""
        mail = await self._deployment.store.mail(self._journal.run)
        if not mail:
            return
        for message in mail:
            self._take(message)
        self._journal.take([message.id for message in mail])
        if not self._journal.state.is_ended:
            # In the commit that empties the mailbox: should this process die right after it, a row that still
            # says "waiting" or "failed" would be believed, and nobody would take the run up again.
            self._journal.change(RunChange(status="running"))
        await self._journal.flush()

    def _take(self, message: Mail) -> None:
        state, note = self._journal.state, self._journal.note
        body = loads(self._exact(message))
        match message.kind:
            case "cancel" if not state.is_ended and state.cancelling is None:
                note(e.RunCancelling(body.get("by", ""), body.get("reason", "")))
            case "retry" if state.status in ("failed", "cancelled"):
                note(e.RunRetried(body.get("by", ""), body.get("reason", "")))
            case "reveal":
                note(e.PrivateRevealed(body.get("by", ""), body.get("what", ""), body.get("reason", "")))
            case "restored" if not state.is_ended and state.cancelling is None:
                note(self._restored(body))
            case "decision" if message.sealed is not None:  # else nobody who holds the keys has said it
                item = state.items.get(body["item"])
                if item is not None and item.status == "open":
                    self._decide(item, body)
            case _:
                pass  # too late: the run has ended, or is being cancelled already

    def _exact(self, message: Mail) -> str:
        if message.sealed is None:
            return message.body
        key = self._journal.sealer.key
        return key.open(message.sealed, f"{message.run}|mail".encode()).decode()

    def _restored(self, body: dict[str, Any]) -> e.ReviewOpened:
        """Nobody but a person can find out what the run did after the backup was made (decision 0063)."""
        said = (
            f"put back from the backup of {body.get('at', '')}: what this run did since is not in its journal"
        )
        item = self._journal.new_id("item")
        return e.ReviewOpened(item=item, reason=said, choices=["approve", "deny"], about="restored")

    def _decide(self, item: ItemState, body: dict[str, Any]) -> None:
        choice, by, reason = body["choice"], body.get("by", ""), body.get("reason", "")
        request = item.request
        if isinstance(request, e.ApprovalRequested):
            args = self._arguments(request.tool, dumps(body["args"])) if choice == "edit" else None
            self._journal.note(e.ApprovalDecided(item.id, choice, by, reason, args))
        elif request.about == "unknown" and request.call is not None:
            self._settle_call(item, request, choice, by, reason, body)
        elif choice == "settle" and request.step is not None:
            self._settle_step(item, request.step, by, reason, body)
        else:
            self._journal.note(e.ReviewResolved(item.id, choice, by, reason))

    def _arguments(self, name: str, text: str) -> Raw:
        """Edited arguments, the private values among them taken note of. Those that do not fit are written as
        they came: the gateway says what is wrong with them."""
        tool = self._deployment.workflow.tools.get(name)
        if tool is None:
            return Raw(text)
        try:
            exact = self._journal.resolve_json(text)
            return self._journal.raw(tool.parameters, tool.parameters.load(exact))
        except (ValueError, InvalidArguments):
            return Raw(text)

    def _settle_call(
        self,
        item: ItemState,
        request: e.ReviewOpened,
        choice: str,
        by: str,
        reason: str,
        body: dict[str, Any],
    ) -> None:
        assert request.call is not None
        call = self._journal.state.calls[request.call]
        match choice:
            case "settle":
                tool = self._deployment.workflow.tools.get(call.tool)
                try:
                    text = Raw(self._journal.resolve_json(dumps(body.get("result"))))
                    if tool is not None:
                        text = self._journal.raw(tool.output, tool.output.load(text))
                except (ValueError, InvalidArguments) as error:
                    return self._ask_again(item, request, by, f"the result did not fit: {_first_line(error)}")
                self._journal.note(e.CallSettled(call.id, "done", by, text, reason, item.id))
            case "approve":
                self._journal.note(e.CallSettled(call.id, "undone", by, None, reason, item.id))
            case _:
                self._journal.note(e.CallSettled(call.id, "given_up", by, None, reason, item.id))

    def _settle_step(self, item: ItemState, step: str, by: str, reason: str, body: dict[str, Any]) -> None:
        wired = self._deployment.workflow.plan.steps.get(step)
        assert isinstance(item.request, e.ReviewOpened)
        if wired is None:
            return self._ask_again(item, item.request, by, f"there is no step {step!r} any more")
        try:
            exact = self._journal.resolve_json(dumps(body.get("result")))
            raw = self._journal.raw(wired.output, wired.output.load(exact))
        except (ValueError, InvalidArguments) as error:
            return self._ask_again(item, item.request, by, f"the output did not fit: {_first_line(error)}")
        attempt = self._journal.state.steps[step].attempt
        self._journal.note(e.ReviewResolved(item.id, "settle", by, reason))
        self._journal.note(e.StepFinished(step, raw, max(attempt, 1), how="by_hand"))

    def _ask_again(self, item: ItemState, request: e.ReviewOpened, by: str, why: str) -> None:
        """A decision that cannot be carried out is not lost, and neither is the question."""
        self._journal.note(e.ReviewResolved(item.id, "settle", by, why))
        self._journal.note(
            e.ReviewOpened(
                item=self._journal.new_id("item"),
                reason=f"{request.reason} ({why})",
                choices=request.choices,
                about=request.about,
                queue=request.queue,
                step=request.step,
                call=request.call,
                error=request.error,
            )
        )


def _first_line(error: Exception) -> str:
    text = text_of(error)
    return text.splitlines()[0][:300] if text else type(error).__name__
