"""The one road to a model: one turn of an ask, answered by the first of the listed models that can.

    answered before? -> worst case reserved, on disk -> request -> settled: the true cost, nothing
    (a definite refusal), or the whole reservation (nobody knows) -> next model where this one failed

What the answer means (a tool call, an output that fits) is decided above, in the orchestrator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..core import events as e
from ..core.clock import micros
from ..core.error_view import error_of, text_of, view_of
from ..core.journal import Acts, Body, Journal
from ..core.jsons import canonical
from ..core.model import Bound, Model, ModelAnswer, ModelRequest, ProposedCall, Tokens
from ..core.states import AskState
from ..errors import BudgetExceeded, DefinitionError, ModelError, ModelUnavailable, StaleLease
from ..rails import ledger


class ModelRoad:
    """Of one run, in the hands of the worker that holds its lease."""

    def __init__(self, workflow: str, models: Sequence[Model], journal: Journal, acts: Acts) -> None:
        self._workflow = workflow
        self._models = models
        self._journal = journal
        self._acts = acts

    async def turn(
        self, body: Body, prompt: str, request: ModelRequest, seen: Callable[[ModelAnswer], None]
    ) -> tuple[str, ModelAnswer]:
        """(id of the ask in the journal, answer). `seen` gets a new answer before it is written. Raises
        ModelUnavailable where every model failed for now, ModelRefused
        where the last one said a definite no, BudgetExceeded, PriceUnknown."""
        body.go_on()
        if not self._models:
            raise DefinitionError(
                f"step {body.step!r} asks a model, and {self._workflow} lists none",
                why="run.ask needs a model that answers",
                remedy="Add models=[...] to the workflow, or give --model.",
            )
        digest = self._journal.digest(_canonical(request))
        occurrence = body.occurrence("ask", prompt, digest)
        known = [
            self._journal.state.asks[name]
            for name in self._journal.state.asks_at.get((body.step, body.attempt, digest, occurrence), [])
        ]
        for ask in known:
            if ask.status == "answered" and ask.answer is not None:
                return ask.id, _answer_of(ask.answer)
        failure: ModelError | None = None
        for model in self._models:
            if (failed := _failure(known, model.name)) is not None:
                failure = _worse(failure, failed)
                continue
            try:
                return await self._ask(body, model, prompt, request, digest, occurrence, seen)
            except ModelError as error:
                failure = _worse(failure, error)
        assert failure is not None
        raise failure

    async def _ask(
        self,
        body: Body,
        model: Model,
        prompt: str,
        request: ModelRequest,
        digest: str,
        occurrence: int,
        seen: Callable[[ModelAnswer], None],
    ) -> tuple[str, ModelAnswer]:
        journal = self._journal
        bound = model.bound(request)
        await self._wait_for_room(body, model, bound)
        ask = journal.new_id("a")
        await journal.write(
            e.AskReserved(
                ask=ask,
                step=body.step,
                attempt=body.attempt,
                prompt=prompt,
                model=model.name,
                digest=digest,
                tokens_in=bound.tokens_in,
                tokens_out=bound.tokens_out,
                nanousd=bound.nanousd,
                occurrence=occurrence,
                turn=request.turn,
            )
        )
        return ask, await self._acts.undisturbed(body, self._request(ask, model, request, seen))

    async def _wait_for_room(self, body: Body, model: Model, bound: Bound) -> None:
        """No await between the last look and the reservation's own place in the journal."""
        while True:
            match ledger.room_for_request(self._journal.state, bound):
                case ledger.Fits():
                    return
                case ledger.Over(what=what, why=why):
                    raise BudgetExceeded(
                        f"no budget left to ask {model.name}: {what}",
                        why=why,
                        remedy="Raise it in Budget(...), or let the step do with less.",
                    )
                case ledger.Waits():
                    await self._journal.settled()
                    body.go_on()

    async def _request(
        self, ask: str, model: Model, request: ModelRequest, seen: Callable[[ModelAnswer], None]
    ) -> ModelAnswer:
        journal = self._journal
        started = journal.now()
        try:
            until = started + micros(request.timeout)
            answer = await self._acts.stoppable(model.request(request), until)
            answered = self._answered(ask, model, answer, started)
        except TimeoutError:
            error = ModelUnavailable(
                f"{model.name} did not answer within {request.timeout:g} s",
                why="the time of the request is over; what it cost until then counts as spent",
                remedy="Give it more time, or ask less.",
            )
            await journal.write(e.AskFailed(ask, view_of(error), charged=True, ms=self._ms(started)))
            raise error from None
        except ModelError as error:
            await journal.write(e.AskFailed(ask, view_of(error), charged=error.charged, ms=self._ms(started)))
            raise
        except StaleLease:
            raise
        except Exception as error:
            # A provider's own bug: what was billed is unknown, and the next model may still answer.
            text = journal.scrub(f"{type(error).__name__}: {text_of(error)}")[:500]
            unavailable = ModelUnavailable(f"{model.name} failed", why=text)
            await journal.write(e.AskFailed(ask, view_of(unavailable), charged=True, ms=self._ms(started)))
            raise unavailable from error
        seen(answer)
        await journal.write(answered)
        # From the journal's own words, so that the first pass and a replay see the same.
        recorded = journal.state.asks[ask].answer
        assert recorded is not None
        return _answer_of(recorded)

    def _answered(self, ask: str, model: Model, answer: ModelAnswer, started: int) -> e.AskAnswered:
        """Raises where a provider broke its word on what an answer is."""
        scrub = self._journal.scrub
        usage = answer.usage
        if usage is not None and min(usage.input, usage.output, usage.cached) < 0:
            usage = None  # nobody gets money back for asking: then it was not said what was used
        return e.AskAnswered(
            ask=ask,
            text=scrub(_text(answer.text)),
            model_version=_text(answer.version),
            finish=_text(answer.finish),
            tokens_in=usage.input if usage else 0,
            tokens_out=usage.output if usage else 0,
            cached=usage.cached if usage else 0,
            nanousd=model.price(usage) if usage else 0,
            held=usage is None,
            ms=self._ms(started),
            calls=[[_text(call.id), _text(call.name), scrub(_text(call.arguments))] for call in answer.calls],
        )

    def _ms(self, started: int) -> float:
        return round((self._journal.now() - started) / 1000, 3)


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    return value


def _failure(known: list[AskState], model: str) -> ModelError | None:
    """How this model failed at this very question in this attempt, if it did."""
    for ask in known:
        if ask.model == model and ask.status == "failed" and ask.error is not None:
            error = error_of(ask.error)
            return error if isinstance(error, ModelError) else None
    return None


def _worse(one: ModelError | None, other: ModelError) -> ModelError:
    """Of two failures the one that another attempt may cure: then trying again makes sense."""
    return one if one is not None and one.transient and not other.transient else other


def _answer_of(event: e.AskAnswered) -> ModelAnswer:
    return ModelAnswer(
        text=event.text,
        calls=tuple(ProposedCall(*call) for call in event.calls),
        finish=event.finish,  # type: ignore[arg-type]  # written by us from a Finish
        usage=None if event.held else Tokens(event.tokens_in, event.tokens_out, event.cached),
        version=event.model_version,
    )


def _canonical(request: ModelRequest) -> str:
    """All that the model sees, and the bound of what it may say."""
    return canonical(
        {
            "instructions": request.instructions,
            "messages": [
                [m.role, m.text, [[c.id, c.name, c.arguments] for c in m.calls], m.call_id]
                for m in request.messages
            ],
            "tools": [[t.name, t.description, t.input_schema] for t in request.tools],
            "output": request.output_schema,
            "max_tokens": request.max_tokens,
        }
    )
