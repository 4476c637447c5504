"""OpenAI's chat completions, as far as we use them."""

from __future__ import annotations

import json
from typing import Any

from .refusals import STRUCTURE, check_strict, example, need

NUMBERS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
KEYWORDS = STRUCTURE | NUMBERS | {"pattern", "minItems", "maxItems"}


def check(headers: dict[str, str], body: dict[str, Any], key: str) -> None:
    need(headers.get("authorization") == f"Bearer {key}", "Incorrect API key provided.", status=401)
    limits = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
    need(len(limits) == 1 and isinstance(limits[0], int) and limits[0] > 0, "one limit of tokens is needed")
    open_calls: set[str] = set()
    for message in body["messages"]:
        role = message["role"]
        need(role in ("system", "user", "assistant", "tool"), f"no such role: {role}")
        if role == "tool":
            need(message["tool_call_id"] in open_calls, "a tool message must answer a call before it")
            open_calls.discard(message["tool_call_id"])
        else:
            need(not open_calls, "every call must be answered")
            open_calls = {call["id"] for call in message.get("tool_calls", ())}
        need(isinstance(message.get("content"), str) or message.get("tool_calls"), "content is needed")
    wanted = body.get("response_format", {})
    if wanted.get("type") == "json_schema":
        described = wanted["json_schema"]
        need(described["name"].replace("_", "").replace("-", "").isalnum(), "invalid name of a schema")
        if described["strict"]:
            check_strict(described["schema"], all_required=True, keywords=KEYWORDS)


def answer(body: dict[str, Any], scenario: str) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": _text(body), "refusal": None}
    finish = "stop"
    limit = body.get("max_tokens", body.get("max_completion_tokens"))
    used = 9
    match scenario:
        case "tools" | "cut-call" if body.get("tools") and body["messages"][-1]["role"] != "tool":
            function = body["tools"][0]["function"]
            arguments = json.dumps(example(function["parameters"]))
            call = {
                "id": "call_7",
                "type": "function",
                "function": {"name": function["name"], "arguments": arguments},
            }
            message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
            if scenario == "cut-call":
                call["function"]["arguments"] = arguments[:-3]
                used = limit
        case _ if scenario.startswith("say:"):  # this very answer
            message["content"] = scenario[4:]
        case _ if scenario.startswith("call:"):  # this very call: call:NAME {"its": "arguments"}
            name, _, arguments = scenario[5:].partition(" ")
            call = {"id": "call_8", "type": "function", "function": {"name": name, "arguments": arguments}}
            message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        case "length":
            message["content"], finish, used = message["content"][:4], "length", limit
        case "bad-json":
            message["content"] = '{"intent": refund'
        case "refused":
            message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
        case "filtered":
            message["content"], finish = "", "content_filter"
        case "parts":
            message["content"] = [{"type": "text", "text": message["content"]}]
        case _:
            pass
    usage = {
        "prompt_tokens": len(json.dumps(body["messages"])) // 4,
        "completion_tokens": used,
        "prompt_tokens_details": {"cached_tokens": 3},
    }
    data = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": f"{body['model']}-2031-04-05",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }
    match scenario:
        case "no-usage":
            del data["usage"]
        case "odd-usage":
            data["usage"] = {"prompt_tokens": "many", "completion_tokens": -1}
        case "no-message":
            data["choices"] = [{"index": 0}]
        case _:
            pass
    return json.dumps(data).encode()


def error(status: int, text: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": text, "type": "invalid_request_error", "code": code}}).encode()


def _text(body: dict[str, Any]) -> str:
    wanted = body.get("response_format", {})
    if wanted.get("type") == "json_schema":
        return json.dumps(example(wanted["json_schema"]["schema"]))
    if wanted.get("type") == "json_object" or "fits this JSON Schema" in body["messages"][0]["content"]:
        schema = json.loads(body["messages"][0]["content"].rsplit("\n", 1)[1])
        return json.dumps(example(schema))
    return "It is on its way."
