"""Anthropic's messages, as far as we use them."""

from __future__ import annotations

import json
from typing import Any

from .refusals import STRUCTURE, check_strict, example, need

KEYWORDS = (STRUCTURE | {"minItems"}) - {"maxItems"}
KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def check(headers: dict[str, str], body: dict[str, Any], key: str) -> None:
    # Older clients send the key as x-api-key, newer ones as a bearer.
    known = headers.get("x-api-key") == key or headers.get("authorization") == f"Bearer {key}"
    need(known, "invalid x-api-key", status=401)
    need("anthropic-version" in headers, "anthropic-version: header is required")
    need(isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0, "max_tokens: field required")
    expected, open_calls = "user", set[str]()
    for message in body["messages"]:
        need(message["role"] == expected, "roles must alternate")
        expected = "assistant" if expected == "user" else "user"
        answered = {block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"}
        need(answered == open_calls, "every tool_use needs its tool_result in the next message")
        open_calls = {block["id"] for block in message["content"] if block["type"] == "tool_use"}
        for block in message["content"]:
            need(block["type"] != "text" or block["text"].strip(), "text content blocks must be non-empty")
            need(block["type"] != "tool_use" or isinstance(block["input"], dict), "input must be an object")
    wanted = body.get("output_config", {}).get("format")
    if wanted:
        check_strict(wanted["schema"], all_required=False, keywords=KEYWORDS)


def answer(body: dict[str, Any], scenario: str) -> bytes:
    content: list[dict[str, Any]] = [{"type": "text", "text": _text(body)}]
    finish, used = "end_turn", 9
    answers_a_tool = any(block["type"] == "tool_result" for block in body["messages"][-1]["content"])
    match scenario:
        case "tools" | "cut-call" if body.get("tools") and not answers_a_tool:
            tool = body["tools"][0]
            given = example(tool["input_schema"])
            content = [
                {"type": "text", "text": "I will look."},
                {"type": "tool_use", "id": "toolu_7", "name": tool["name"], "input": given},
            ]
            finish = "tool_use"
            if scenario == "cut-call":
                used = body["max_tokens"]
        case "length":
            content, finish, used = (
                [{"type": "text", "text": content[0]["text"][:4]}],
                "max_tokens",
                body["max_tokens"],
            )
        case "bad-json":
            content = [{"type": "text", "text": '{"intent": refund'}]
        case "refused" | "filtered":
            content, finish = [], "refusal"
        case "parts":
            content = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, *content]
        case _:
            pass
    data: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{body['model']}-20310405",
        "content": content,
        "stop_reason": finish,
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(json.dumps(body["messages"])) // 4 - 3,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "output_tokens": used,
        },
    }
    match scenario:
        case "no-usage":
            del data["usage"]
        case "odd-usage":
            data["usage"] = {"input_tokens": None, "output_tokens": -1}
        case "no-message":
            data["content"] = [{"type": "tool_use"}]
        case _:
            pass
    return json.dumps(data).encode()


def error(status: int, text: str, code: str | None = None) -> bytes:
    kind = code or KINDS.get(status, "overloaded_error" if status == 529 else "invalid_request_error")
    return json.dumps({"type": "error", "error": {"type": kind, "message": text}}).encode()


def _text(body: dict[str, Any]) -> str:
    wanted = body.get("output_config", {}).get("format")
    if wanted:
        return json.dumps(example(wanted["schema"]))
    if "fits this JSON Schema" in body.get("system", ""):
        return json.dumps(example(json.loads(body["system"].rsplit("\n", 1)[1])))
    return "It is on its way."
