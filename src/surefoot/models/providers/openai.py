"""Models behind OpenAI's chat completions: OpenAI itself, and every server that speaks its wire format.

Servers differ in what they can do, so what is sent is a matter of options (`ModelSettings.options`):

    output       how an answer's schema is enforced: "json_schema" (default), "json_object" (some JSON;
                 the schema stands in the instructions), "grammar" (llama.cpp built with llguidance),
                 "none" (the schema stands in the instructions, and only we check)
    tools        "native" (default), or "prompt": tools stand in the instructions, and a call is an answer
                 of a certain shape. For servers whose chat template knows no tools: llama.cpp drops them
                 in silence there (ggml-org/llama.cpp #27129), so its servers are asked whether theirs does
    limit        the name of the field for the most tokens: "max_completion_tokens" (default at OpenAI) or
                 "max_tokens" (default elsewhere)
    temperature  sent only where given: reasoning models refuse it
    extra        more fields of the body, for what a server knows beyond what we send
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from ...core.jsons import dumps
from ...core.model import (
    Finish,
    Message,
    ModelAnswer,
    ModelRequest,
    ModelSettings,
    ProposedCall,
    Tokens,
)
from ...errors import DefinitionError, ModelRefused
from . import failures, prompted
from .schemas import GRAMMAR, STRICT, Fitted, Schema, fit
from .sdk import SdkModel, clean, count, take_options

OPTIONS: dict[str, tuple[Any, ...] | type] = {
    "output": ("json_schema", "json_object", "grammar", "none"),
    "tools": ("native", "prompt"),
    "limit": ("max_completion_tokens", "max_tokens"),
    "temperature": float,
    "extra": dict,
}

OURS = frozenset(
    {"model", "messages", "tools", "response_format", "temperature", "max_tokens", "max_completion_tokens"}
)
COSTLY = frozenset({"n", "best_of", "stream", "service_tier", "speed", "web_search_options", "modalities"})
"""Fields that would make an answer dearer than its bound, or another thing than an answer."""

FINISHES: dict[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "refused",
}


class OpenAIModel(SdkModel):
    package = "openai"
    default_url = "https://api.openai.com/v1"
    key_variable = "OPENAI_API_KEY"

    def __init__(self, name: str, model: str, settings: ModelSettings) -> None:
        super().__init__(name, model, settings)
        options = take_options(name, settings.options, OPTIONS)
        hosted = self.base_url.startswith("https://api.openai.com/")
        self.output: str = options.get("output", "json_schema")
        self.shows_shape = True
        self._tools_arrive = False
        self.prompts_tools: bool = options.get("tools", "native") == "prompt"
        self.limit: str = options.get("limit", "max_completion_tokens" if hosted else "max_tokens")
        self.temperature: float | None = options.get("temperature")
        self.extra: dict[str, Any] = options.get("extra", {})
        if wrong := sorted(self.extra.keys() & (OURS | COSTLY)):
            raise DefinitionError(
                f"{name}: option 'extra' may not set {', '.join(wrong)}",
                why="it is for fields that Surefoot does not know",
                remedy="What we send ourselves, and what changes an answer's price, cannot be set there.",
            )

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    def body(self, request: ModelRequest) -> dict[str, Any]:
        sent = self._sent(request)
        instructions, enforced = self._enforced(sent, told=sent is not request and bool(request.tools))
        body = {
            **self.extra,
            "model": self.model,
            "messages": [
                *([{"role": "system", "content": clean(instructions)}] if instructions else []),
                *(_message(message) for message in sent.messages),
            ],
            self.limit: request.max_tokens,
            **enforced,
        }
        if sent.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": t.name,
                        "description": clean(t.description),
                        "parameters": t.input_schema,
                    },
                }
                for t in sent.tools
            ]
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return body

    def _sent(self, request: ModelRequest) -> ModelRequest:
        """The request with its tools in words, where the server cannot take them."""
        if not self.prompts_tools:
            return request
        return prompted.with_tools_in_words(request)

    def _fitted(self, sent: ModelRequest) -> Fitted | None:
        if sent.output_schema is None or self.output in ("json_object", "none"):
            return None
        if self.output == "grammar":
            return fit(sent.output_schema, GRAMMAR, room=2 * sent.max_tokens)
        return fit(sent.output_schema, STRICT)

    def _enforced(self, sent: ModelRequest, *, told: bool) -> tuple[str, dict[str, Any]]:
        """The instructions, and the fields of the body that hold an answer to its schema.

        `told`: the instructions say already what an answer looks like.
        """
        schema, instructions = sent.output_schema, sent.instructions
        if schema is None:
            return instructions, {}
        fitted = self._fitted(sent)
        match self.output:
            case "grammar":
                shown = prompted.shape(schema) if self.shows_shape and not told else ""
                grammar = _llguidance(fitted.schema if fitted else {"type": "object"})
                return _with(instructions, shown), {"grammar": grammar}
            case "json_schema" if fitted is not None:
                return instructions, _response_format(sent.output_name, fitted.schema, strict=True)
            case "json_schema" if schema.get("type") == "object":
                return instructions, _response_format(sent.output_name, schema, strict=False)
            case "json_object":
                return _with(instructions, prompted.told(schema)), {
                    "response_format": {"type": "json_object"}
                }
            case _:
                return _with(instructions, prompted.told(schema)), {}

    # ── the client ───────────────────────────────────────────────────────────────────────────────

    def connect(self, sdk: Any, key: str, http: Any) -> Any:
        return sdk.AsyncOpenAI(
            api_key=key,
            base_url=self.base_url,
            max_retries=0,
            http_client=http,
        )

    async def post(self, client: Any, body: dict[str, Any], timeout: Any) -> Any:
        known = {key: value for key, value in body.items() if key in OURS}
        more = {key: value for key, value in body.items() if key not in OURS}
        raw = await client.chat.completions.with_raw_response.create(
            **known, extra_body=more or None, timeout=timeout
        )
        response = raw.http_response
        if "tools" in body and not self._tools_arrive and response.headers.get("server") == "llama.cpp":
            await self._check_template(client)
        self._tools_arrive = self._tools_arrive or "tools" in body
        return response

    async def _check_template(self, client: Any) -> None:
        """Raises ModelRefused where a llama.cpp server says that its template knows no tools."""
        where = urlsplit(self.base_url)._replace(path="/props", query="").geturl()
        try:
            properties = await client.get(where, cast_to=object, options={"timeout": 5.0})
        except Exception:  # noqa: BLE001  an older server that does not tell: the answer stands
            return
        capable = properties.get("chat_template_caps", {}) if isinstance(properties, dict) else {}
        if capable.get("supports_tools") is False:
            raise ModelRefused(
                f"{self.name}: this server drops tools in silence",
                why="its model's chat template knows none (llama.cpp's /props says so)",
                remedy="Set the provider's option tools to 'prompt': they are then told in words.",
                charged=True,
            )

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    def read(self, data: dict[str, Any], request: ModelRequest) -> ModelAnswer:
        choices = data.get("choices")
        if not isinstance(choices, list) or not choices:
            line, _ = failures.said(data, self.settings.api_key)
            raise failures.unreadable(self.name, line if "error" in data and line else "it holds no choices")
        choice = choices[0]
        message = choice["message"]
        usage = _usage(data.get("usage"))
        calls = tuple(_call(item) for item in message.get("tool_calls") or ())
        text = _text(message.get("content"))
        finish: Finish = FINISHES.get(str(choice.get("finish_reason")), "stop")
        if isinstance(refusal := message.get("refusal"), str) and refusal:
            finish, text = "refused", refusal
        elif calls and finish == "stop":
            finish = "tool_calls"
        if finish == "tool_calls" and usage is not None and usage.output >= request.max_tokens:
            finish = "length"  # some servers say "tool_calls" of a call that the limit cut off
        sent = self._sent(request)
        fitted = self._fitted(sent)
        if fitted is not None and not calls and finish == "stop":
            text = fitted.unwrap(text)
        answer = ModelAnswer(text, calls, finish, usage, str(data.get("model") or ""))
        return prompted.read(answer, request) if self.prompts_tools else answer


def _with(instructions: str, more: str) -> str:
    return "\n\n".join(part for part in (instructions, more) if part)


def _message(message: Message) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.call_id, "content": clean(message.text)}
        case "assistant" if message.calls:
            calls = [
                {
                    "id": c.id,
                    "type": "function",
                    "function": {"name": c.name, "arguments": clean(c.arguments)},
                }
                for c in message.calls
            ]
            return {"role": "assistant", "content": clean(message.text) or None, "tool_calls": calls}
        case role:
            return {"role": role, "content": clean(message.text)}


def _response_format(name: str, schema: Schema, *, strict: bool) -> dict[str, Any]:
    named = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "answer"
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": named, "schema": schema, "strict": strict},
        }
    }


def _llguidance(schema: Schema) -> str:
    """A grammar for JSON without blanks: with them a small model spends half its tokens on indentation."""
    return "%llguidance {}\nstart: %json " + dumps({**schema, "x-guidance": {"whitespace_flexible": False}})


def _call(item: dict[str, Any]) -> ProposedCall:
    function = item["function"]
    arguments = function.get("arguments") or ""
    # Some servers write the arguments as an object instead of its text.
    text = arguments if isinstance(arguments, str) else dumps(arguments)
    return ProposedCall(str(item.get("id") or ""), str(function["name"]), text)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(
            part["text"] for part in content if isinstance(part, dict) and part.get("type") == "text"
        )
    return content if isinstance(content, str) else ""


def _usage(usage: Any) -> Tokens | None:
    """None where a server does not say, or not in numbers: the reservation is then held as spent."""
    try:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        return Tokens(count(usage["prompt_tokens"]), count(usage["completion_tokens"]), count(cached))
    except (KeyError, ValueError, AttributeError):
        return None
