"""Whether the rows beside a journal say what the journal says: status, inbox, mail, keys, ledger.

The journal is the truth and is signed. The rows that lists, queues and the inbox read were written in the
same transactions, and are not: here they are compared. Where a row may rightly be ahead of the journal (a
decision that no worker has taken up yet, a run that was made due early), it is; what nothing explains is a
finding.

Not compared, because nothing depends on it for longer than a lease: claims, owners among living workers, the
workers' own rows, and a due time that is too early.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ..core import events as e
from ..core.fold import RunState
from ..core.jsons import canonical, dumps, loads
from ..core.states import ItemState
from ..errors import KeyUnavailable, StoreVersion
from .audit import Finding, Problem
from .rows import ENDED, ItemRow, Mail, RunRow, StoredEvent
from .sealing import Keyring, RunKey

SET_BACK = 120_000_000
"""Microseconds for which a worker may put off a run that it cannot read."""

_SUMMARY = frozenset({"degraded", "error", "usage", "calls_refused", "waiting_for"})
_SHOWN = frozenset(
    {
        "run",
        "workflow",
        "step",
        "tool",
        "args",
        "reason",
        "rule",
        "evidence",
        "choices",
        "about",
        "error",
        "key",
    }
)
"""The fields of an inbox row's view."""

_CALLS = {"done": "settle", "undone": "approve", "given_up": "deny"}
_KINDS = frozenset({"decision", "cancel", "retry", "reveal", "restored"})


Charge = tuple[int, int]
"""Nano-dollars and tokens."""
Spent = dict[str, Charge]
"""By day (UTC)."""


@dataclass
class Journal:
    """A journal read for comparing: `exact` is folded from exact values where they could be opened."""

    row: RunRow
    exact: RunState
    shown: RunState
    submitted_view: dict[str, Any]
    at_end: RunState | None
    """The shown state right after the last `run.finished`."""
    decided: dict[str, tuple[str, str, int]]
    """By item: the decision, who, and when the journal took it up."""
    spent: Spent
    is_open: bool
    """Whether the exact values could be read."""


class Crosscheck:
    """One run's comparison; `findings` grows."""

    def __init__(self, keyring: Keyring, now: int) -> None:
        self._keyring = keyring
        self._now = now
        self.findings: list[Finding] = []

    def say(self, run: str, problem: Problem, what: str, seq: int | None = None) -> None:
        self.findings.append(Finding(run, problem, what, seq))

    def run(
        self,
        row: RunRow,
        events: Sequence[StoredEvent],
        items: Sequence[ItemRow],
        mail: Sequence[Mail],
        workers: Iterable[str],
    ) -> Journal | None:
        """None where the journal is pruned, or cannot be read."""
        if row.owner is not None and row.owner not in workers:
            self.say(row.id, "index", f"it is held by {row.owner!r}, and there is no such worker")
        if row.pruned:
            self._key_of_pruned(row)
            return None
        journal = self._read(row, events)
        if journal is None:
            return None
        self._row(journal, mail)
        self._items(journal, items, mail)
        self._mail(journal, items, mail)
        return journal

    # ── reading ──

    def _read(self, row: RunRow, events: Sequence[StoredEvent]) -> Journal | None:
        key = self._key(row)
        exact, shown = RunState(), RunState()
        journal = Journal(row, exact, shown, {}, None, {}, {}, key is not None)
        reserved: dict[str, tuple[Charge, str]] = {}
        for one in events:
            text = one.view
            if one.sealed is not None and key is not None:
                text = self._open(key, one)
            try:
                event, view = e.decode(one.kind, one.version, text), e.decode(one.kind, one.version, one.view)
            except (StoreVersion, ValueError) as error:
                self.say(row.id, "kind", f"event {one.seq} cannot be read: {error}", one.seq)
                return None
            if one.seq == 1:
                journal.submitted_view = loads(one.view)
            _note_money(event, one.at, reserved, journal.spent)
            _note_decision(event, one.at, journal.decided)
            exact.apply(e.Entry(one.seq, one.at, event))
            shown.apply(e.Entry(one.seq, one.at, view))
            if isinstance(event, e.RunFinished):
                journal.at_end = RunState().apply_all(_entries(events, one.seq))
        if exact.submitted is None:
            return None  # the chain's check has said so
        return journal

    def _key(self, row: RunRow) -> RunKey | None:
        if row.forgotten is not None or row.data_key is None:
            return None
        try:
            return self._keyring.unwrap(row.data_key)
        except KeyUnavailable as error:
            self.say(row.id, "key", f"its data key cannot be unwrapped: {error.why}")
            return None

    def _open(self, key: RunKey, one: StoredEvent) -> str:
        try:
            return dumps(loads(key.open(one.sealed or b"", f"{one.run}|{one.kind}".encode()))["event"])
        except (KeyUnavailable, ValueError, KeyError, TypeError):
            what = f"what is sealed beside event {one.seq} ({one.kind}) cannot be opened with the run's key"
            self.say(one.run, "sealed", what, one.seq)
            return one.view

    # ── the run's row ──

    def _row(self, journal: Journal, mail: Sequence[Mail]) -> None:
        row, state = journal.row, journal.exact
        submitted = state.submitted
        assert submitted is not None
        same: dict[str, tuple[object, object]] = {
            "workflow": (row.workflow, submitted.workflow),
            "version": (row.version, state.workflow_version),
            "fingerprint": (row.fingerprint, state.fingerprint),
            "created": (row.created, state.created),
            "key_view": (row.key, None if state.forgotten else journal.submitted_view.get("key")),
            "forgotten": (row.forgotten is not None, state.forgotten is not None),
            "data_key": (row.data_key is None, state.forgotten is not None),
            "ended": (row.ended is not None, state.is_ended),
        }
        if journal.is_open:
            digest = None if submitted.key is None else self._key_digest(submitted)
            if "[secret:" not in (submitted.key or ""):  # the digest is that of the key as it was given
                same["key"] = (row.key_digest, digest)
            plain = canonical(loads(submitted.input)).encode()
            same["input_digest"] = (row.input_digest, self._keyring.digest(plain))
        if state.forgotten is not None:
            same["input_digest"] = (row.input_digest, "")
        if state.is_ended:
            same["status"] = (row.status, state.status)
        elif row.status not in ("queued", "running", "waiting"):
            same["status"] = (row.status, "not ended")
        for column, (found, wanted) in same.items():
            if found != wanted:
                self.say(row.id, "index", f"{column} is {found!r}, and by the journal {wanted!r}")
        if row.epoch < state.epoch:
            self.say(row.id, "index", f"the epoch is {row.epoch}, and {state.epoch} was claimed")
        if row.updated < state.at:
            self.say(row.id, "index", "updated is before its last event")
        if row.ended is not None and state.is_ended and not state.ended <= row.ended <= row.updated:
            self.say(row.id, "index", "ended is not when the journal says")
        if row.owner is None and not state.is_ended and not mail:
            self._due(journal)
        self._summary(journal)

    def _key_digest(self, submitted: e.RunSubmitted) -> str:
        return self._keyring.key_digest(submitted.workflow, submitted.key or "")

    def _due(self, journal: Journal) -> None:
        """Nobody holds it: somebody must be going to take it up, unless it waits for a person alone."""
        row, state = journal.row, journal.exact
        # Folded without the workflow: which attempts wait for their time is for this place to say.
        retries = [step.retry_at for step in state.steps.values() if step.status == "failed"]
        wanted = min((at for at in [state.next_due(), *retries] if at is not None), default=None)
        if row.due is None:
            if row.status != "waiting" or wanted is not None or not state.open_items():
                self.say(row.id, "index", "it is due at no time, and nobody would ever take it up")
            return
        latest = max(wanted or 0, self._now + SET_BACK)
        if row.due > latest:
            self.say(row.id, "index", f"it is due at {row.due}, and by the journal at {wanted}")

    def _summary(self, journal: Journal) -> None:
        row, state = journal.row, journal.at_end or journal.exact
        if row.status in ENDED and journal.at_end is not None:
            wanted: dict[str, Any] = {
                "degraded": state.degraded,
                "error": state.error,
                "usage": _counted(state.usage.to_json()),
                "waiting_for": [],
            }
        elif row.status == "waiting" and row.owner is None:
            waiting = [item.id for item in journal.exact.open_items()]
            wanted = {"degraded": journal.exact.degraded, "error": None, "waiting_for": waiting}
        else:
            return
        usage = row.summary.get("usage") or {}
        if strange := (row.summary.keys() - _SUMMARY) | (usage.keys() - state.usage.to_json().keys()):
            self.say(row.id, "index", f"the summary has fields that nothing writes: {sorted(strange)}")
        found = {name: row.summary.get(name) for name in wanted}
        if "usage" in found:
            found["usage"] = _counted(row.summary.get("usage") or {})
        if found != wanted:
            self.say(row.id, "index", f"the summary says {dumps(found)}, and the journal {dumps(wanted)}")

    def _key_of_pruned(self, row: RunRow) -> None:
        if (row.data_key is None) != (row.forgotten is not None):
            self.say(row.id, "key", "its data key is gone, and nothing says that the run was forgotten")
        self._key(row)

    # ── the inbox ──

    def _items(self, journal: Journal, items: Sequence[ItemRow], mail: Sequence[Mail]) -> None:
        run, known = journal.row.id, {item.id: item for item in items}
        for name, state in journal.exact.items.items():
            row = known.pop(name, None)
            if row is None:
                self.say(run, "item", f"the inbox has not {name}, which the journal has opened")
                continue
            self._item(journal, row, state, mail)
        for name in known:
            self.say(run, "item", f"the inbox has {name}, which the journal has not opened")

    def _item(self, journal: Journal, row: ItemRow, state: ItemState, mail: Sequence[Mail]) -> None:
        run, request = journal.row.id, journal.shown.items[state.id].request
        is_approval = isinstance(request, e.ApprovalRequested)
        queue = request.by if isinstance(request, e.ApprovalRequested) else request.queue
        same: dict[str, tuple[object, object]] = {
            "kind": (row.kind, state.kind),
            "queue": (row.queue, queue),
            "opened": (row.opened, state.at),
            "expires": (row.expires, state.expires),
        }
        wanted: dict[str, Any] = {"run": run, "workflow": journal.row.workflow, "step": request.step}
        if isinstance(request, e.ApprovalRequested):
            wanted |= {"tool": request.tool, "args": loads(request.args), "reason": request.reason}
            wanted |= {"rule": request.rule, "choices": ["approve", "deny", "edit"]}
        else:
            wanted |= {"reason": request.reason, "choices": request.choices, "about": request.about}
            if request.error:
                wanted["error"] = request.error
            if call := journal.shown.calls.get(request.call or ""):
                wanted |= {"tool": call.tool, "key": call.key}
        if strange := row.view.keys() - _SHOWN:
            self.say(run, "item", f"{row.id} has fields that nothing writes: {sorted(strange)}")
        for name, value in wanted.items():
            same[f"view.{name}"] = (row.view.get(name), value)
        for name, (found, value) in same.items():
            if found != value:
                self.say(run, "item", f"{row.id}: {name} is {found!r}, and by the journal {value!r}")
        self._decision(journal, row, state, mail, is_approval=is_approval)

    def _decision(
        self, journal: Journal, row: ItemRow, state: ItemState, mail: Sequence[Mail], *, is_approval: bool
    ) -> None:
        run = journal.row.id
        taken = journal.decided.get(row.id)
        found = (row.decision, row.decided_by, row.decided)
        if row.status != "decided" and found != (None, None, None):
            self.say(run, "item", f"{row.id} is {row.status}, and has a decision all the same")
        if taken is not None and taken[1] == "reconcile" and not is_approval:
            wanted = "closed"
        elif taken is not None:
            wanted = "decided"
            if row.decision != taken[0] or (journal.is_open and row.decided_by != taken[1]):
                told = f"{row.decision} by {row.decided_by}"
                self.say(run, "item", f"{row.id}: {told}, and by the journal {taken[0]} by {taken[1]}")
            if row.decided is None or not row.opened <= row.decided <= taken[2]:
                self.say(run, "item", f"{row.id}: it was decided at another time than the journal allows")
        elif state.status in ("expired", "closed"):
            # One that was decided while its run ended stands in the inbox as it was said, without effect.
            late = row.status == "decided" and state.status == "closed"
            wanted = "decided" if late else state.status
        else:
            said = any(one.kind == "decision" and _body(one).get("item") == row.id for one in mail)
            wanted = "decided" if said else "open"
        if row.status != wanted:
            self.say(run, "item", f"{row.id} is {row.status}, and by the journal {wanted}")

    # ── the mailbox ──

    def _mail(self, journal: Journal, items: Sequence[ItemRow], mail: Sequence[Mail]) -> None:
        run, known = journal.row.id, {item.id: item for item in items}
        key = self._key(journal.row) if mail else None
        for one in mail:
            if one.kind not in _KINDS:
                self.say(run, "mail", f"message {one.id} has the unknown kind {one.kind!r}")
                continue
            body: Mapping[str, Any] = _body(one)
            if one.kind == "restored":
                continue  # it holds the run up and nothing else: nobody gains by making one
            if key is not None:
                body = self._exact(key, one, body)
            if one.kind != "decision":
                continue
            item = known.get(str(body.get("item")))
            told = (body.get("choice"), body.get("by"), one.at)
            if item is None or (item.decision, item.decided_by, item.decided) != told:
                self.say(run, "mail", f"message {one.id} is a decision that the inbox does not have")

    def _exact(self, key: RunKey, one: Mail, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if one.sealed is None:
            self.say(one.run, "mail", f"message {one.id} has lost what is sealed beside it")
            return body
        try:
            exact: dict[str, Any] = loads(key.open(one.sealed, f"{one.run}|mail".encode()))
        except (KeyUnavailable, ValueError):
            self.say(one.run, "mail", f"what is sealed in message {one.id} cannot be opened")
            return body
        if any(exact.get(name) != value for name, value in body.items() if name in ("item", "choice", "by")):
            self.say(one.run, "mail", f"message {one.id} says something else than what is sealed in it")
        return exact


def check_definitions(definitions: Iterable[tuple[str, str]]) -> list[Finding]:
    """A fingerprint is a digest of its definition."""
    findings = []
    for fingerprint, text in definitions:
        try:
            digest = sha256(canonical(loads(text)).encode()).hexdigest()[:16]
        except ValueError:
            digest = ""
        if digest != fingerprint:
            what = f"the definition {fingerprint} is not what its fingerprint says"
            findings.append(Finding("", "definition", what))
    return findings


def _entries(events: Sequence[StoredEvent], last: int) -> list[e.Entry]:
    return [
        e.Entry(one.seq, one.at, e.decode(one.kind, one.version, one.view))
        for one in events
        if one.seq <= last
    ]


def _note_money(event: e.Event, at: int, reserved: dict[str, tuple[Charge, str]], spent: Spent) -> None:
    """As the ledger is charged: reserved on its day, settled on that same day."""
    match event:
        case e.AskReserved():
            charge, day = (event.nanousd, event.tokens_in + event.tokens_out), _day(at)
            reserved[event.ask] = charge, day
            before = (0, 0)
        case e.AskAnswered(held=False) if event.ask in reserved:
            before, day = reserved.pop(event.ask)
            charge = (event.nanousd, event.tokens_in + event.tokens_out)
        case e.AskFailed(charged=False) if event.ask in reserved:
            before, day = reserved.pop(event.ask)
            charge = (0, 0)
        case _:
            return
    money, tokens = spent.get(day, (0, 0))
    spent[day] = money + charge[0] - before[0], tokens + charge[1] - before[1]


def _day(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).date().isoformat()


def _note_decision(event: e.Event, at: int, decided: dict[str, tuple[str, str, int]]) -> None:
    match event:
        case e.ApprovalDecided() | e.ReviewResolved():
            decided[event.item] = (event.choice, event.by, at)
        case e.CallSettled(item=str(item)):
            decided[item] = (_CALLS[event.outcome], event.by, at)
        case _:
            pass


def _counted(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Without the seconds, which are those of the worker's clock at that moment."""
    return {name: value for name, value in usage.items() if name != "seconds"}


def _body(mail: Mail) -> dict[str, Any]:
    try:
        found = loads(mail.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
