"""From production: a run's journal becomes a scenario with its recording, which replays green at once.

    journal -> exact events -> pseudonyms -> played again on the engine, offline -> compared -> written

The journal holds digests of the model's requests, not the requests. So the run is played again, as its
pseudonymous twin: the input, what models answered, what tools gave back and what people decided are those
of the journal with pseudonyms in them, and the requests that the workflow's code makes of them are recorded.
What does not come out as it did is refused rather than written: then the code has changed since, or the run
depended on something that no journal holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import yaml

from ..core import events as e
from ..core.clock import MICROS
from ..core.error_view import error_of
from ..core.events import Entry
from ..core.fold import RunState
from ..core.jsons import canonical, loads
from ..core.model import Model, ModelAnswer, ModelRequest, ProposedCall, Tokens
from ..core.states import AskState, CallState
from ..errors import InvalidInput, ModelError, ModelUnavailable, RunNotFinished, SurefootError, UsageError
from ..models.recordings import RecordingModel, Stand, Turn
from ..orchestrator.recorder import Sealer
from ..orchestrator.revealing import readable
from ..rails.redaction import Secrets
from ..state import audit
from ..state.rows import ENDED
from ..state.sealing import Keyring
from ..state.store import Store
from .pseudonyms import Pseudonyms
from .recording import Recording, ToolTurn
from .replay import try_once
from .results import Played, Trial
from .scenario import Scenario
from .trial import Broken, Stage, play

PASSES = 4
"""Each pass may show one more drawn value (`run.uuid()`) that later calls depend on."""


@dataclass(frozen=True)
class Journal:
    """A whole run, with exact values. `private` is placeholder -> value."""

    run: str
    workflow: str
    entries: Sequence[Entry]
    private: Mapping[str, str]


@dataclass(frozen=True)
class Made:
    """What `from_run` made: nothing is written yet. `notes` are for the person who will read it over."""

    scenario: Scenario
    text: str
    recording: Recording
    trial: Trial
    notes: Sequence[str] = ()


async def journal_of(store: Store, keyring: Keyring, run: str, secrets: Secrets) -> Journal:
    """Raises RunNotFound (none, or pruned), KeyUnavailable (forgotten), RunNotFinished, InvalidInput (its
    journal is not what was written)."""
    row = await readable(store, run)
    if row.status not in ENDED:
        raise RunNotFinished(
            f"{run} has not ended: it is {row.status}",
            why="half a run is no scenario: nobody knows yet what it comes to",
            remedy="Wait for its end, or cancel it.",
        )
    if found := await audit.verify(store, keyring, run):
        raise InvalidInput(
            f"the journal of {run} is not what was written",
            why="; ".join(one.what for one in found[:3]),
            remedy="`surefoot audit verify` tells more. No scenario is made of what nobody can vouch for.",
        )
    sealer = Sealer(run, keyring.unwrap(row.data_key or b""), secrets)
    entries = [sealer.open(stored) for stored in await store.events(run)]
    if not any(isinstance(entry.event, e.RunFinished) for entry in entries):
        raise InvalidInput(f"the journal of {run} is cut off", why="it does not say how the run ended")
    private = {placeholder: value for value, placeholder in sealer.private.placeholders.items()}
    return Journal(run, row.workflow, entries, private)


async def from_run(stage: Stage, journal: Journal, *, name: str) -> Made:
    """`name` is the scenario's id. Raises UsageError for a run that no scenario can tell, and InvalidInput
    where it does not come out again."""
    _must_be_tellable(stage, journal)
    pseudonyms = Pseudonyms(journal.private)
    stage = replace(stage, world=None)
    for left in reversed(range(PASSES)):
        was = _Was(journal, pseudonyms)
        scenario = _scenario(name, was)
        played, heard = await _played(stage, scenario, was)
        if not left or not pseudonyms.drawn(_drawn(journal.entries, played.trace)):
            break
    else:
        raise AssertionError("the last pass ends it")
    if wrong := _compared(was, played):
        raise InvalidInput(
            f"{journal.run} does not come out as it did when it is played again",
            why="; ".join(wrong),
            remedy="If the workflow has changed since, make the scenario with the version that ran. What "
            "depends on something that no journal holds (a file, the hour) cannot become a scenario.",
        )
    versions = {turn.answer.version for turn in heard if turn.answer is not None} - {""}
    recording = Recording(
        scenario=name,
        origin="production",
        turns=heard,
        model=", ".join(dict.fromkeys(str(turn.request["model"]) for turn in heard)),
        version=", ".join(sorted(versions)),
        tools=was.tools,
    )
    notes = []
    output = was.output
    if played.status == "succeeded" and canonical(output) != canonical(played.output):
        scenario, note = _with_what_agrees(scenario, output, played.output)
        notes.append(note)
    trial = await try_once(stage, scenario, recording)
    if trial.outcome != "pass":
        said = "; ".join([*map(str, trial.failures), *(miss.path for miss in trial.misses), trial.problem])
        raise InvalidInput(f"the scenario of {journal.run} does not replay", why=said.strip("; "))
    text = text_of(scenario)
    if found := pseudonyms.left_in(text) + pseudonyms.left_in(recording.to_text()):
        raise InvalidInput(
            f"private data of {journal.run} would stand in the scenario",
            why=f"the original of {found[0]!r} is still in it, in some form",
            remedy="Nothing was written. A tool's or step's name, or an instruction, may hold it.",
        )
    return Made(scenario, text, recording, trial, notes)


def _must_be_tellable(stage: Stage, journal: Journal) -> None:
    """Raises UsageError."""
    events = [entry.event for entry in journal.entries]
    said = ""
    submitted = next(event for event in events if isinstance(event, e.RunSubmitted))
    if journal.workflow != stage.workflow.name:
        said = f"it is a run of {journal.workflow!r}, and the target is {stage.workflow.name!r}"
    elif submitted.forked_from:
        said = f"it was forked from {submitted.forked_from}, and took steps over: make a scenario of that one"
    elif any(isinstance(event, e.RunRetried) for event in events):
        said = "a person took it up again after it had failed"
    elif any(isinstance(event, e.RunCancelling) for event in events):
        said = "it was cancelled from outside"
    asked = {event.model for event in events if isinstance(event, e.AskReserved)}
    if not said and (others := asked - {model.name for model in stage.models}):
        said = f"it asked {', '.join(sorted(others))}, which is not among the models now (see --model)"
    if said:
        raise UsageError(
            f"no scenario can be made of {journal.run}",
            why=said,
            remedy="Choose another run, or write a scenario by hand.",
        )


class _Was:
    """What happened, with pseudonyms in the place of private values."""

    def __init__(self, journal: Journal, pseudonyms: Pseudonyms) -> None:
        state = RunState()
        for entry in journal.entries:
            state.apply(entry)
        self.state = state
        self.entries = journal.entries
        self.of = pseudonyms.of
        assert state.submitted is not None
        self.input = self.of(loads(state.submitted.input))
        self.calls = [(call.tool, self.of(loads(call.args)), call.status) for call in state.calls.values()]
        self.tools = [turn for call in state.calls.values() if (turn := self._turn(call)) is not None]
        self.asks = [ask for ask in state.asks.values() if ask.status in ("answered", "failed")]
        failed = [one.event for one in journal.entries if isinstance(one.event, e.AskFailed)]
        self.charged = {event.ask: event.charged for event in failed}
        finished = next(one.event for one in journal.entries if isinstance(one.event, e.RunFinished))
        self.status = finished.status
        self.error = None if finished.error is None else str(finished.error.get("code", ""))
        outputs = [one.event for one in journal.entries if isinstance(one.event, e.StepFinished)]
        self.output = self.of(loads(outputs[-1].output)) if outputs and self.status == "succeeded" else None
        self.decisions = self._decisions()

    def _turn(self, call: CallState) -> ToolTurn | None:
        turn = ToolTurn(call.tool, self.of(loads(call.args)))
        by_hand = call.settled_by not in (None, "reconcile")
        if call.status == "returned" and not (by_hand and call.error):
            return replace(turn, result=self.of(loads(call.result)))
        return replace(turn, error=self.of(dict(call.error))) if call.error is not None else None

    def answer(self, ask: AskState) -> ModelAnswer:
        """Raises the error that it was."""
        if ask.answer is None:
            error = error_of(self.of(dict(ask.error or {})))
            if not isinstance(error, ModelError):
                error = ModelUnavailable("the model failed", why=str(error))
            error.charged = self.charged[ask.id]
            raise error
        said = ask.answer
        return ModelAnswer(
            text=self.of(said.text),
            calls=tuple(ProposedCall(call, name, self.of(given)) for call, name, given in said.calls),
            finish=said.finish,  # type: ignore[arg-type]  # written by us from a Finish
            usage=None if said.held else Tokens(said.tokens_in, said.tokens_out, said.cached),
            version=said.model_version,
        )

    def _decisions(self) -> list[dict[str, Any]]:
        """In the order in which they were made."""
        found: list[dict[str, Any]] = []
        one: dict[str, Any]
        for entry in self.entries:
            match entry.event:
                case e.ApprovalDecided(item=item, choice=choice, by=by, reason=reason, args=args):
                    asked = self.state.items[item].request
                    assert isinstance(asked, e.ApprovalRequested)
                    one = {"decide": choice, "tool": asked.tool, "by": by, "reason": reason}
                    found.append(one | ({} if args is None else {"args": self.of(loads(args))}))
                case e.ApprovalExpired(item=item):
                    asked = self.state.items[item].request
                    assert isinstance(asked, e.ApprovalRequested)
                    found.append({"decide": "ignore", "tool": asked.tool})
                case e.ReviewResolved(item=item, choice=choice, by=by, reason=reason):
                    step = self.state.items[item].step
                    one = {"decide": choice, "step": step, "by": by, "reason": reason}
                    if choice == "settle" and step in self.state.steps:
                        one["result"] = self.of(loads(self.state.steps[step].output))
                    found.append(one)
                case e.CallSettled(call=call, by=by, result=result, item=str(), reason=reason) if (
                    by != "reconcile" and result is not None
                ):
                    tool = self.state.calls[call].tool
                    one = {"decide": "settle", "tool": tool, "by": by, "reason": reason}
                    found.append(one | {"result": self.of(loads(result))})
                case _:
                    continue
        return [
            {key: self.of(value) for key, value in one.items() if value not in ("", None)} for one in found
        ]


class _Answers(Stand):
    """Answers as the journal has it: of this model, step and turn of a conversation, in order."""

    def __init__(self, model: Model, was: _Was) -> None:
        super().__init__(model)
        self._was = was
        self._left = [ask for ask in was.asks if ask.model == model.name]

    async def request(self, request: ModelRequest) -> ModelAnswer:
        for ask in self._left:
            if (ask.step, ask.turn) == (request.step, request.turn):
                self._left.remove(ask)
                return self._was.answer(ask)
        raise ModelUnavailable(
            f"{self.name} was not asked this",
            why=f"the journal has no further answer for turn {request.turn + 1} of step {request.step!r}",
            charged=False,
        )


async def _played(stage: Stage, scenario: Scenario, was: _Was) -> tuple[Played, list[Turn]]:
    heard: list[Turn] = []
    models = [RecordingModel(model, heard.append, _Answers(model, was)) for model in stage.models]
    try:
        return await play(stage, scenario, models, tools=was.tools), heard
    except (Broken, SurefootError) as error:
        raise InvalidInput("the run could not be played again", why=str(error)) from error


def _drawn(entries: Sequence[Entry], trace: Sequence[str]) -> dict[str, str]:
    """What `run.uuid()` and `run.now()` gave then -> what they give in the trial."""
    found = [loads(line) for line in trace]
    now = {
        (one["step"], one["attempt"], one["name"], one["occurrence"]): str(one["value"])
        for one in found
        if one["event"] == e.ValueDrawn.KIND
    }
    then = [entry.event for entry in entries if isinstance(entry.event, e.ValueDrawn)]
    places = [(one.value, (one.step, one.attempt, one.name, one.occurrence)) for one in then]
    return {value: now[place] for value, place in places if place in now and len(value) >= 8}


def _compared(was: _Was, played: Played) -> list[str]:
    """What came out otherwise."""
    wrong = []
    code = (played.error or {}).get("code")
    if (played.status, code) != (was.status, was.error):
        wrong.append(f"it ended {was.status} {was.error or ''}, and now {played.status} {code or ''}".strip())
    made = [(call.tool, loads(call.args), call.status) for call in played.state.calls.values()]
    then, now = (Counter(canonical([tool, args]) for tool, args, _ in calls) for calls in (was.calls, made))
    wrong += [f"it did not call {what}" for what in (then - now)]
    wrong += [f"it called {what}, which it had not" for what in (now - then)]
    wrong += [f"nothing was recorded for {call}" for call in played.unknown_calls]
    return wrong[:5]


# ── the scenario ─────────────────────────────────────────────────────────────────────────────────


def _scenario(name: str, was: _Was) -> Scenario:
    at = datetime.fromtimestamp(was.entries[0].at // MICROS, UTC)
    return Scenario.model_validate(
        {
            "id": name,
            "about": "Made of a production run; private values are pseudonyms.",
            "tags": ["production"],
            "input": was.input,
            "now": at.isoformat(),
            "decisions": was.decisions,
            "origin": "production",
            "expect": _expected(was),
        }
    )


def _expected(was: _Was) -> dict[str, Any]:
    state = was.state
    found: dict[str, Any] = {"status": was.status}
    if was.error:
        found["error"] = was.error
    if was.status == "succeeded":
        found["output"] = {"equals": was.output}
    hows = {
        name: step.how if step.status == "finished" else step.status for name, step in state.steps.items()
    }
    known = ("ok", "fallback", "by_hand", "failed")
    if steps := {name: how for name, how in hows.items() if how in known}:
        found["steps"] = steps
    made = [call for call in was.calls if call[2] != "undone"]
    effects = [call for call in state.calls.values() if call.is_effect and call.status == "returned"]
    counts = Counter(tool for tool, _, _ in made)
    found["calls"] = {
        "count": dict(sorted(counts.items())),
        "made": [{"tool": call.tool, "args": was.of(loads(call.args))} for call in effects],
        "only": sorted(counts),
    }
    items = list(state.items.values())
    approvals = sum(item.kind == "approval" for item in items)
    found["asked"] = {"approvals": approvals, "reviews": len(items) - approvals}
    return found


def _with_what_agrees(scenario: Scenario, then: Any, now: Any) -> tuple[Scenario, str]:
    """A run draws ids of its own: only what came out the same is expected of the output."""
    given = scenario.model_dump(mode="json", exclude_unset=True)
    del given["expect"]["output"]
    note = "its output is not the same each time, and nothing is expected of it"
    if isinstance(then, dict) and isinstance(now, dict):
        same = {
            key: value for key, value in then.items() if key in now and now[key] == value and "." not in key
        }
        if same:
            given["expect"]["output"] = {"contains": same}
            otherwise = ", ".join(key for key in then if key not in same)
            note = f"of its output nothing is expected of {otherwise}: not the same each time"
    return Scenario.model_validate(given), note


class _Dumper(yaml.SafeDumper):
    """Quotes whatever is not plainly a word: readers of YAML differ on the rest."""


_PLAIN = re.compile(r"(?!(?:true|false|null|yes|no|on|off|y|n)$)[A-Za-z][A-Za-z0-9_-]*", re.IGNORECASE)


def _as_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(value) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _as_text)


def text_of(scenario: Scenario) -> str:
    """The scenario's file."""
    shown = scenario.model_dump(mode="json", exclude_unset=True)
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
