"""Entering a step's body, and what follows: its output on disk, another attempt, or a fallback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from ..core import events as e
from ..core.clock import after, micros
from ..core.error_view import text_of, trace_of, view_of, wait_of
from ..core.journal import Body, Parked
from ..core.step import Use
from ..core.wiring import INPUT, Wired
from ..errors import OutputInvalid, StaleLease, StepTimedOut, StoreError, SurefootError
from ..models.ask import ModelRoad
from ..tools.gateway import Gateway
from ..tools.isolated import run_isolated
from .acts import Acts
from .deployment import Deployment
from .handle import Handle
from .recorder import Recorder
from .redacting import open_runs


class Bodies:
    """Of one run. `conclude` takes a finished step into the journal, and the run's end after the last."""

    def __init__(
        self,
        deployment: Deployment,
        journal: Recorder,
        acts: Acts,
        road: ModelRoad,
        gateway: Gateway,
        conclude: Callable[[e.StepFinished], Awaitable[None]],
    ) -> None:
        self._deployment = deployment
        self._plan = deployment.workflow.plan
        self._journal = journal
        self._acts = acts
        self._road = road
        self._gateway = gateway
        self._conclude = conclude

    async def enter(self, wired: Wired, body: Body) -> None:
        """One entry of a step's body, from `step.started` to its end on disk."""
        step, journal = wired.step, self._journal
        journal.note(e.StepStarted(step.name, body.attempt))
        started = self._deployment.clock.now()
        failure: BaseException | None = None
        value: Any = None
        timer = None
        timed_out = [False]
        if step.timeout is not None:
            timer = self._deployment.clock.call_at(
                started + micros(step.timeout), self._time_out(body, timed_out, asyncio.current_task())
            )
        try:
            traced = nullcontext() if journal.spans is None else journal.spans.inside(step.name)
            with open_runs.at_work(journal.sealer.private), traced:
                value = await self._body(wired, body)
        except Parked:
            body.stopped = True
        except (StaleLease, StoreError):
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  whatever a body raises is journaled, sys.exit() too
            failure = error
        finally:
            if timer is not None:
                timer.cancel()
        parked = body.stopped and not timed_out[0]
        body.stopped = True  # a branch that the body left behind starts nothing more
        await self._acts.drain(body)
        if journal.lost or self._acts.lapsed:
            journal.lost = True
            raise StaleLease(
                f"{journal.run}: this worker does not hold the run any more", why="its lease has lapsed"
            )
        if parked:
            return
        if timed_out[0]:
            why = f"it took longer than {step.timeout:g} s"
            await self._failed(wired, body, StepTimedOut(f"step {step.name!r} timed out", why=why), started)
        elif failure is not None:
            await self._failed(wired, body, failure, started)
        else:
            await self._finished(wired, body, value, started)

    async def _body(self, wired: Wired, body: Body) -> Any:
        step = wired.step
        arguments = self._inputs(wired)
        if wired.run_as is not None:
            deployment = self._deployment
            arguments[wired.run_as] = Handle(
                step,
                body,
                self._journal,
                self._road,
                self._gateway,
                deployment.prompts,
                deployment.clock,
                deployment.uuids,
                deployment.park_after,
            )
        if step.isolation == "process":
            return await run_isolated(step.function, None, arguments)
        result = step.function(**arguments)
        return await result if step.is_async else result

    def _time_out(
        self, body: Body, timed_out: list[bool], task: asyncio.Task[Any] | None
    ) -> Callable[[], None]:
        def act() -> None:
            timed_out[0] = True
            body.stopped = True
            self._acts.interrupt(body)
            if task is not None:
                task.cancel()

        return act

    def _inputs(self, wired: Wired, names: Sequence[str] | None = None) -> dict[str, Any]:
        """Loaded anew for each body: what one step does to its inputs, no other sees."""
        return {name: self._value(wired.sources[name]) for name in (names or wired.sources)}

    def _value(self, source: str) -> Any:
        if source == INPUT:
            assert self._journal.state.submitted is not None
            return self._plan.input.load(self._journal.state.submitted.input)
        return self._plan.steps[source].output.load(self._journal.state.steps[source].output)

    async def _finished(self, wired: Wired, body: Body, value: Any, started: int) -> None:
        try:
            raw = self._journal.raw(wired.output, value)
            wired.output.load(raw)
        except ValueError as error:
            text = self._journal.scrub(text_of(error))[:500]
            wrong = OutputInvalid(
                f"step {wired.name!r} gave something that is not its declared type",
                why=text,
                remedy="Mend what the step returns, or its return annotation.",
            )
            return await self._failed(wired, body, wrong, started)
        await self._conclude(e.StepFinished(wired.name, raw, body.attempt, self._ms(started)))

    async def _failed(self, wired: Wired, body: Body, failure: BaseException, started: int) -> None:
        step = wired.step
        error = failure
        retry_at = None
        if isinstance(failure, BaseExceptionGroup):
            # A TaskGroup hides its reason; the first one of ours says most.
            reasons = list(_reasons(failure))
            error = next((one for one in reasons if isinstance(one, SurefootError)), reasons[0])
        if isinstance(error, SurefootError) and error.transient and body.attempt < step.retry.attempts:
            delay = step.retry.delay(body.attempt, self._deployment.chance(), wait_of(error))
            retry_at = after(self._deployment.clock.now(), delay)
        detail = None
        if not isinstance(error, SurefootError):
            detail = self._journal.scrub(trace_of(failure))[-8000:]
        view = view_of(error)
        if not isinstance(error, SurefootError):
            view["what"] = f"step {step.name!r} raised {type(error).__name__}"
            view["why"] = self._journal.scrub(str(view.get("why", "")))
        failed = e.StepFailed(step.name, body.attempt, view, self._ms(started), retry_at, detail)
        await self._journal.write(failed)

    async def fall_back(self, wired: Wired) -> None:
        fallback, state = wired.step.fallback, self._journal.state.steps[wired.name]
        try:
            if isinstance(fallback, Use):
                value = fallback.value
            else:
                assert callable(fallback)
                value = fallback(**self._inputs(wired, wired.fallback_takes) if wired.fallback_takes else {})
            raw = self._journal.raw(wired.output, value)
            wired.output.load(raw)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a fallback that fails goes to a person
            text = self._journal.scrub(f"{type(error).__name__}: {text_of(error)}")[:500]
            await self._journal.write(
                e.ReviewOpened(
                    item=self._journal.new_id("item"),
                    reason=f"its fallback failed too: {text}",
                    choices=["settle", "approve", "deny"],
                    step=wired.name,
                    error=state.error,
                )
            )
            return
        await self._conclude(e.StepFinished(wired.name, raw, state.attempt, how="fallback"))

    def _ms(self, started: int) -> float:
        return round((self._deployment.clock.now() - started) / 1000, 3)


def _reasons(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """What is in it, also in the groups of groups inside."""
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _reasons(one)
        else:
            yield one
