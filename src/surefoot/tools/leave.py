"""Leave to make a call: what the rules say, and what a person said.

A person's approval is bound to one exact call (tool, version, arguments), expires, and is used up by the
intent that it allows, in the same commit. Before it is used, the rules that hold now are asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..core import events as e
from ..core.clock import after
from ..core.error_view import text_of
from ..core.journal import Body, Journal
from ..core.jsons import Raw, loads
from ..core.rule import Rule
from ..core.states import CallState, ItemState, Place
from ..core.tool import Effect, Tool
from ..errors import CallRefused, Denied
from ..rails import policy
from ..rails.provenance import Carried, Conversation, Provenance, carried

TURNS = 8
"""Turns of the loop that branches side by side get to come to where they were before."""


@dataclass(frozen=True)
class Proposal:
    """A valid call at its place in a step's body."""

    tool: Tool[..., Any]
    arguments: dict[str, Any]
    args: Raw
    place: Place
    conversation: Conversation | None = field(default=None, compare=False)
    """Of a call that a model makes; None where a step's own code makes it."""


@dataclass(frozen=True)
class Leave:
    """What a call goes ahead with: its arguments (a person may have edited them) and the approval used up."""

    arguments: dict[str, Any]
    args: Raw
    approval: str | None = None
    key: str | None = None
    """Of a call that is made again: its own."""
    edited: bool = False


class Leaves:
    def __init__(
        self,
        rules: Sequence[Rule],
        journal: Journal,
        provenance: Provenance,
        people: Mapping[str, Collection[str]] | None,
    ) -> None:
        self._rules = rules
        self._journal = journal
        self._provenance = provenance
        self._people = people

    async def leave(self, body: Body, proposal: Proposal) -> Leave:
        """Leave to make the call. Raises Denied; parks while a person has to decide."""
        names = self._journal.state.approvals_at.get(proposal.place, [])
        item = self._journal.state.items[names[-1]] if names else None
        if item is None or item.status == "closed":
            return await self._by_rules(body, proposal)
        if item.consumed and not self._came_to_nothing(body, proposal, item):
            return await self._by_rules(body, proposal)
        match item.status:
            case "open":
                await _let_others_begin()
                body.go_on()
                raise body.park()
            case "denied":
                raise Denied(f"{proposal.tool.name} was denied", why=item.reason, by=item.by)
            case "expired":
                raise Denied(f"{proposal.tool.name} was not approved in time", why=item.reason, by="nobody")
            case _:
                return await self._by_person(body, proposal, item)

    def _came_to_nothing(self, body: Body, proposal: Proposal, item: ItemState) -> bool:
        """An approval is used up by one act. Where that act surely did not happen, making it is no second
        use."""
        state, place = self._journal.state, proposal.place
        call = state.calls.get(state.call_at.get(place) or state.read_at.get((place, body.attempt)) or "")
        return call is not None and call.approval == item.id and call.status == "undone"

    def again(self, proposal: Proposal, call: CallState) -> Leave:
        """To make a call again whose outcome is unknown: it is the same call, so with the same arguments (as
        a person edited them), key and approval, which its first intent used up. Raises Denied where the
        rules of now refuse it."""
        arguments = proposal.tool.parameters.load(call.args)
        verdict = policy.check(proposal.tool, arguments, self._rules)
        if isinstance(verdict, policy.Refuse):
            raise Denied(f"{proposal.tool.name} is refused", why=verdict.reason, by=verdict.rule)
        return Leave(arguments, call.args, approval=call.approval, key=call.key)

    async def _by_rules(self, body: Body, proposal: Proposal) -> Leave:
        unclaimed = await self._unclaimed(body, proposal)
        untrusted = self._carried(proposal, proposal.args)
        match policy.check(proposal.tool, proposal.arguments, self._rules, unclaimed, untrusted):
            case policy.Allow():
                return Leave(proposal.arguments, proposal.args)
            case policy.Refuse(reason=reason, rule=rule):
                raise Denied(f"{proposal.tool.name} is refused", why=reason, by=rule)
            case policy.Ask() as ask:
                return await self._ask_person(body, proposal, proposal.args, ask)

    async def _by_person(self, body: Body, proposal: Proposal, item: ItemState) -> Leave:
        """A person agreed: to this tool's version, these arguments, under rules that still ask the same."""
        request = item.request
        assert isinstance(request, e.ApprovalRequested)
        tool = proposal.tool
        args = item.args if item.status == "edited" and item.args is not None else request.args
        try:
            # What was proposed was resolved then; by now the same brackets might mean something else.
            exact = self._journal.resolve_json(args) if item.status == "edited" else args
            arguments = tool.parameters.from_python(tool.parameters.load(exact))
        except ValueError as error:
            why = f"the edited arguments are not valid: {text_of(error)}"
            return await self._ask_again(body, proposal, item, why)
        except CallRefused as refused:
            return await self._ask_again(body, proposal, item, f"the edited arguments: {refused.why}")
        final = self._journal.raw(tool.parameters, arguments)
        untrusted = self._carried(proposal, final)
        unclaimed = await self._unclaimed(body, proposal)
        verdict = policy.check(tool, arguments, self._rules, unclaimed, untrusted)
        shown = {one.get("field") for one in request.evidence}
        match verdict:
            case policy.Refuse(reason=reason, rule=rule):
                raise Denied(f"{tool.name} is refused", why=reason, by=rule)
            case policy.Ask(by=by) if by not in ("", request.by):
                return await self._ask_person(body, proposal, args, verdict)
            case policy.Ask() if request.tool_version != tool.version:
                return await self._ask_person(body, proposal, args, verdict)
            case policy.Ask() if item.status == "approved" and {one.field for one in untrusted} - shown:
                # Whoever agreed was not told that these are others' words. Whoever edited wrote them himself.
                return await self._ask_person(body, proposal, args, verdict)
        if not policy.may_decide(request.by, item.by, self._people):
            why = f"{item.by or 'nobody'} agreed, who is not of {request.by!r} any more"
            return await self._ask_again(body, proposal, item, why)
        return Leave(arguments, final, approval=item.id, edited=final != proposal.args)

    def _carried(self, proposal: Proposal, args: Raw) -> list[Carried]:
        state, talk = self._journal.state, proposal.conversation
        return carried(self._provenance, state, proposal.tool, loads(args), self._rules, talk)

    async def _ask_again(self, body: Body, proposal: Proposal, item: ItemState, why: str) -> Leave:
        request = item.request
        assert isinstance(request, e.ApprovalRequested)
        within = None if request.expires is None else timedelta(microseconds=request.expires - item.at)
        again = policy.Ask(f"{request.reason} ({why})", request.rule, request.by, within)
        return await self._ask_person(body, proposal, proposal.args, again, request.evidence)

    async def _ask_person(
        self,
        body: Body,
        proposal: Proposal,
        args: Raw,
        ask: policy.Ask,
        evidence: Sequence[dict[str, str]] = (),
    ) -> Leave:
        now = self._journal.now()
        step, tool, digest, occurrence = proposal.place
        await self._journal.write(
            e.ApprovalRequested(
                item=self._journal.new_id("item"),
                step=step,
                attempt=body.attempt,
                tool=tool,
                tool_version=proposal.tool.version,
                args=args,
                digest=digest,
                reason=ask.reason,
                rule=ask.rule,
                by=ask.by,
                occurrence=occurrence,
                expires=None if ask.within is None else after(now, ask.within.total_seconds()),
                evidence=[one.to_json() for one in ask.evidence] or list(evidence),
            )
        )
        raise body.park()

    async def _unclaimed(self, body: Body, proposal: Proposal) -> list[CallState]:
        """Effects of this step that were there when its body was entered and that the body has not asked for.
        Branches that run side by side get a few turns of the loop to ask for theirs first."""
        if proposal.tool.effect is Effect.READ:
            return []

        def left() -> list[CallState]:
            return [
                call
                for call in self._journal.state.effects_of(body.step)
                if call.id in body.earlier and call.id not in body.claimed
            ]

        for _ in range(TURNS):
            if not left():
                return []
            await asyncio.sleep(0)
        return left()


async def _let_others_begin() -> None:
    """A branch that has nothing new to hear is about to park the whole body: first those beside it, whose
    answers have come meanwhile, begin what they may do now. What has begun is drained."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
