"""An ask: the loop of turns over the two roads, to a model and to the tools that this ask may use.

turn -> truncated? refused? -> tool calls? make them and go on -> an answer: parse, validate, or say
what is wrong with it and ask again (`repairs` times)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from ..core import events as e
from ..core.journal import Body, Journal
from ..core.jsons import dumps, loads, parse_strictly, text_for_model
from ..core.model import Message, ModelAnswer, ModelRequest, ProposedCall, ToolSpec
from ..core.schema import Shape, lines_of
from ..core.tool import Tool
from ..errors import CallRefused, ModelRefused, NotDone, OutputInvalid, OutputTruncated, TurnsExhausted
from ..models.ask import ModelRoad
from ..rails.provenance import Conversation
from ..tools.gateway import Gateway
from .redacting import redactor


@dataclass(frozen=True)
class Question:
    output: Any
    prompt: str
    instructions: str
    data: Mapping[str, Any]
    tools: Sequence[Tool[..., Any]]
    max_turns: int
    repairs: int
    max_tokens: int
    timeout: float


async def ask(journal: Journal, road: ModelRoad, gateway: Gateway, body: Body, question: Question) -> Any:
    """A valid output. Raises what `Run.ask` promises."""
    shape = _shape(question.output)
    free_text = question.output is str
    specs = tuple(ToolSpec(tool.name, tool.description, tool.input_schema) for tool in question.tools)
    allowed = [tool.name for tool in question.tools]
    data = text_for_model(dict(question.data))
    messages = [Message("user", data)]
    conversation = gateway.conversation(question.instructions, data)
    repairs = question.repairs

    def private(answer: ModelAnswer) -> None:
        _learn_private(journal, question, shape, answer)

    for _ in range(question.max_turns):
        request = ModelRequest(
            instructions=question.instructions,
            messages=tuple(messages),
            tools=specs,
            output_name=getattr(question.output, "__name__", "answer"),
            output_schema=None if free_text else shape.json_schema,
            max_tokens=question.max_tokens,
            timeout=question.timeout,
            step=body.step,
        )
        name, answer = await road.turn(body, _label(question.prompt), request, private)
        if answer.finish == "refused":
            raise ModelRefused(
                f"step {body.step!r}: the model declined to answer",
                why=answer.text[:200],
                remedy="Ask otherwise, or give the step a fallback= for what is declined.",
                charged=True,
            )
        if answer.calls and answer.finish != "length":
            messages.append(Message("assistant", answer.text, answer.calls))
            for call in answer.calls:
                messages.append(await _use_tool(gateway, body, call, allowed, conversation))
            continue
        value, wrong, how = _read(answer, shape, free_text)
        if not wrong:
            if how:
                _note_once(journal, name, e.AskRepaired(name, how))
            if conversation is not None:
                conversation.answers(body.step, loads(text_for_model(value)))
            return value
        _note_once(journal, name, e.AskRejected(name, wrong))
        if not repairs:
            raise _given_up(body, question, answer, wrong)
        repairs -= 1
        messages.append(Message("assistant", answer.text))
        messages.append(Message("user", dumps({"your_answer_was_refused": wrong})))
    raise TurnsExhausted(
        f"step {body.step!r}: no answer after {question.max_turns} turns",
        why="the model kept calling tools",
        remedy="Raise max_turns=, or give the model less to find out.",
    )


async def _use_tool(
    gateway: Gateway,
    body: Body,
    call: ProposedCall,
    allowed: Sequence[str],
    conversation: Conversation | None,
) -> Message:
    """A refusal or a tool's own no is the model's to deal with; anything else is the step's."""
    try:
        result = await gateway.call(
            body, call.name, text=call.arguments, allowed=allowed, conversation=conversation
        )
    except CallRefused as error:
        # What is said of a call that was never made may repeat the model's own words: nobody's to trust.
        return Message("tool", dumps({"error": error.what, "why": error.why}), call_id=call.id)
    except NotDone as error:
        text = dumps({"error": error.what, "why": error.why})
    else:
        text = text_for_model(result)
    if conversation is not None:
        conversation.hears(call.name, loads(call.arguments or "{}"), loads(text))
    return Message("tool", text, call_id=call.id)


def _learn_private(journal: Journal, question: Question, shape: Shape, answer: ModelAnswer) -> None:
    """Which words of an answer are private is known by its fields; the journal has to know before it keeps
    the answer's text. What does not fit is nobody's field: patterns and detectors look at it all the same."""
    tools = {tool.name: tool for tool in question.tools}
    for call in answer.calls:
        try:
            if tool := tools.get(call.name):
                journal.learn(tool.parameters, tool.parameters.from_text(call.arguments))
        except (CallRefused, ValueError):
            continue
    if not answer.calls and question.output is not str:
        value, wrong, _ = _read(answer, shape, free_text=False)
        if not wrong:
            journal.learn(shape, value)


def _read(answer: ModelAnswer, shape: Shape, free_text: bool) -> tuple[Any, list[str], str]:
    """(value, what is wrong with it, how it was mended)."""
    if answer.finish == "length":
        return None, ["it was cut off because it was too long: answer more briefly"], ""
    if free_text:
        text = answer.text.strip()
        return text, ([] if text else ["it was empty"]), ""
    no_json: list[str] = []
    no_fit: list[str] = []
    for text, how in _candidates(answer.text):
        try:
            parse_strictly(text)
            return shape.load(text), [], how
        except ValidationError as error:
            no_fit = no_fit or lines_of(error)
        except ValueError as error:
            no_json = no_json or [f"it is not JSON: {error}"]
    return None, no_fit or no_json, ""


def _candidates(text: str) -> list[tuple[str, str]]:
    """The answer as it is; then what stands between code fences, or between its outermost brackets."""
    text = text.strip()
    found = [(text, "")]
    if "```" in text:
        inner = text.split("```")[1]
        found.append(
            (inner.partition("\n")[2] if not inner.lstrip().startswith(("{", "[")) else inner, "fences")
        )
    for left, right in ("{}", "[]"):
        start, end = text.find(left), text.rfind(right)
        if 0 <= start < end and (start, end) != (0, len(text) - 1):
            found.append((text[start : end + 1], "text around it"))
    return found


def _given_up(body: Body, question: Question, answer: ModelAnswer, wrong: list[str]) -> Exception:
    if answer.finish == "length":
        return OutputTruncated(
            f"step {body.step!r}: the answer was cut off at {question.max_tokens} tokens",
            why="the answer did not fit max_tokens=, and half an answer is none",
            remedy="Raise max_tokens=, or ask for less.",
        )
    return OutputInvalid(
        f"step {body.step!r}: no answer fitted {getattr(question.output, '__name__', question.output)}",
        why="; ".join(wrong)[:500],
        remedy="See the asks of the step with `surefoot runs show`; make the schema or the prompt simpler.",
    )


def _note_once(journal: Journal, name: str, event: e.AskRejected | e.AskRepaired) -> None:
    """A replayed answer is judged again, and that is nothing new."""
    ask = journal.state.asks[name]
    if not ask.rejected and not ask.repaired:
        journal.note(event)


def _label(prompt: str) -> str:
    """What the journal calls a prompt: its file, or the beginning of its text."""
    if len(prompt) <= 60 and "\n" not in prompt:
        return prompt
    # Before it is cut: half a token looks like none, and would stand in the view.
    return redactor().withhold(prompt[:2000]).split("\n", maxsplit=1)[0][:57] + "..."


@lru_cache(maxsize=256)
def _shape(output: Any) -> Shape:
    return Shape(output, f"the output {output!r} of an ask")
