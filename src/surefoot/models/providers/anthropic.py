"""Models behind Anthropic's messages API, through the official SDK.

An answer's schema is enforced natively (`output_config.format`). No cache control is ever sent, so
the input's tokens are billed at the plain price or, where the provider cached by itself, below it.

Options (`ModelSettings.options`): `output`: "json_schema" (default), "none" (the schema stands in the
instructions, and only we check: for models that are too old); `temperature`, sent only where given;
`effort`: "low" to "max", how much a thinking model thinks (its thoughts count as output tokens).
"""

from __future__ import annotations

from typing import Any

from ...core.jsons import dumps, parse_strictly
from ...core.model import (
    Finish,
    Message,
    ModelAnswer,
    ModelRequest,
    ModelSettings,
    ProposedCall,
    Tokens,
)
from . import failures, prompted
from .schemas import MESSAGES, Fitted, fit
from .sdk import SdkModel, clean, count, take_options

OPTIONS: dict[str, tuple[Any, ...] | type] = {
    "output": ("json_schema", "none"),
    "temperature": float,
    "effort": ("low", "medium", "high", "xhigh", "max"),
}

FINISHES: dict[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refused",
}


class AnthropicModel(SdkModel):
    package = "anthropic"
    default_url = "https://api.anthropic.com"
    key_variable = "ANTHROPIC_API_KEY"

    def __init__(self, name: str, model: str, settings: ModelSettings) -> None:
        super().__init__(name, model, settings)
        options = take_options(name, settings.options, OPTIONS)
        self.output: str = options.get("output", "json_schema")
        self.temperature: float | None = options.get("temperature")
        self.effort: str | None = options.get("effort")

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    def body(self, request: ModelRequest) -> dict[str, Any]:
        fitted = self._fitted(request)
        instructions = request.instructions
        if request.output_schema is not None and fitted is None:
            instructions = f"{instructions}\n\n{prompted.told(request.output_schema)}".strip()
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": request.max_tokens,
            "messages": _messages(request.messages),
        }
        if instructions:
            body["system"] = clean(instructions)
        if request.tools:
            body["tools"] = [
                {"name": tool.name, "description": clean(tool.description), "input_schema": tool.input_schema}
                for tool in request.tools
            ]
        config: dict[str, Any] = {}
        if fitted is not None:
            config["format"] = {"type": "json_schema", "schema": fitted.schema}
        if self.effort is not None:
            config["effort"] = self.effort
        if config:
            body["output_config"] = config
        if self.temperature is not None:
            body["temperature"] = self.temperature
        return body

    def _fitted(self, request: ModelRequest) -> Fitted | None:
        if request.output_schema is None or self.output == "none":
            return None
        return fit(request.output_schema, MESSAGES)

    # ── the client ───────────────────────────────────────────────────────────────────────────────

    def connect(self, sdk: Any, key: str, http: Any) -> Any:
        return sdk.AsyncAnthropic(
            api_key=key,
            base_url=self.base_url,
            max_retries=0,
            http_client=http,
        )

    async def post(self, client: Any, body: dict[str, Any], timeout: Any) -> Any:
        # Temperature is no parameter of the SDK's any more, since newer models refuse it.
        more = {key: value for key, value in body.items() if key == "temperature"}
        known = {key: value for key, value in body.items() if key not in more}
        create = client.messages.with_raw_response.create
        raw = await create(**known, extra_body=more or None, timeout=timeout)
        return raw.http_response

    # ── in ───────────────────────────────────────────────────────────────────────────────────────

    def read(self, data: dict[str, Any], request: ModelRequest) -> ModelAnswer:
        content = data.get("content")
        if not isinstance(content, list):
            line, _ = failures.said(data, self.settings.api_key)
            raise failures.unreadable(self.name, line if "error" in data and line else "it holds no content")
        text = "".join(str(block["text"]) for block in content if block["type"] == "text")
        calls = tuple(
            ProposedCall(str(block["id"]), str(block["name"]), dumps(block["input"]))
            for block in content
            if block["type"] == "tool_use"
        )
        usage = _usage(data.get("usage"))
        finish: Finish = FINISHES.get(str(data.get("stop_reason")), "tool_calls" if calls else "stop")
        if finish == "tool_calls" and usage is not None and usage.output >= request.max_tokens:
            finish = "length"
        fitted = self._fitted(request)
        if fitted is not None and finish == "stop":
            text = fitted.unwrap(text)
        return ModelAnswer(text, calls, finish, usage, str(data.get("model") or ""))


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Turns of user and assistant: the answers of tools are blocks of the user's next turn, in front."""
    found: list[dict[str, Any]] = []
    for message in messages:
        role, blocks = _blocks(message)
        if found and found[-1]["role"] == role:
            found[-1]["content"].extend(blocks)
        elif blocks:
            found.append({"role": role, "content": blocks})
    return found


def _blocks(message: Message) -> tuple[str, list[dict[str, Any]]]:
    text = clean(message.text)
    said = [{"type": "text", "text": text}] if text.strip() else []  # an empty block is refused
    match message.role:
        case "tool":
            return "user", [{"type": "tool_result", "tool_use_id": message.call_id, "content": text}]
        case "assistant":
            used = [
                {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call.arguments)}
                for call in message.calls
            ]
            return "assistant", [*said, *used]
        case _:
            return "user", said


def _input(arguments: str) -> dict[str, Any]:
    """Arguments as an object; malformed ones, refused long ago, still have to be shown as something."""
    try:
        value = parse_strictly(arguments or "{}")
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"malformed": clean(arguments)}


def _usage(usage: Any) -> Tokens | None:
    """Anthropic counts what its cache read or wrote apart from `input_tokens`; ours is all of the input."""
    try:
        read = count(usage.get("cache_read_input_tokens") or 0)
        written = count(usage.get("cache_creation_input_tokens") or 0)
        fresh = count(usage["input_tokens"])
        return Tokens(fresh + read + written, count(usage["output_tokens"]), read)
    except (KeyError, ValueError, AttributeError):
        return None
