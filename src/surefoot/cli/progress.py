"""What goes on, told while it goes on: a run's events, read from the store as they are committed.

Whoever drives the run, this process or another, the journal says the same, so following it is all there is to
do. The events' redacted views are shown, on stderr. On a terminal the last line tells what is under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from ..core.jsons import loads
from ..orchestrator.runtime import Runtime
from ..state.rows import StoredEvent
from ..state.store import Store
from .formats import call_text, duration, money
from .output import Output, Style, one_line

T = TypeVar("T")
Part = tuple[str, Style]

LOOK_EVERY = 0.04
"""Seconds. A look costs a query by key, some 20 microseconds."""


class Place(Protocol):
    """Where progress is told."""

    def say(self, parts: list[Part]) -> None: ...

    def now(self, text: str) -> None: ...


class PlainLines:
    def __init__(self, output: Output) -> None:
        self._output = output

    def say(self, parts: list[Part]) -> None:
        self._output.say("".join(text for text, _ in parts))

    def now(self, text: str) -> None:
        pass  # a line that cannot be redrawn would only repeat what `say` says


class Silence:
    def say(self, parts: list[Part]) -> None:
        pass

    def now(self, text: str) -> None:
        pass


@contextmanager
def telling(output: Output, *, quiet: bool = False) -> Iterator[Place]:
    if quiet:
        yield Silence()
    elif output.is_live:
        from .rich_output import LiveLine

        with LiveLine(output.stderr).shown() as live:
            yield live
    else:
        yield PlainLines(output)


async def follow(store: Store, run: str, place: Place, until: Awaitable[T], *, after: int = 0) -> T:
    """Tells of the run's events until the awaitable is done, and gives its result."""
    story = Story()
    waiting = asyncio.ensure_future(until)
    try:
        if after:
            story.read(await store.events(run, 0, after))
        while True:
            done, _ = await asyncio.wait([waiting], timeout=LOOK_EVERY)
            for event in await store.events(run, after):
                after = event.seq
                for parts in story.lines(event):
                    place.say(parts)
            place.now(story.under_way)
            if done:
                return waiting.result()
    finally:
        waiting.cancel()


async def last_seq(runtime: Runtime, run: str) -> int:
    """Where the journal ends now: what happened before is history, not progress."""
    row = await runtime.store.run(run)
    return row.seq if row else 0


class Story:
    """Events into lines. Knows what each call and ask was about, because their ends name them only by id."""

    def __init__(self) -> None:
        self._about: dict[str, tuple[str, str]] = {}
        """Id of a call, ask or item -> (step, what it is)."""
        self._open: dict[str, str] = {}
        """What is under way, by id."""

    @property
    def under_way(self) -> str:
        return " · ".join(list(self._open.values())[-3:])

    def lines(self, event: StoredEvent) -> Iterator[list[Part]]:
        tell = getattr(self, f"_{event.kind.replace('.', '_')}", None)
        if tell is not None:
            line = tell(loads(event.view))
            if line is not None:
                step, text, style = line
                yield [(f"  {one_line(step):<14} ", "dim" if not style else ""), (one_line(text, 300), style)]

    def read(self, events: Sequence[StoredEvent]) -> None:
        """What happened before: known, and not told again."""
        for event in events:
            for _ in self.lines(event):
                pass
        self._open.clear()

    def _begin(self, name: str, step: str, what: str) -> tuple[str, str, Style]:
        self._about[name] = (step, what)
        self._open[name] = f"{step}: {what}" if step else what
        return step, what, "dim"

    def _end(self, name: str) -> tuple[str, str]:
        self._open.pop(name, None)
        return self._about.get(name, ("", name))

    # ── each kind that says something ──

    def _step_started(self, view: dict[str, Any]) -> tuple[str, str, Style] | None:
        attempt = view.get("attempt", 1)
        self._open[f"step {view['step']}"] = view["step"]
        return (view["step"], f"attempt {attempt}", "dim") if attempt != 1 else None

    def _step_finished(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        self._open.pop(f"step {view['step']}", None)
        how = view.get("how", "ok")
        said = {
            "ok": "done",
            "fallback": "done by its fallback",
            "by_hand": "done by hand",
            "forked": "taken over",
        }
        return view["step"], f"{said.get(how, how)}{_took(view)}", "good" if how == "ok" else "warn"

    def _step_failed(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        self._open.pop(f"step {view['step']}", None)
        again = "; it is tried again" if view.get("retry_at") else ""
        return view["step"], f"failed: {_error(view)}{again}", "warn"

    def _ask_reserved(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        turn = f", turn {view['turn'] + 1}" if view.get("turn") else ""
        return self._begin(view["ask"], view["step"], f"asks {view['model']} ({view['prompt']}{turn})")

    def _ask_answered(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, _ = self._end(view["ask"])
        tokens = f"{view.get('tokens_in', 0)} + {view.get('tokens_out', 0)} tokens"
        cost = f", {money(view['nanousd'] / 1e9)}" if view.get("nanousd") else ""
        calls = ", ".join(str(call[1]) for call in view.get("calls", []))
        wants = f", and wants {calls}" if calls else ""
        return step, f"answered{_took(view)}, {tokens}{cost}{wants}", "dim"

    def _ask_rejected(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, _ = self._end(view["ask"])
        return step, f"the answer did not fit: {'; '.join(view['errors'])}", "warn"

    def _ask_failed(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, _ = self._end(view["ask"])
        return step, f"the model failed: {_error(view)}", "warn"

    def _call_refused(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        return view["step"], f"{view['tool']} refused: {_error(view)}", "warn"

    def _call_intended(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        return self._begin(view["call"], view["step"], f"calls {call_text(view['tool'], view.get('args'))}")

    def _call_returned(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["call"])
        return step, f"{_tool(what)} returned{_took(view)}", "dim"

    def _call_failed(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["call"])
        return step, f"{_tool(what)} failed: {_error(view)}", "warn"

    def _call_unknown(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["call"])
        return step, f"nobody knows whether {_tool(what)} happened: {_error(view)}", "bad"

    def _call_settled(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["call"])
        return step, f"{_tool(what)} is settled as {view['outcome']} by {view['by']}", ""

    def _approval_requested(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        who = f" for {view['by']}" if view.get("by") else " for a person"
        what = call_text(view["tool"], view.get("args"))
        self._about[view["item"]] = (view["step"], what)
        self._open.pop(f"step {view['step']}", None)
        return view["step"], f"{what} waits{who}: {view['reason']}", "warn"

    def _approval_decided(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["item"])
        said = {"approve": "approved", "deny": "denied", "edit": "edited and approved"}[view["choice"]]
        why = f": {view['reason']}" if view.get("reason") else ""
        return step, f"{_tool(what)} {said} by {view.get('by') or 'somebody'}{why}", ""

    def _approval_expired(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, what = self._end(view["item"])
        return step, f"nobody decided on {_tool(what)} in time", "warn"

    def _review_opened(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step = view.get("step") or ""
        self._about[view["item"]] = (step, "the review")
        self._open.pop(f"step {step}", None)
        who = f" of {view['queue']}" if view.get("queue") else ""
        return step, f"waits for a person{who}: {view['reason']}", "warn"

    def _review_resolved(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        step, _ = self._end(view["item"])
        said = {"approve": "says to try again", "deny": "lets it fail", "settle": "gives the result"}[
            view["choice"]
        ]
        return step, f"{view.get('by') or 'somebody'} {said}", ""

    def _timer_set(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        self._about[view["timer"]] = (view["step"], "sleeps")
        return view["step"], "sleeps", "dim"

    def _run_cancelling(self, view: dict[str, Any]) -> tuple[str, str, Style]:
        return "", f"is being cancelled{' by ' + view['by'] if view.get('by') else ''}", "warn"


def _took(view: dict[str, Any]) -> str:
    return f" in {duration(view['ms'])}" if view.get("ms") else ""


def _error(view: dict[str, Any]) -> str:
    error = view.get("error") or {}
    return f"{error.get('what', 'it failed')}" + (f" ({error['why']})" if error.get("why") else "")


def _tool(what: str) -> str:
    return what.removeprefix("calls ").partition("(")[0]
