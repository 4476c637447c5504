"""Folding a journal: events in, the state of the run out. Pure, and total: any prefix folds.

The same fold serves resumption, `runs show`, the inbox and the evals. With a `Plan` it also keeps
which steps are ready, so that deciding costs the same at step ten as at step one thousand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from . import events as e
from .budget import Usage
from .jsons import NULL
from .states import AskState, CallState, ItemState, ItemStatus, Place, StepState, TimerState
from .wiring import Plan


class RunState:
    """What a journal says so far. Changed by `apply` alone."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan
        self.seq = 0
        self.at = 0
        self.submitted: e.RunSubmitted | None = None
        self.created = 0
        self.status: str = "queued"
        self.error: e.ErrorView | None = None
        self.ended = 0
        self.workflow_version = ""
        self.fingerprint = ""
        self.claims = 0
        self.epoch = 0
        self.cancelling: e.RunCancelling | None = None
        self.refused: ItemState | None = None
        """The review of the whole run in which a person said that it shall fail."""
        self.steps: dict[str, StepState] = {}
        self.calls: dict[str, CallState] = {}
        self.calls_of: dict[str, dict[str, CallState]] = {}
        """The same, by step."""
        self.asks: dict[str, AskState] = {}
        self.items: dict[str, ItemState] = {}
        self.timers: dict[str, TimerState] = {}
        self.values: dict[tuple[str, int, str, int], str] = {}
        self.refusals: list[tuple[int, e.CallRefused]] = []
        self.usage = Usage()
        self.reserved_nanousd = 0
        self.reserved_tokens = 0
        self.warned: set[tuple[str, str]] = set()
        """Caps of which most is used, as (unit, day): the run's own have no day."""
        self.degraded = False
        self.forgotten: e.RunForgotten | None = None
        self.call_at: dict[Place, str] = {}
        self.read_at: dict[tuple[Place, int], str] = {}
        self.approvals_at: dict[Place, list[str]] = {}
        self.asks_at: dict[tuple[str, int, str, int], list[str]] = {}
        self.timer_at: dict[tuple[str, int, int], str] = {}
        self.waits: set[str] = set()
        """Open items and unfired timers of the whole run."""
        self._segment: int | None = None
        self._active = 0
        self.ready: dict[str, None] = {}
        self._missing: dict[str, int] = {}
        if plan is not None:
            self._missing = {name: len(wired.needs) for name, wired in plan.steps.items()}
            self.ready = dict.fromkeys(plan.first)

    # ── reading ──

    @property
    def is_ended(self) -> bool:
        return self.status in ("succeeded", "failed", "cancelled")

    @property
    def run_review(self) -> ItemState | None:
        """An open review about the run as a whole: nothing moves until it is resolved."""
        for name in self.waits:
            item = self.items.get(name)
            if item and isinstance(item.request, e.ReviewOpened) and item.request.step is None:
                return item
        return None

    def open_items(self) -> list[ItemState]:
        return [item for item in self.items.values() if item.status == "open"]

    def next_due(self) -> int | None:
        """When something happens by itself: a timer, an expiry, a retry. Nothing does while the whole run is
        under review."""
        if self.run_review is not None:
            return None
        dues: list[int] = []
        for name in self.waits:
            if name in self.timers:
                dues.append(self.timers[name].due)
            elif (expires := self.items[name].expires) is not None:
                dues.append(expires)
        for name in self.ready:
            step = self.steps.get(name)
            if step is not None and step.retry_at is not None and step.status == "failed":
                dues.append(step.retry_at)
        return min(dues, default=None)

    def active_micros(self, now: int) -> int:
        """Time that workers have spent on this run, waits not counted."""
        running = max(now - self._segment, 0) if self._segment is not None else 0
        return self._active + running

    def effects_of(self, step: str) -> list[CallState]:
        """The step's calls that changed the world, or may have."""
        return [call for call in self.calls_of.get(step, {}).values() if call.may_have_happened]

    def open_calls(self) -> list[CallState]:
        return [c for c in self.calls.values() if c.is_effect and c.status in ("intended", "unknown")]

    # ── changing ──

    def apply_all(self, entries: Iterable[e.Entry]) -> RunState:
        for entry in entries:
            self.apply(entry)
        return self

    def apply(self, entry: e.Entry) -> None:
        self.seq, at = entry.seq, entry.at
        _APPLY[type(entry.event)](self, entry.event, at)
        self.at = at

    def _step(self, name: str) -> StepState:
        found = self.steps.get(name)
        if found is None:
            found = self.steps[name] = StepState(name)
        return found

    def _submitted(self, event: e.RunSubmitted, at: int) -> None:
        self.submitted = event
        self.created = at
        self.workflow_version = event.workflow_version
        self.fingerprint = event.fingerprint

    def _claimed(self, event: e.RunClaimed, at: int) -> None:
        self._close_segment()
        self._segment = at
        self.claims += 1
        self.epoch = event.epoch
        if not self.is_ended:
            self.status = "running"
        if event.fingerprint:
            self.fingerprint = event.fingerprint
            self.workflow_version = event.workflow_version or self.workflow_version
        for ask in self.asks.values():
            if ask.status == "reserved":
                self._hold(ask)
        for call in self.calls.values():
            if call.status == "intended":
                call.status = "unknown"
                call.cut_off = True
                call.doubt = event.doubt
        for step in self.steps.values():
            if step.status == "running":
                step.woken = True

    def _close_segment(self) -> None:
        if self._segment is not None:
            self._active += max(self.at - self._segment, 0)
            self._segment = None

    def _hold(self, ask: AskState) -> None:
        """Nobody knows what was billed: the worst case counts."""
        self._release(ask)
        ask.status = "held"
        self.usage.nanousd += ask.nanousd
        self.usage.tokens_in += ask.tokens

    def _release(self, ask: AskState) -> None:
        self.reserved_nanousd -= ask.nanousd
        self.reserved_tokens -= ask.tokens

    def _cancelling(self, event: e.RunCancelling, at: int) -> None:
        self.cancelling = event

    def _retried(self, event: e.RunRetried, at: int) -> None:
        self.status = "queued" if self._segment is None else "running"
        self.ended = 0
        self.error = None
        self.cancelling = None
        self.refused = None
        for step in self.steps.values():
            step.review = None  # it was closed when the run ended
            if step.status in ("failed", "running"):
                step.status = "idle"
                step.refused = False
                step.retry_at = None
                step.blocked = frozenset()

    def _finished(self, event: e.RunFinished, at: int) -> None:
        self.status = event.status
        self.error = event.error
        self.ended = at
        self._active += max(at - self._segment, 0) if self._segment is not None else 0
        self._segment = None
        for name in list(self.waits):
            if name in self.items and self.items[name].status == "open":
                self.items[name].status = "closed"
        self.waits.clear()

    def _step_started(self, event: e.StepStarted, at: int) -> None:
        step = self._step(event.step)
        if step.attempt != event.attempt:
            # Timers are an attempt's own; a person's answer is still waited for.
            step.blocked = frozenset(name for name in step.blocked if name in self.items)
            step.started = at
        step.attempt = event.attempt
        step.status = "running"
        step.woken = False
        step.started = step.started or at

    def _step_finished(self, event: e.StepFinished, at: int) -> None:
        step = self._step(event.step)
        was_finished = step.status == "finished"
        step.status = "finished"
        step.attempt = event.attempt
        step.output = event.output
        step.how = event.how
        step.ms = event.ms
        step.ended = at
        step.started = step.started or at
        step.blocked = frozenset()
        if event.how in ("fallback", "by_hand"):
            self.degraded = True
        if self.plan is not None and not was_finished:
            self.ready.pop(event.step, None)
            for name in self.plan.dependents.get(event.step, ()):
                self._missing[name] -= 1
                if not self._missing[name] and not self._is_finished(name):
                    self.ready[name] = None

    def _is_finished(self, name: str) -> bool:
        step = self.steps.get(name)
        return step is not None and step.status == "finished"

    def _step_failed(self, event: e.StepFailed, at: int) -> None:
        step = self._step(event.step)
        step.status = "failed"
        step.attempt = event.attempt
        step.error = event.error
        step.retry_at = event.retry_at
        step.ms = event.ms
        step.ended = at

    def _call_refused(self, event: e.CallRefused, at: int) -> None:
        self.refusals.append((at, event))

    def _call_intended(self, event: e.CallIntended, at: int) -> None:
        again = self.calls.get(event.call)
        call = CallState(
            id=event.call,
            step=event.step,
            attempt=event.attempt,
            tool=event.tool,
            tool_version=event.tool_version,
            effect=event.effect,
            args=event.args,
            digest=event.digest,
            occurrence=event.occurrence,
            key=event.key,
            deadline=event.deadline,
            approval=event.approval,
            at=at if again is None else again.at,
        )
        self.calls[event.call] = call
        self.calls_of.setdefault(event.step, {})[event.call] = call
        place = (event.step, event.tool, event.digest, event.occurrence)
        if call.is_effect:
            self.call_at[place] = event.call
        else:
            self.read_at[place, event.attempt] = event.call
        if event.approval and event.approval in self.items:
            self.items[event.approval].consumed = True
        self.usage.tool_calls += 1

    def _call(self, name: str) -> CallState | None:
        return self.calls.get(name)

    def _call_returned(self, event: e.CallReturned, at: int) -> None:
        if call := self._call(event.call):
            call.status, call.result, call.ms = "returned", event.result, event.ms

    def _call_failed(self, event: e.CallFailed, at: int) -> None:
        if call := self._call(event.call):
            call.status, call.ms = "failed", event.ms
            call.error = {**event.error, "happened": event.happened}

    def _call_unknown(self, event: e.CallUnknown, at: int) -> None:
        if call := self._call(event.call):
            call.status, call.error, call.ms = "unknown", event.error, event.ms
            call.cut_off = False

    def _call_settled(self, event: e.CallSettled, at: int) -> None:
        if call := self._call(event.call):
            call.settled_by = event.by
            match event.outcome:
                case "done":
                    call.status, call.result = "returned", event.result or NULL
                case "undone":
                    call.status = "undone"
                case "given_up":
                    call.status = "given_up"
        if event.item:
            self._end_wait(event.item, "settled", event.by, event.reason)

    def _ask_reserved(self, event: e.AskReserved, at: int) -> None:
        tokens = event.tokens_in + event.tokens_out
        self.asks[event.ask] = AskState(
            id=event.ask,
            step=event.step,
            attempt=event.attempt,
            prompt=event.prompt,
            model=event.model,
            turn=event.turn,
            tokens=tokens,
            nanousd=event.nanousd,
            at=at,
        )
        self.asks_at.setdefault((event.step, event.attempt, event.digest, event.occurrence), []).append(
            event.ask
        )
        self.reserved_nanousd += event.nanousd
        self.reserved_tokens += tokens
        self.usage.model_calls += 1

    def _ask_answered(self, event: e.AskAnswered, at: int) -> None:
        ask = self.asks.get(event.ask)
        if ask is None or ask.status != "reserved":
            return
        if event.held:
            self._hold(ask)
        else:
            self._release(ask)
            self.usage.nanousd += event.nanousd
            self.usage.tokens_in += event.tokens_in
            self.usage.tokens_out += event.tokens_out
        ask.status, ask.answer, ask.ms = "answered", event, event.ms

    def _ask_rejected(self, event: e.AskRejected, at: int) -> None:
        if ask := self.asks.get(event.ask):
            ask.rejected = event.errors

    def _ask_repaired(self, event: e.AskRepaired, at: int) -> None:
        if ask := self.asks.get(event.ask):
            ask.repaired = event.how

    def _ask_failed(self, event: e.AskFailed, at: int) -> None:
        ask = self.asks.get(event.ask)
        if ask is None or ask.status != "reserved":
            return
        if event.charged:
            self._hold(ask)
        else:
            self._release(ask)
        ask.status, ask.error, ask.ms = "failed", event.error, event.ms

    def _budget_warned(self, event: e.BudgetWarned, at: int) -> None:
        self.warned.add((event.unit, event.day))

    def _begin_wait(self, name: str, step: str | None) -> None:
        self.waits.add(name)
        if step is not None:
            self._step(step).blocked |= {name}

    def _end_wait(self, name: str, status: ItemStatus, by: str, reason: str) -> None:
        self.waits.discard(name)
        item = self.items.get(name)
        if item is None:
            return
        item.status, item.by, item.reason = status, by, reason
        if item.step is not None:
            step = self._step(item.step)
            step.blocked -= {name}
            step.woken = True

    def _approval_requested(self, event: e.ApprovalRequested, at: int) -> None:
        self.items[event.item] = ItemState(event.item, "approval", event, at)
        place = (event.step, event.tool, event.digest, event.occurrence)
        self.approvals_at.setdefault(place, []).append(event.item)
        self._begin_wait(event.item, event.step)

    def _approval_decided(self, event: e.ApprovalDecided, at: int) -> None:
        status: ItemStatus = {"approve": "approved", "deny": "denied", "edit": "edited"}[event.choice]  # type: ignore[assignment]
        self._end_wait(event.item, status, event.by, event.reason)
        if item := self.items.get(event.item):
            item.args = event.args

    def _approval_expired(self, event: e.ApprovalExpired, at: int) -> None:
        self._end_wait(event.item, "expired", "", "nobody decided in time")

    def _review_opened(self, event: e.ReviewOpened, at: int) -> None:
        kind: Literal["review", "unknown"] = "unknown" if event.about == "unknown" else "review"
        self.items[event.item] = ItemState(event.item, kind, event, at)
        self._begin_wait(event.item, event.step)
        if event.call and event.call in self.calls:
            self.calls[event.call].item = event.item
        elif event.step:
            self._step(event.step).review = event.item

    def _review_resolved(self, event: e.ReviewResolved, at: int) -> None:
        item = self.items.get(event.item)
        statuses: dict[str, ItemStatus] = {"approve": "approved", "deny": "denied", "settle": "settled"}
        self._end_wait(event.item, statuses[event.choice], event.by, event.reason)
        if item is None:
            return
        if item.step is None:
            self.refused = item if event.choice == "deny" else None
            return
        step = self._step(item.step)
        step.review = None
        if step.status == "failed" and event.choice == "approve":
            step.status = "idle"
            step.retry_at = None
        elif event.choice == "deny":
            step.refused = True

    def _revealed(self, event: e.PrivateRevealed, at: int) -> None:
        pass

    def _forgotten(self, event: e.RunForgotten, at: int) -> None:
        self.forgotten = event

    def _timer_set(self, event: e.TimerSet, at: int) -> None:
        self.timers[event.timer] = TimerState(event.timer, event.step, event.due, event.length)
        self.timer_at[event.step, event.attempt, event.occurrence] = event.timer
        self._begin_wait(event.timer, event.step)

    def _timer_fired(self, event: e.TimerFired, at: int) -> None:
        self.waits.discard(event.timer)
        if timer := self.timers.get(event.timer):
            timer.fired = True
            step = self._step(timer.step)
            step.blocked -= {event.timer}
            step.woken = True

    def _value_drawn(self, event: e.ValueDrawn, at: int) -> None:
        self.values[event.step, event.attempt, event.name, event.occurrence] = event.value


_APPLY: dict[type[e.Event], Any] = {
    e.RunSubmitted: RunState._submitted,
    e.RunClaimed: RunState._claimed,
    e.RunCancelling: RunState._cancelling,
    e.RunRetried: RunState._retried,
    e.RunFinished: RunState._finished,
    e.RunForgotten: RunState._forgotten,
    e.StepStarted: RunState._step_started,
    e.StepFinished: RunState._step_finished,
    e.StepFailed: RunState._step_failed,
    e.CallRefused: RunState._call_refused,
    e.CallIntended: RunState._call_intended,
    e.CallReturned: RunState._call_returned,
    e.CallFailed: RunState._call_failed,
    e.CallUnknown: RunState._call_unknown,
    e.CallSettled: RunState._call_settled,
    e.AskReserved: RunState._ask_reserved,
    e.AskAnswered: RunState._ask_answered,
    e.AskRejected: RunState._ask_rejected,
    e.AskRepaired: RunState._ask_repaired,
    e.AskFailed: RunState._ask_failed,
    e.BudgetWarned: RunState._budget_warned,
    e.ApprovalRequested: RunState._approval_requested,
    e.ApprovalDecided: RunState._approval_decided,
    e.ApprovalExpired: RunState._approval_expired,
    e.ReviewOpened: RunState._review_opened,
    e.ReviewResolved: RunState._review_resolved,
    e.PrivateRevealed: RunState._revealed,
    e.TimerSet: RunState._timer_set,
    e.TimerFired: RunState._timer_fired,
    e.ValueDrawn: RunState._value_drawn,
}
