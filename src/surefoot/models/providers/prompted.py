"""Tools and schemas in words, for servers that take neither natively.

llama.cpp drops `tools` in silence where a model's chat template does not know them, and enforces no
`tool_choice`: the request succeeds and the model never saw a tool. So the tools stand in the
instructions, a call is an answer of the shape `{"tool": ..., "arguments": {...}}`, the final answer
`{"answer": ...}`, and where the server can enforce a schema it is held to exactly these shapes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...core.jsons import dumps, loads, parse_strictly
from ...core.model import Message, ModelAnswer, ModelRequest, ProposedCall
from .schemas import Schema, one_of

TEXT: Schema = {"type": "string"}


def with_tools_in_words(request: ModelRequest) -> ModelRequest:
    """The same turn without tools and without `tool` messages; its answer is read by `read`."""
    messages = tuple(_in_words(request.messages))
    if not request.tools:
        return replace(request, messages=messages)
    final = request.output_schema or TEXT
    choices = [_choice({"tool": {"const": t.name}}, "arguments", t.input_schema) for t in request.tools]
    choices.append(_choice({}, "answer", final))
    lines = [request.instructions, "You can use these tools:"]
    lines += [f"- {tool.name}: {' '.join(tool.description.split())}" for tool in request.tools]
    lines.append("Reply with JSON only: use a tool, or answer when you know enough.")
    lines += [shape(choice, lead="") for choice in choices]
    return replace(
        request,
        instructions="\n".join(line for line in lines if line),
        messages=messages,
        tools=(),
        output_schema=one_of(choices),
    )


def read(answer: ModelAnswer, request: ModelRequest) -> ModelAnswer:
    """An answer to `with_tools_in_words(request)` as a call or as the answer's own text.

    Text of any other shape stays as it is, for the road to refuse. The text of arguments and answer is
    the model's own, cut out and not written anew: what a number looked like is kept.
    """
    text = answer.text.strip()
    if answer.finish not in ("stop", "tool_calls") or not request.tools:
        return answer
    try:
        value = parse_strictly(text)
    except ValueError:
        return answer
    if not isinstance(value, dict):
        return answer
    if set(value) == {"tool", "arguments"} and isinstance(value["tool"], str):
        if (arguments := _last_member(text, "arguments")) is None:
            return answer
        call = ProposedCall(f"call_{request.turn}", value["tool"], arguments)
        return replace(answer, text="", calls=(call,), finish="tool_calls")
    if set(value) == {"answer"}:
        own = value["answer"] if request.output_schema is None else _last_member(text, "answer")
        return replace(answer, text=own if isinstance(own, str) else dumps(own), finish="stop")
    return answer


def told(schema: Schema) -> str:
    return f"Answer with JSON that fits this JSON Schema, and with nothing else:\n{dumps(schema)}"


def shape(schema: Schema, *, lead: str = "Reply with JSON: ") -> str:
    """A schema in a few words, for a small model: {"intent": "refund" or "other", "number": text or null}."""
    return lead + _shape(schema, schema.get("$defs", {}), depth=0)


def _shape(node: Any, definitions: Schema, depth: int) -> str:
    if not isinstance(node, dict) or depth > 4:
        return "any"
    if isinstance(name := node.get("$ref"), str):
        return _shape(definitions.get(name.removeprefix("#/$defs/")), definitions, depth + 1)
    if "const" in node:
        return dumps(node["const"])
    if "enum" in node:
        return " or ".join(dumps(value) for value in node["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            return " or ".join(dict.fromkeys(_shape(choice, definitions, depth) for choice in node[key]))
    match node.get("type"):
        case "object" if node.get("properties"):
            members = (
                f'"{name}": {_shape(v, definitions, depth + 1)}' for name, v in node["properties"].items()
            )
            return "{" + ", ".join(members) + "}"
        case "object":
            return "{}"
        case "array":
            return f"[{_shape(node.get('items'), definitions, depth + 1)}, ...]"
        case "string":
            return str(node.get("format", "text"))
        case "integer" | "number":
            return "number"
        case "boolean":
            return "true or false"
        case "null":
            return "null"
        case list() as kinds:
            return " or ".join(_shape({**node, "type": kind}, definitions, depth) for kind in kinds)
        case _:
            return "any"


def _choice(head: dict[str, Schema], name: str, schema: Schema) -> Schema:
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    members = {**head, name: inner}
    whole: Schema = {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }
    return {**whole, "$defs": schema["$defs"]} if "$defs" in schema else whole


def _in_words(messages: tuple[Message, ...]) -> list[Message]:
    """Roles that every template knows, in turn: what tools answered is said by the user."""
    names = {call.id: call.name for message in messages for call in message.calls}
    found: list[Message] = []
    for message in messages:
        role, text = message.role, plain(message.text)
        if message.role == "tool":
            role, text = "user", f"{names.get(message.call_id or '', 'The tool')} answered: {text}"
        for call in message.calls:
            written = f'{{"tool":{dumps(call.name)},"arguments":{plain(call.arguments) or "{}"}}}'
            text = f"{text}\n{written}" if text else written
        if found and found[-1].role == role:
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n\n{text}")
        else:
            found.append(Message(role, text))
    return found


def plain(text: str) -> str:
    """Text that cannot end its own message: a chat template's markers look like <|im_end|>, and a server
    that pastes messages into its template reads such a mark in a customer's letter as its own."""
    return text.replace("<|", "< |")


def _last_member(text: str, name: str) -> str | None:
    """The text of an object's last member, where that one is `name`. `text` is known to be valid JSON."""
    match = re.match(rf'\{{\s*(?:"tool"\s*:\s*"(?:[^"\\]|\\.)*"\s*,\s*)?"{name}"\s*:\s*', text)
    if match is None:
        return None
    inner = text[match.end() : -1].rstrip()
    try:
        loads(inner)
    except ValueError:
        return None
    return inner
