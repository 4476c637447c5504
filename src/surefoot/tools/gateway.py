"""The one road to a tool. To know what can stop a payment, read `Gateway.call` from top to bottom.

    listed? -> arguments valid? -> answered before? -> permitted? -> rules (a person may have to agree)
    -> budget -> intent on disk -> the tool itself, under its timeout -> result valid? -> outcome on disk

Nothing else in Surefoot calls a tool's function.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..core import events as e
from ..core.clock import MICROS, Clock, micros
from ..core.error_view import error_of, text_of, view_of, wait_of
from ..core.journal import Acts, Body, Journal
from ..core.jsons import Raw, canonical, loads
from ..core.rule import Rule
from ..core.states import CallState
from ..core.tool import Call, CannotTell, Done, Effect, Tool, Undone
from ..errors import (
    BudgetExceeded,
    CallRefused,
    CallUnknown,
    Denied,
    GivenUp,
    InvalidResult,
    NotDone,
    StaleLease,
    SurefootError,
    ToolDenied,
    Transient,
    UnknownTool,
)
from ..rails import ledger, policy
from ..rails.provenance import Conversation, Provenance
from .invoke import Invoker
from .leave import Leave, Leaves, Proposal


class Gateway:
    """Of one run, in the hands of the worker that holds its lease."""

    def __init__(
        self,
        workflow: str,
        tools: Mapping[str, Tool[..., Any]],
        grants: Collection[str],
        rules: Sequence[Rule],
        journal: Journal,
        clock: Clock,
        invoker: Invoker,
        resources: Callable[[Tool[..., Any]], tuple[Any, ...]],
        acts: Acts,
        provenance: Provenance,
        people: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._workflow = workflow
        self._tools = tools
        self._grants = grants
        self._leaves = Leaves(rules, journal, provenance, people)
        self._journal = journal
        self._clock = clock
        self._invoker = invoker
        self._resources = resources
        self._acts = acts
        self._provenance = provenance

    def conversation(self, instructions: str, data: str) -> Conversation | None:
        """For an ask whose model may make calls; `data` is JSON text. None where no tool is untrusted."""
        if not self._provenance.watches:
            return None
        return Conversation(self._provenance, self._journal.state, instructions, loads(data))

    # ── the road ──

    async def call(
        self,
        body: Body,
        tool: Tool[..., Any] | str,
        arguments: Mapping[str, Any] | None = None,
        text: str | None = None,
        allowed: Collection[str] | None = None,
        conversation: Conversation | None = None,
    ) -> Any:
        """`arguments` from a step's code, or `text` as a model wrote it in this `conversation`; `allowed` is
        an ask's own list.

        Raises what `Run.call` promises; Parked where a person must decide first.
        """
        body.go_on()
        try:
            with _denying(tool):
                listed = self._listed(tool, allowed)
                proposal = self._proposal(body, listed, arguments, text, conversation)
        except CallRefused as refused:
            self._note_refused(body, tool, refused)
            raise
        known = self._known(body, proposal)
        if known is not None and (
            known.status == "returned" or await self._settle_doubt(body, proposal.tool, known)
        ):
            return listed.output.load(self._journal.state.calls[known.id].result)
        try:
            with _denying(listed):
                leave = await self._leave(body, proposal, known)
        except CallRefused as refused:
            self._note_refused(body, listed, refused, proposal)
            raise
        return await self._acts.undisturbed(body, self._perform(body, proposal, leave))

    def _listed(self, tool: Tool[..., Any] | str, allowed: Collection[str] | None) -> Tool[..., Any]:
        name = tool if isinstance(tool, str) else tool.name
        found = self._tools.get(name)
        if found is None or (allowed is not None and name not in allowed):
            within = sorted(self._tools if allowed is None else allowed)
            raise UnknownTool(
                f"{name!r} is not a tool that may be used here",
                why=f"listed are {within}",
                remedy="Use one of these, or list the tool.",
            )
        if isinstance(tool, Tool) and tool is not found:
            raise UnknownTool(
                f"{name!r} here is another tool than the one that {self._workflow} lists",
                why="two tools have this name, and the other one is listed",
                remedy="List this one in tools=[...], or give one of them another name.",
            )
        return found

    def _proposal(
        self,
        body: Body,
        tool: Tool[..., Any],
        arguments: Mapping[str, Any] | None,
        text: str | None,
        conversation: Conversation | None,
    ) -> Proposal:
        """What stands for a value in what people and models are shown is the value itself from here on."""
        if text is not None:
            valid = tool.parameters.from_text(self._journal.resolve_json(text))
        else:
            valid = tool.parameters.from_python(self._journal.resolve(dict(arguments or {})))
        args = self._journal.raw(tool.parameters, valid)
        digest = self._journal.digest(canonical(valid))
        occurrence = body.occurrence("call", tool.name, digest)
        return Proposal(tool, valid, args, (body.step, tool.name, digest, occurrence), conversation)

    async def _leave(self, body: Body, proposal: Proposal, known: CallState | None) -> Leave:
        self._permitted(proposal.tool)
        if known is not None and known.status == "unknown":
            return self._leaves.again(proposal, known)
        return await self._leaves.leave(body, proposal)

    def _permitted(self, tool: Tool[..., Any]) -> None:
        if not policy.permitted(tool, self._grants):
            raise ToolDenied(
                f"{tool.name} needs {tool.permission!r}; {self._workflow} grants {sorted(self._grants)}",
                why="no grant that holds for this run names this permission",
                remedy="Add it to grants= (and look whether the deployment or the run narrows them), "
                "or remove the call.",
            )

    def _within_budget(self, body: Body, proposal: Proposal) -> None:
        room = ledger.room_for_call(self._journal.state)
        if isinstance(room, ledger.Over):
            tool = proposal.tool
            over = BudgetExceeded(
                f"no budget left for {tool.name}: {room.what}",
                why=room.why,
                remedy="Raise tool_calls= in Budget(...), or let the step do with fewer calls.",
            )
            self._note_refused(body, tool, over, proposal)
            raise over

    # ── what the journal already knows ──

    def _known(self, body: Body, proposal: Proposal) -> CallState | None:
        """The call that stands at this place: returned, or in doubt. None: it is to be made (again).
        Raises what it raised before, where that is its answer."""
        state, tool, place = self._journal.state, proposal.tool, proposal.place
        reads = tool.effect is Effect.READ
        name = state.read_at.get((place, body.attempt)) if reads else state.call_at.get(place)
        call = state.calls.get(name) if name else None
        if call is None:
            return None
        body.claimed.add(call.id)
        match call.status:
            case "given_up":
                raise GivenUp(
                    f"{tool.name}: a person gave up on this call",
                    why="nobody knows whether it happened",
                    remedy="Catch GivenUp where the step can go on without it; "
                    "`surefoot runs show RUN` tells who.",
                )
            case "undone":
                return None
            case "failed" if call.error is not None:
                if call.error.get("happened") or call.attempt == body.attempt:
                    raise error_of(call.error)
                return None
            case "unknown" if not call.cut_off and call.attempt == body.attempt and call.error is not None:
                # It failed before this body's eyes; only another attempt may try again.
                if tool.effect is not Effect.ONCE:
                    raise error_of(call.error)
                return call
            case "unknown" if reads:
                return None
            case _:
                return call

    # ── what is in doubt ──

    async def _settle_doubt(self, body: Body, tool: Tool[..., Any], call: CallState) -> bool:
        """Follows the effect class of a call that may have happened. True: it did, and its result is in
        the journal. False: make it (again). Parks where only a person can tell."""
        if call.status == "intended":
            raise CallUnknown(
                f"{tool.name}: the same call is still under way",
                why="a branch beside this one makes it, or a thread of an attempt that was stopped",
                remedy="Wait for the one that is under way, or tell the two apart by their arguments.",
            )
        if tool.effect is not Effect.ONCE:
            return False
        return await self._acts.undisturbed(body, self._reconcile(body, tool, call))

    async def _reconcile(self, body: Body, tool: Tool[..., Any], call: CallState) -> bool:
        await self._invoker.last_of(call.key)
        if call.doubt and self._journal.now() < call.deadline:
            # Its worker may be alive and acting: fencing protects the journal, not the world.
            await self._clock.sleep_until(call.deadline)
        answer: Done[Any] | Undone | CannotTell = CannotTell()
        why = (
            "the process died between the intent and the outcome"
            if call.cut_off
            else "it timed out or failed"
        )
        if tool.reconcile is not None:
            arguments = tool.parameters.load(call.args)
            bound = self._call_of(body, tool, call.key, arguments, call.deadline)
            try:
                until = self._journal.now() + micros(tool.timeout)
                answer = await self._acts.stoppable(tool.reconcile(bound), until)
            except StaleLease:
                raise
            except Exception as error:  # noqa: BLE001  then nobody can tell, and a person is asked
                why += (
                    f"; reconcile failed with {type(error).__name__}: "
                    f"{self._journal.scrub(text_of(error))[:200]}"
                )
        match answer:
            case Done(result=result):
                try:
                    raw = self._valid(tool, result)
                except InvalidResult as error:
                    why += f"; reconcile says that it did, but its result is not valid: {error.why}"
                else:
                    await self._journal.write(
                        e.CallSettled(call.id, "done", by="reconcile", result=raw, item=self._asked(call))
                    )
                    return True
            case Undone():
                await self._journal.write(
                    e.CallSettled(call.id, "undone", by="reconcile", item=self._asked(call))
                )
                return False
            case CannotTell():
                pass
        if self._asked(call) is None:
            await self._journal.write(
                e.ReviewOpened(
                    item=self._journal.new_id("item"),
                    reason=f"did {tool.name} happen? {why}",
                    choices=["settle", "approve", "deny"],
                    about="unknown",
                    step=call.step,
                    call=call.id,
                )
            )
        raise body.park()

    def _asked(self, call: CallState) -> str | None:
        """The question to a person that is open about this call."""
        item = self._journal.state.items.get(call.item or "")
        return item.id if item is not None and item.status == "open" else None

    # ── the act ──

    async def _perform(self, body: Body, proposal: Proposal, leave: Leave) -> Any:
        tool, journal = proposal.tool, self._journal
        step, name, digest, occurrence = proposal.place
        before = journal.state.call_at.get(proposal.place)
        if tool.effect is Effect.READ:
            before = journal.state.read_at.get((proposal.place, body.attempt))
        call_id = before or journal.new_id("c")
        deadline = journal.now() + micros(tool.timeout)
        body.claimed.add(call_id)
        try:
            with _denying(tool):
                key = leave.key or self._key_of(proposal, leave)
                call = self._call_of(body, tool, key, leave.arguments, deadline)
                self._within_budget(body, proposal)
        except CallRefused as refused:
            self._note_refused(body, tool, refused, proposal)
            raise
        intent = e.CallIntended(
            call=call_id,
            step=step,
            attempt=body.attempt,
            tool=name,
            tool_version=tool.version,
            effect=tool.effect.value,
            args=leave.args,
            digest=digest,
            key=key,
            deadline=deadline,
            occurrence=occurrence,
            approval=leave.approval,
        )
        started = journal.now()
        if tool.effect is Effect.READ:
            journal.note(intent)
        else:
            # Intent before act: a crash in between must look unknown, not undone.
            await journal.write(intent)
        try:
            seconds = (deadline - journal.now()) / MICROS
            act = self._invoker.invoke(tool, call, leave.arguments, seconds)
            value = await self._acts.stoppable(act, deadline)
        except StaleLease:
            raise
        except NotDone as error:
            await self._outcome(tool, e.CallFailed(call_id, view_of(error), ms=self._ms(started)))
            raise
        except Exception as error:  # noqa: BLE001  only NotDone may be believed after the intent
            return await self._in_doubt(body, tool, call_id, error, started)
        try:
            raw = self._valid(tool, value)
        except InvalidResult as error:
            view = view_of(error)
            await self._outcome(tool, e.CallFailed(call_id, view, happened=True, ms=self._ms(started)))
            raise
        await self._outcome(tool, e.CallReturned(call_id, raw, ms=self._ms(started)))
        return tool.output.load(raw)

    async def _in_doubt(
        self, body: Body, tool: Tool[..., Any], call_id: str, error: BaseException, started: int
    ) -> Any:
        """It failed, or was stopped, after the intent: nobody knows. Raises for the body to be tried again;
        a ONCE call is settled first, here or by a person."""
        text = self._journal.scrub(f"{type(error).__name__}: {text_of(error)}")[:2000]
        shown: SurefootError
        if tool.effect is Effect.READ:
            shown = Transient(f"{tool.name} did not work", why=text)
        else:
            shown = CallUnknown(f"{tool.name} may have happened", why=text)
        if isinstance(error, SurefootError):
            shown.retry_after = wait_of(error)
        await self._outcome(tool, e.CallUnknown(call_id, view_of(shown), ms=self._ms(started)))
        if tool.effect is Effect.ONCE:
            call = self._journal.state.calls[call_id]
            if await self._reconcile(body, tool, call):
                return tool.output.load(self._journal.state.calls[call_id].result)
            shown = Transient(f"{tool.name} did not happen", why=text, retry_after=shown.retry_after)
        raise shown from error

    async def _outcome(self, tool: Tool[..., Any], event: e.Event) -> None:
        if tool.effect is Effect.READ:
            self._journal.note(event)
        else:
            await self._journal.write(event)

    def _valid(self, tool: Tool[..., Any], value: Any) -> Raw:
        """The result as the journal keeps it. Raises InvalidResult."""
        try:
            raw = self._journal.raw(tool.output, value)
            tool.output.load(raw)
        except Exception as error:  # noqa: BLE001  a guard that fails itself lets nothing pass, either
            text = self._journal.scrub(text_of(error))[:500]
            raise InvalidResult(
                f"{tool.name} answered with something that is not its declared result",
                why=text,
                remedy="It did happen. Mend the tool, or its return annotation.",
            ) from None
        if len(raw) > tool.max_bytes:
            raise InvalidResult(
                f"{tool.name} answered with {len(raw)} bytes",
                why=f"at most {tool.max_bytes} are allowed",
                remedy="It did happen. Raise max_bytes= of the tool, or let it answer with less.",
            )
        return raw

    # ── small parts ──

    def _key_of(self, proposal: Proposal, leave: Leave) -> str:
        step, tool, digest, occurrence = proposal.place
        parts: list[Any] = [self._journal.run, step, tool, digest, occurrence]
        if leave.edited:
            # Other arguments than proposed are another call: it must not be taken for a repetition of one
            # that proposed them in the first place.
            parts += [leave.approval, self._journal.digest(leave.args)]
        return self._journal.digest(canonical(parts))

    def _call_of(
        self, body: Body, tool: Tool[..., Any], key: str, arguments: dict[str, Any], deadline: int
    ) -> Call:
        return Call(
            tool=tool.name,
            key=key,
            run=self._journal.run,
            step=body.step,
            attempt=body.attempt,
            deadline=deadline,
            arguments=arguments,
            resources=self._resources(tool),
        )

    def _note_refused(
        self,
        body: Body,
        tool: Tool[..., Any] | str,
        error: CallRefused | BudgetExceeded,
        proposal: Proposal | None = None,
    ) -> None:
        """Once per place: a body that is entered again is refused again, and that is nothing new."""
        name = tool if isinstance(tool, str) else tool.name
        view = view_of(error)
        digest = proposal.place[2] if proposal else ""
        for _, known in self._journal.state.refusals:
            if (known.step, known.attempt, known.tool, known.digest, known.error) == (
                body.step,
                body.attempt,
                name,
                digest,
                view,
            ):
                return
        args = proposal.args if proposal else None
        self._journal.note(e.CallRefused(body.step, body.attempt, name, view, args, digest))

    def _ms(self, started: int) -> float:
        return round((self._journal.now() - started) / 1000, 3)


@contextmanager
def _denying(tool: Tool[..., Any] | str) -> Iterator[None]:
    """A guard that fails, whichever and however, denies."""
    try:
        yield
    except SurefootError:
        raise
    except Exception as error:
        name = tool if isinstance(tool, str) else tool.name
        raise Denied(
            f"{name} is refused",
            why=f"a guard failed with {type(error).__name__}",
            remedy="Mend the guard: while it fails, nothing passes.",
            by="guard",
        ) from error
