"""The recorder: one run's journal while this worker holds its lease.

Every event passes here once: folded into the state, cleared of secrets, turned into a redacted view
with the exact text sealed beside it, and appended, together with the index rows that follow from it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from ..core import events as e
from ..core.clock import Clock
from ..core.events import Entry, Event
from ..core.fold import RunState
from ..core.jsons import Raw, dumps, loads
from ..core.private import Found
from ..core.schema import Dumps
from ..errors import BudgetExceeded, ItemClosed, StaleLease
from ..rails.detect import Detector, standard
from ..rails.ledger import TELLING, day_of, most_of, said, warnings
from ..rails.placeholders import resolve, resolve_json
from ..rails.provenance import leaves
from ..rails.redaction import Private, Secrets
from ..state.intake import Sign
from ..state.rows import StoredEvent
from ..state.sealing import RunKey
from ..state.store import (
    Append,
    CloseItem,
    DayCharge,
    DayWarning,
    Grown,
    Lease,
    NewItem,
    Record,
    RunChange,
    Store,
)
from .intake import SignOf, tell_of
from .spans import Spans
from .summary import summary_of

log = logging.getLogger("surefoot.budget")


def _writable(text: str) -> str:
    """A model may say half of a surrogate pair, which no UTF-8 can hold; the very same object otherwise."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _said(written: str) -> str:
    """What a piece of a JSON text says. One that was cut out amid an escape says what it says."""
    if "\\" not in written:
        return written
    try:
        return str(loads(f'"{written}"'))
    except ValueError:
        return written


Hears = Callable[[Event, RunState], None]
"""Is told of each event of a run, with its exact values, and how the run stands after it."""

SHORTEST_FINDING = 6
"""Characters: nothing shorter is a secret, an address or a number of somebody."""

ERROR_TEXTS = frozenset({"what", "why", "remedy", "by"})


class Sealer:
    """Turns events into records and back: scrubbed, viewed, sealed. Holds what private values a run knows."""

    def __init__(self, run: str, key: RunKey, secrets: Secrets, detector: Detector | None = None) -> None:
        self.run = run
        self.key = key
        self.secrets = secrets
        self.detector = detector or standard()
        self.private = Private()
        self._unsealed: dict[str, str] = {}
        """Placeholders that no record has carried yet."""

    def raw(self, shape: Dumps, value: Any) -> Raw:
        found = Found()
        text = shape.dump(value, found)
        if found.values:
            self._unsealed |= self.private.learn(found.values)
        return Raw(self.secrets.scrub_json(text))

    def learn(self, shape: Dumps, value: Any) -> None:
        """Takes note of the private values in `value`: the next record seals them."""
        found = Found()
        shape.dump(value, found)
        if found.values:
            self._unsealed |= self.private.learn(found.values)

    def record(self, event: Event, at: int) -> tuple[Event, Record]:
        """The event without secrets, and its record."""
        text = event.encode()
        clean = _writable(self.secrets.scrub_json(text, e.DATA[type(event)]))
        if clean is not text:
            event = e.decode(event.KIND, event.VERSION, clean)
        view = clean
        if words := e.WORDS[type(event)]:
            for name in words:
                if value := getattr(event, name):
                    self._detect(value)
            if self.private.placeholders:
                view = self._view(event, clean)
        sealed = None
        if view is not clean or self._unsealed:
            exact = f'{{"event":{clean},"private":{dumps(self._unsealed)}}}'
            sealed = self.key.seal(exact.encode(), self._place(event.KIND))
            self._unsealed = {}
        return event, Record(event.KIND, event.VERSION, at, view, sealed)

    def open(self, stored: StoredEvent) -> Entry:
        """Raises KeyUnavailable where the run was forgotten."""
        text = stored.view
        if stored.sealed is not None:
            exact = loads(self.key.open(stored.sealed, self._place(stored.kind)))
            text = dumps(exact["event"])
            self.private.restore(exact["private"])
        return Entry(stored.seq, stored.at, e.decode(stored.kind, stored.version, text))

    def _detect(self, value: Any) -> None:
        """What looks like a secret or like private data is a known value of its run from here on, so that
        the same value has the same placeholder wherever it stands. JSON text is looked at as it is written,
        where its key tells what a value is, and where it has escapes, as what it says."""
        if type(value) is not str:
            for text in leaves(value):
                self._detect(text)
            return
        if len(value) < SHORTEST_FINDING:
            return
        if hits := self.detector.find(value):
            found = {_said(value[hit.start : hit.end]): hit.kind for hit in hits}
            self._unsealed |= self.private.learn(found)
        if "\\" in value and value[0] in '{["':
            try:
                inside = loads(value)
            except ValueError:
                return  # a model's, cut off or broken: it was looked at as it is
            self._detect(inside)

    def _view(self, event: Event, clean: str) -> str:
        """Private values are hidden where somebody's words or data stand, not in the journal's own fields: a
        customer may be called like a step. The very same object where nothing is hidden."""
        if self.private.view_json(clean) is clean:
            return clean
        shown = loads(clean)
        for name in e.WORDS[type(event)]:
            if name in shown:
                shown[name] = self.shown(shown[name])
        view = dumps(shown)
        return clean if view == clean else view

    def shown(self, value: Any) -> Any:
        """JSON data without private values. Of an error its texts; its code stays."""
        if isinstance(value, dict) and "code" in value and "what" in value:
            return {key: self.shown(item) if key in ERROR_TEXTS else item for key, item in value.items()}
        return loads(self.private.view_json(dumps(value)))

    def _place(self, kind: str) -> bytes:
        return f"{self.run}|{kind}".encode()


def charge_for(
    event: Event, state: RunState, workflow: str, caps: tuple[int | None, int | None], at: int
) -> DayCharge | None:
    """What an event adds to, or gives back to, the workflow's day. Called before the event is folded."""
    match event:
        case e.AskReserved():
            tokens = event.tokens_in + event.tokens_out
            return DayCharge(workflow, day_of(at), event.nanousd, tokens, *caps, warnings=_lines(caps, at))
        # Charged to the day of the reservation, so that midnight neither loses nor doubles anything.
        case e.AskAnswered(held=False) if ask := state.asks.get(event.ask):
            money, tokens = event.nanousd, event.tokens_in + event.tokens_out
            more = (money - ask.nanousd, tokens - ask.tokens)
            return DayCharge(workflow, day_of(ask.at), *more, *caps, money, tokens)
        case e.AskFailed(charged=False) if ask := state.asks.get(event.ask):
            return DayCharge(workflow, day_of(ask.at), -ask.nanousd, -ask.tokens, *caps)
        case _:
            return None


_DAY_UNITS: tuple[Literal["nanousd", "tokens"], ...] = ("nanousd", "tokens")


def _lines(caps: tuple[int | None, int | None], at: int) -> tuple[DayWarning, ...]:
    """The warnings of a day, ready for the journal of the run whose reservation gets there."""
    found = []
    for unit, cap in zip(_DAY_UNITS, caps, strict=True):
        if cap:
            # Numbers of the journal's own: there is nothing in it that could have to be sealed.
            event = e.BudgetWarned(unit, cap, day=day_of(at))
            record = Record(event.KIND, event.VERSION, at, event.encode())
            found.append(DayWarning(unit, most_of(cap), record))
    return tuple(found)


class Recorder:
    """Implements `surefoot.core.journal.Journal`."""

    def __init__(
        self,
        *,
        workflow: str,
        state: RunState,
        lease: Lease,
        store: Store,
        sealer: Sealer,
        clock: Clock,
        day_caps: tuple[int | None, int | None],
        sign_of: SignOf = lambda event, state, shown: None,
        hears: Hears | None = None,
    ) -> None:
        self.run = lease.run
        self.state = state
        self.sealer = sealer
        self.lost = False
        """Another worker holds the run now."""
        self.spans: Spans | None = None
        """Whoever traces is told of each event."""
        self.is_defined = False
        """The definition that `define` was told is on disk."""
        self._workflow = workflow
        self._lease = lease
        self._store = store
        self._clock = clock
        self._day_caps = day_caps
        self._sign_of = sign_of
        self._hears = hears
        self._pending: list[Record] = []
        self._opens: list[NewItem] = []
        self._closes: list[CloseItem] = []
        self._charges: list[DayCharge] = []
        self._signs: list[Sign] = []
        self._taken: list[int] = []
        self._definition: tuple[str, str] | None = None
        self._change: RunChange | None = None
        self._settled: list[asyncio.Future[None]] = []
        self._ids: dict[str, int] = {}

    # ── Journal ──

    def now(self) -> int:
        return self._clock.now()

    def note(self, event: Event) -> None:
        at = self._clock.now()
        event, record = self.sealer.record(event, at)
        self._index(event, at)
        self.state.apply(Entry(self.state.seq + 1, at, event))
        self._pending.append(record)
        if self.spans is not None:
            self.spans.saw(record.kind, at, record.view)
        if self._hears is not None:
            self._hears(event, self.state)
        if self._settled and isinstance(event, e.AskAnswered | e.AskFailed):
            self._wake()
        if type(event) in TELLING:
            for warned in warnings(self.state):
                self.warn(warned)

    def warn(self, warned: e.BudgetWarned) -> None:
        """Of the run's own budget: into the journal with the next commit."""
        self.note(warned)
        log.warning("%s (%s): %s", self.run, self._workflow, said(warned))

    async def write(self, *events: Event) -> None:
        noted = before = None
        if self._day_caps != (None, None) and any(isinstance(event, e.AskReserved) for event in events):
            # The day may refuse the reservation; what was noted before it shall not be refused with it.
            before = self._gathered()
        if before is not None:
            noted = self._store.append(before)
        for event in events:
            self.note(event)
        try:
            await self.flush()
        finally:
            if before is not None and noted is not None and (grown := await noted) is not None:
                self._hear(grown, before)

    def raw(self, shape: Dumps, value: Any) -> Raw:
        return self.sealer.raw(shape, value)

    def scrub(self, text: str) -> str:
        return _writable(self.sealer.secrets.scrub(text))

    def resolve(self, value: Any) -> Any:
        return resolve(value, self.sealer.private)

    def resolve_json(self, text: str) -> str:
        return resolve_json(text, self.sealer.private)

    def learn(self, shape: Dumps, value: Any) -> None:
        self.sealer.learn(shape, value)

    def digest(self, text: str) -> str:
        return self.sealer.key.digest(text.encode())

    def new_id(self, kind: str) -> str:
        if not self._ids:
            state = self.state
            self._ids = {
                "c": _highest(state.calls),
                "a": _highest(state.asks),
                "t": _highest(state.timers),
                "item": _highest(state.items),
            }
        self._ids[kind] += 1
        return f"{self.run}-{self._ids[kind]}" if kind == "item" else f"{kind}{self._ids[kind]}"

    async def settled(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._settled.append(waiter)
        await waiter

    # ── for the driver ──

    def take(self, mail: Sequence[int]) -> None:
        """These messages are in the journal with the next commit, and out of the mailbox."""
        self._taken += mail

    def define(self, definition: tuple[str, str]) -> None:
        self._definition = definition

    def change(self, change: RunChange) -> None:
        """New values for the run's row, with the next commit; None leaves what was asked for before."""
        before = self._change
        if before is not None:
            change = RunChange(
                change.status or before.status,
                change.summary or before.summary,
                change.version or before.version,
                change.fingerprint or before.fingerprint,
                change.release or before.release,
                change.due if change.release else before.due,
            )
        self._change = change

    def summary(self) -> str:
        error = self.state.error
        return summary_of(self.state, None if error is None else self.sealer.shown(error))

    async def flush(self) -> None:
        """One append of all that is pending."""
        if self.lost:
            raise StaleLease(f"{self.run}: another worker holds the run now", why="it took the run over")
        append = self._gathered()
        if append is None:
            return
        try:
            if (grown := await self._store.append(append)) is not None:
                self._hear(grown, append)
            self.is_defined |= append.definition is not None
        except StaleLease:
            self.lost = True
            raise
        except ItemClosed:
            if not any(close.status == "closed" for close in append.closes):
                raise
            await self._append_without_decided(append)
        except BudgetExceeded as refusal:
            if (change := refusal.data.pop("change", None)) is not None:
                tell_of(change)
            self._give_back(append)
            raise

    # ── inside ──

    def _gathered(self) -> Append | None:
        """All that is pending, which then is so no longer."""
        if not self._pending and self._change is None and not self._taken:
            return None
        append = Append(
            self._lease,
            tuple(self._pending),
            self._change,
            tuple(self._opens),
            tuple(self._closes),
            tuple(self._taken),
            tuple(self._charges),
            self._definition,
            tuple(self._signs),
        )
        self._pending, self._opens, self._closes, self._charges, self._taken = [], [], [], [], []
        self._signs = []
        self._change = self._definition = None
        return append

    async def _append_without_decided(self, append: Append) -> None:
        """The run ends, and somebody decided one of its open items at that moment: too late to matter, so
        the decision stands in the inbox and has no effect."""
        closes = []
        for close in append.closes:
            item = await self._store.item(close.id)
            if item is not None and item.status == "open":
                closes.append(close)
        self._closes = closes
        self._pending = list(append.records) + self._pending
        self._opens, self._charges, self._taken = list(append.opens), list(append.charges), list(append.taken)
        self._definition = append.definition
        self._signs = list(append.signs)
        if append.change is not None:
            self.change(append.change)
        await self.flush()

    def _give_back(self, append: Append) -> None:
        """The day's money did not allow the reservation: it never was."""
        for record in append.records:
            ask = loads(record.view)["ask"]
            refused = e.AskFailed(ask, {"code": "budget_exceeded"}, charged=False)
            self.state.apply(Entry(self.state.seq, self.now(), refused))
            self.state.usage.model_calls -= 1
        self._wake()

    def _hear(self, grown: Grown, append: Append) -> None:
        """What the store made of an append, because it alone sees what all workers do."""
        for warning in (warning for charge in append.charges for warning in charge.warnings):
            if warning.unit in grown.warned:
                record = warning.record
                warned = e.decode(record.kind, record.version, record.view)
                self.state.apply(Entry(self.state.seq + 1, record.at, warned))
                log.warning("%s: %s", self._workflow, said(warned))
        for change in grown.changes:
            tell_of(change)

    def _wake(self) -> None:
        waiters, self._settled = self._settled, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _index(self, event: Event, at: int) -> None:
        """Index rows that change with the event, in its own transaction."""
        match event:
            case e.StepStarted() | e.StepFinished():
                return
            case e.AskReserved() | e.AskAnswered() | e.AskFailed():
                if charge := charge_for(event, self.state, self._workflow, self._day_caps, at):
                    self._charges.append(charge)
                if sign := self._sign_of(event, self.state, self.sealer.shown):
                    self._signs.append(sign)
            case e.ApprovalRequested() | e.ReviewOpened():
                self._opens.append(self._item(event, at))
            case e.ApprovalExpired():
                self._closes.append(CloseItem(event.item, "expired"))
            case e.CallSettled(by="reconcile", item=str(question)):
                self._closes.append(CloseItem(question, "closed"))
            case e.RunFinished():
                for item in self.state.open_items():
                    self._closes.append(CloseItem(item.id, "closed"))
            case _:
                return

    def _item(self, event: e.ApprovalRequested | e.ReviewOpened, at: int) -> NewItem:
        shown: dict[str, Any] = {"run": self.run, "workflow": self._workflow, "step": event.step}
        if isinstance(event, e.ApprovalRequested):
            kind, queue, expires = "approval", event.by, event.expires
            shown |= {
                "tool": event.tool,
                "args": loads(event.args),
                "reason": event.reason,
                "rule": event.rule,
                "evidence": event.evidence,
            }
            shown["choices"] = ["approve", "deny", "edit"]
        else:
            kind, queue, expires = ("unknown" if event.about == "unknown" else "review"), event.queue, None
            shown |= {"about": event.about, "reason": event.reason, "choices": event.choices}
            if event.error:
                shown["error"] = event.error
            if event.call and (call := self.state.calls.get(event.call)):
                shown |= {"tool": call.tool, "args": loads(call.args), "key": call.key}
        for name in ("args", "reason", "error", "evidence"):
            if name in shown:
                shown[name] = self.sealer.shown(shown[name])
        view = self.sealer.secrets.scrub_json(dumps(shown), ["args"])
        return NewItem(event.item, kind, queue, view, at, expires)  # type: ignore[arg-type]


def _highest(names: Iterable[str]) -> int:
    """Of ids that `new_id` made. Not all stand in the journal: a refused reservation has used one up."""
    return max((int(name.rpartition("-")[2].lstrip("cat")) for name in names), default=0)
