"""Journals as a store can hold them, made by chance: a driver that does what `decide` says, step bodies that
do anything a body can do, people, time, and a worker that dies at any moment.

What has not been committed is lost when a worker dies, as in the real one: events that only inform ride along
with the next commit. The next worker claims the run and folds what is left.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot import Review, Run, Use, Workflow, step
from surefoot.core import events as e
from surefoot.core.decide import Expire, FallBack, Finish, Fire, OpenReview, Start, decide
from surefoot.core.fold import RunState
from surefoot.core.jsons import Raw
from surefoot.core.wiring import Plan

SECOND = 1_000_000
BOOM: e.ErrorView = {"code": "step_failed", "what": "it broke"}


def letter(b: int) -> int:
    return b


@step
async def a(given: int, run: Run) -> int:
    return 1


@step(fallback=Review("desk"))
async def b(given: int, run: Run) -> int:
    return 1


@step(fallback=Use(5))
async def c(a: int, run: Run) -> int:
    return 1


@step(fallback=letter)
async def d(a: int, b: int, run: Run) -> int:
    return 1


@step
def f(d: int) -> int:
    return 1


@step
async def z(c: int, f: int, run: Run) -> int:
    return 1


PLAN: Plan = Workflow("simulated", input=int, steps=[a, b, c, d, f, z]).plan


@dataclass
class Body:
    """A step's body in the memory of a worker: what it has under way, which ends before it does."""

    step: str
    attempt: int
    calls: set[str] = field(default_factory=set)
    asks: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def occurrence(self, kind: str) -> int:
        found = self.counts.get(kind, 0)
        self.counts[kind] = found + 1
        return found


class Simulation:
    """`journal` is on disk up to `durable`; what follows will be with the next commit. `state` folds it."""

    def __init__(self, chance: random.Random, plan: Plan = PLAN) -> None:
        self.chance = chance
        self.plan = plan
        self.now = 1_000 * SECOND
        self.journal: list[e.Entry] = []
        self.durable = 0
        self.state = RunState(plan)
        self.active: dict[str, Body] = {}
        self.epoch = 0
        self.held = False
        self.write(e.RunSubmitted(Raw("5"), "simulated", "1", "print", {"tokens": 10_000}, "rules"))

    # ── the journal ──

    def note(self, event: e.Event) -> None:
        """With the next commit."""
        entry = e.Entry(self.state.seq + 1, self.now, event)
        self.journal.append(entry)
        self.state.apply(entry)
        if isinstance(event, e.RunFinished):
            self.held = False

    def write(self, event: e.Event) -> None:
        self.note(event)
        self.durable = len(self.journal)

    def new_id(self, kind: str) -> str:
        known: dict[str, Any] = {
            "c": self.state.calls,
            "a": self.state.asks,
            "t": self.state.timers,
            "item": self.state.items,
        }
        return f"{kind}{len(known[kind]) + 1}"

    # ── the worker ──

    def claim(self) -> None:
        self.epoch += 1
        self.held = True
        self.note(e.RunClaimed(f"worker-{self.epoch}", self.epoch, doubt=self.chance.random() < 0.3))

    def die(self) -> None:
        """Everything in memory is gone, and what no commit has taken."""
        self.active.clear()
        self.held = False
        del self.journal[self.durable :]
        self.state = RunState(self.plan).apply_all(self.journal)

    def move(self) -> None:
        """Something happens."""
        if self.state.forgotten is not None:
            return  # nobody can go on with it
        self.now += self.chance.choice([0, 1, SECOND, 60 * SECOND])
        if not self.held:
            if self.chance.random() < 0.5:
                self.happen_outside()
            elif not self.state.is_ended:
                self.claim()
            return
        dice = self.chance.random()
        if dice < 0.06:
            self.die()
        elif dice < 0.12:
            self.happen_outside()
        elif self.active and dice < 0.75:
            self.act(self.chance.choice(list(self.active.values())))
        else:
            self.drive()

    def drive(self) -> None:
        """One round of the driver's loop; where there is nothing to do, time passes or a person speaks."""
        actions = decide(self.plan, self.state, self.now, self.active)
        for action in actions:
            self.carry_out(action)
            if self.state.is_ended:
                return
        if not actions and not self.active:
            self.wait()

    def wait(self) -> None:
        """Parked: the worker forgets the run, and whoever wakes it claims it."""
        self.durable = len(self.journal)
        self.held = False
        due = self.state.next_due()
        assert due is not None or self.state.open_items() or self.state.is_ended, "nothing would ever wake it"
        if due is not None:
            self.now = max(self.now, due)

    def carry_out(self, action: Any) -> None:
        match action:
            case Start(step=name, attempt=attempt):
                self.note(e.StepStarted(name, attempt))
                self.active[name] = Body(name, attempt)
            case Fire(timer=timer):
                self.note(e.TimerFired(timer))
            case Expire(item=item):
                self.write(e.ApprovalExpired(item))
            case FallBack(step=name) if self.chance.random() < 0.2:
                self.open_review(name, "its fallback failed too")
            case FallBack(step=name):
                self.finish_step(name, self.state.steps[name].attempt, "fallback")
            case OpenReview(step=name, reason=reason):
                self.open_review(name, reason)
            case Finish(status=status):
                for body in list(self.active.values()):
                    self.drain(body)
                self.active.clear()
                self.write(e.RunFinished(status, None if status == "succeeded" else BOOM))  # type: ignore[arg-type]

    def open_review(self, name: str, reason: str) -> None:
        error = self.state.steps[name].error
        self.write(
            e.ReviewOpened(self.new_id("item"), reason, ["settle", "approve", "deny"], step=name, error=error)
        )

    def finish_step(self, name: str, attempt: int, how: e.How = "ok") -> None:
        self.note(e.StepFinished(name, Raw(str(self.chance.randrange(9))), attempt, 1.5, how))
        if not self.state.ready and self.state.cancelling is None and not (self.active.keys() - {name}):
            self.note(e.RunFinished("succeeded"))
        self.durable = len(self.journal)

    # ── a body ──

    def act(self, body: Body) -> None:
        acts = [
            self.call,
            self.ask,
            self.end,
            self.park,
            self.draw,
            self.refused,
            self.answer,
            self.answer,
            self.end,
        ]
        self.chance.choice(acts)(body)

    def call(self, body: Body) -> None:
        unknown = [
            call.id
            for call in self.state.calls.values()
            if (call.step, call.effect, call.status) == (body.step, "once", "unknown")
        ]
        if unknown and self.chance.random() < 0.7:
            self.settle(body, unknown[0])
            return
        effect = self.chance.choice(["read", "idempotent", "keyed", "once", "once"])
        digest = f"d{self.chance.randrange(3)}"
        place = (body.step, effect, digest, body.occurrence(effect + digest))
        state = self.state
        name = state.read_at.get((place, body.attempt)) if effect == "read" else state.call_at.get(place)
        known = state.calls.get(name) if name else None
        if known is not None and known.status in ("intended", "returned", "failed", "given_up"):
            return
        if known is not None and known.status == "unknown" and effect == "once":
            return
        approval = None
        if known is None and self.chance.random() < 0.3 and effect != "read":
            items = [state.items[one] for one in state.approvals_at.get(place, [])]
            if not items or items[-1].consumed or items[-1].status == "expired":
                self.drain(body)
                self.request(body, place)
                return
            if items[-1].status not in ("approved", "edited"):
                return
            approval = items[-1].id
        call = known.id if known else self.new_id("c")
        intent = e.CallIntended(
            call,
            body.step,
            body.attempt,
            effect,
            "1",
            effect,
            Raw("{}"),
            digest,
            "key",
            self.now + 5 * SECOND,
            place[3],
            approval,
        )
        self.note(intent) if effect == "read" else self.write(intent)
        body.calls.add(call)

    def settle(self, body: Body, call: str) -> None:
        if self.chance.random() < 0.5:
            outcome = self.chance.choice(["done", "undone"])
            self.write(e.CallSettled(call, outcome, "reconcile", Raw("1")))  # type: ignore[arg-type]
            return
        item = self.state.items.get(self.state.calls[call].item or "")
        self.drain(body)
        if item is None or item.status != "open":
            choices = ["settle", "approve", "deny"]
            self.write(
                e.ReviewOpened(self.new_id("item"), "did it?", choices, "unknown", "", body.step, call)
            )
        del self.active[body.step]

    def request(self, body: Body, place: tuple[str, str, str, int]) -> None:
        expires = self.now + 100 * SECOND if self.chance.random() < 0.5 else None
        self.write(
            e.ApprovalRequested(
                self.new_id("item"),
                body.step,
                body.attempt,
                place[1],
                "1",
                Raw("{}"),
                place[2],
                "why",
                "rule",
                "leads",
                place[3],
                expires,
            )
        )
        del self.active[body.step]

    def ask(self, body: Body) -> None:
        digest = f"d{self.chance.randrange(3)}"
        ask = self.new_id("a")
        occurrence = body.occurrence("ask" + digest)
        most, out, price = self.chance.randrange(50), self.chance.randrange(50), self.chance.randrange(1000)
        self.write(
            e.AskReserved(ask, body.step, body.attempt, "p.md", "m", digest, most, out, price, occurrence)
        )
        body.asks.add(ask)

    def answer(self, body: Body) -> None:
        """Something that is under way comes to its end."""
        if body.calls:
            self.return_call(body, self.chance.choice(sorted(body.calls)))
        elif body.asks:
            self.answer_ask(body, self.chance.choice(sorted(body.asks)))

    def return_call(self, body: Body, call: str) -> None:
        body.calls.discard(call)
        self.write(
            self.chance.choice(
                [
                    e.CallReturned(call, Raw("7"), 2.0),
                    e.CallReturned(call, Raw("null")),
                    e.CallFailed(call, BOOM, happened=self.chance.random() < 0.5),
                    e.CallUnknown(call, BOOM, 3.0),
                ]
            )
        )

    def answer_ask(self, body: Body, ask: str) -> None:
        body.asks.discard(ask)
        bound = self.state.asks[ask]
        dice = self.chance.random()
        if dice < 0.6:
            used, cost = self.chance.randint(0, bound.tokens), self.chance.randint(0, bound.nanousd)
            held = self.chance.random() < 0.1
            self.write(
                e.AskAnswered(ask, "text", tokens_in=used, nanousd=cost, held=held, calls=[["1", "t", "{}"]])
            )
            if dice < 0.1:
                self.note(e.AskRejected(ask, ["value: wrong"]))
            elif dice < 0.2:
                self.note(e.AskRepaired(ask, "fences"))
        else:
            self.write(e.AskFailed(ask, BOOM, charged=dice < 0.8))

    def drain(self, body: Body) -> None:
        while body.calls or body.asks:
            self.answer(body)

    def draw(self, body: Body) -> None:
        occurrence = body.occurrence("now")
        if (body.step, body.attempt, "now", occurrence) not in self.state.values:
            self.note(e.ValueDrawn(body.step, body.attempt, "now", str(self.now), occurrence))

    def refused(self, body: Body) -> None:
        self.note(e.CallRefused(body.step, body.attempt, "tool", BOOM, Raw("{}"), "d"))

    def park(self, body: Body) -> None:
        """It sleeps, and may be awake when the time has come."""
        occurrence = body.occurrence("sleep")
        timer = self.state.timer_at.get((body.step, body.attempt, occurrence))
        if timer is None:
            timer = self.new_id("t")
            due = self.now + self.chance.choice([0, 1, 30, 3600]) * SECOND
            self.write(e.TimerSet(timer, body.step, body.attempt, due, occurrence))
        if self.state.timers[timer].fired:
            return
        if self.chance.random() < 0.5:
            self.now = max(self.now, self.state.timers[timer].due)
            self.note(e.TimerFired(timer))
        else:
            self.drain(body)
            del self.active[body.step]

    def end(self, body: Body) -> None:
        self.drain(body)
        del self.active[body.step]
        if self.chance.random() < 0.6:
            self.finish_step(body.step, body.attempt)
            return
        retry_at = self.now + 5 * SECOND if body.attempt < 3 and self.chance.random() < 0.5 else None
        self.write(e.StepFailed(body.step, body.attempt, BOOM, 1.0, retry_at, "trace"))

    # ── the world outside ──

    def happen_outside(self) -> None:
        """A person decides, cancels or takes up an ended run; or time passes. Only a holder writes."""
        dice = self.chance.random()
        if self.state.is_ended and not self.held and 0.65 < dice < 0.68:
            # by the store itself, when nobody holds it
            self.write(e.RunForgotten("kim", "the customer asked"))
            return
        if self.state.is_ended and (self.state.status == "succeeded" or dice < 0.7):
            return
        if not self.held:
            self.claim()
        if self.state.is_ended:
            self.write(e.RunRetried("kim"))
        elif dice < 0.04 and self.state.cancelling is None:
            self.write(e.RunCancelling("kim", "no longer needed"))
        elif dice < 0.06 and self.state.run_review is None and not self.active:
            self.write(e.ReviewOpened(self.new_id("item"), "poisoned", ["approve", "deny"], "poisoned"))
        elif dice < 0.7 and (open_items := self.state.open_items()):
            self.decide(self.chance.choice(open_items))
        elif dice < 0.75:
            self.note(e.PrivateRevealed("kim", "the run"))
        elif dice < 0.8:
            self.note(e.BudgetWarned("tokens", 100, 80))
        else:
            self.now += self.chance.choice([1, 60, 5000]) * SECOND

    def decide(self, item: Any) -> None:
        request = item.request
        if isinstance(request, e.ApprovalRequested):
            choice = self.chance.choice(["approve", "approve", "deny", "edit"])
            args = Raw('{"x":1}') if choice == "edit" else None
            self.write(e.ApprovalDecided(item.id, choice, "kim", "reason", args))  # type: ignore[arg-type]
        elif request.about == "unknown":
            outcome = self.chance.choice(["done", "undone", "given_up"])
            self.write(e.CallSettled(request.call, outcome, "kim", Raw("1"), "saw it", item.id))  # type: ignore[arg-type]
        elif request.step is not None and self.chance.random() < 0.3:
            self.note(e.ReviewResolved(item.id, "settle", "kim"))
            attempt = max(self.state.steps[request.step].attempt, 1)
            self.write(e.StepFinished(request.step, Raw("4"), attempt, how="by_hand"))
        else:
            choice = "approve" if self.chance.random() < 0.8 else "deny"
            self.write(e.ReviewResolved(item.id, choice, "kim"))  # type: ignore[arg-type]

    def finish_run(self, most: int = 300) -> int:
        """From here on bodies end well, people decide and no worker dies. Gives the moves until the end."""
        self.die()
        for moves in range(most):
            if self.state.is_ended:
                return moves
            if not self.held:
                self.claim()
            for body in list(self.active.values()):
                self.drain(body)
                del self.active[body.step]
                self.finish_step(body.step, body.attempt)
            if self.state.is_ended:
                continue
            actions = decide(self.plan, self.state, self.now, self.active)
            for action in actions:
                self.carry_out(action)
            if not actions and not self.active:
                items = self.state.open_items()
                self.wait()
                if items:
                    self.held = True
                    self.claim()
                    self.decide(items[0])
        raise AssertionError(f"the run does not come to an end: {self.state.steps}")


def simulate(seed: int, moves: int, plan: Plan = PLAN) -> Simulation:
    simulation = Simulation(random.Random(seed), plan)
    for _ in range(moves):
        simulation.move()
    return simulation


def by_any_journal(test: Callable[..., None]) -> Callable[..., None]:
    """Hands a test a seed and a number of moves. Of one seed, fewer moves make a prefix: so a failure is
    shrunk to the event that shows it."""
    many = settings(max_examples=5 * settings().max_examples)
    return many(given(seed=st.integers(0, 10**9), moves=st.integers(1, 150))(test))
