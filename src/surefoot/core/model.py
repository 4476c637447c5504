"""What a model is, seen from here: a request goes in, an answer with its token counts comes out.

Providers implement `Model`; the road in `surefoot.models.ask` is their only caller. A provider makes
exactly one HTTP attempt per `request`: retries are journaled and paid for above. It raises
`ModelUnavailable` or `ModelRefused` (surefoot.errors), with `charged=False` only where the provider
surely did not bill (refused before work, never sent).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal, Protocol, runtime_checkable

NANO = 1_000_000_000
"""Money is counted in whole nano-dollars (1e-9 USD), so that sums in every store are exact."""

Finish = Literal["stop", "length", "tool_calls", "refused"]


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A tool call as the model wrote it; `arguments` is its raw text, parsed strictly by the gateway."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. A `tool` message answers the proposed call `call_id`."""

    role: Literal["user", "assistant", "tool"]
    text: str
    calls: tuple[ProposedCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    name: str
    description: str
    input_schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One turn. `output_schema` is the JSON Schema that the final answer must fit (None: free text).

    `step` is not sent anywhere; a scripted model finds its turn by it.
    """

    instructions: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    output_name: str = "answer"
    output_schema: dict[str, Any] | None = None
    max_tokens: int = 1024
    timeout: float = 60.0
    step: str = ""

    @property
    def turn(self) -> int:
        """How many answers of the model the conversation already holds."""
        return sum(1 for message in self.messages if message.role == "assistant")


@dataclass(frozen=True, slots=True)
class Tokens:
    """`cached` of the `input` tokens were read from the provider's cache."""

    input: int = 0
    output: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """`usage` is None where the provider did not say: the whole reservation is then held as spent."""

    text: str
    calls: tuple[ProposedCall, ...] = ()
    finish: Finish = "stop"
    usage: Tokens | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a request can cost: tokens in, tokens out, nano-dollars."""

    tokens_in: int
    tokens_out: int
    nanousd: int


@runtime_checkable
class Model(Protocol):
    @property
    def name(self) -> str:
        """`provider:model`, as the workflow lists it."""
        ...

    def bound(self, request: ModelRequest) -> Bound:
        """Worst case of `request`, at the dearest listed price. Raises PriceUnknown."""
        ...

    def price(self, usage: Tokens) -> int:
        """Nano-dollars of an answer with this usage."""
        ...

    async def request(self, request: ModelRequest) -> ModelAnswer: ...

    async def close(self) -> None: ...


def most_tokens(request: ModelRequest) -> int:
    """An upper bound of the input's tokens: no tokenizer makes more tokens than there are UTF-8 bytes.

    The extra per message and per tool covers the markers that chat templates add around them.
    """
    size = _bytes(request.instructions) + 64
    for message in request.messages:
        size += _bytes(message.text) + 32
        for call in message.calls:
            size += _bytes(call.name) + _bytes(call.arguments) + 32
    for tool in request.tools:
        size += _bytes(tool.name) + _bytes(tool.description) + _bytes(str(tool.input_schema)) + 64
    if request.output_schema is not None:
        size += _bytes(str(request.output_schema)) + 64
    return size


def _bytes(text: str) -> int:
    # JSON may hold half a surrogate pair; providers replace it before they send.
    return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Price:
    """Nano-dollars per token; `input_cached` applies to the cached part of the input."""

    input: float
    output: float
    input_cached: float | None = None

    def of(self, usage: Tokens) -> int:
        cached = min(usage.cached, usage.input)
        per_cached = self.input if self.input_cached is None else self.input_cached
        return _sum((usage.input - cached, self.input), (cached, per_cached), (usage.output, self.output))

    def worst(self, tokens_in: int, tokens_out: int) -> int:
        dearest = max(self.input, self.input_cached or 0.0)
        return _sum((tokens_in, dearest), (tokens_out, self.output))


FREE = Price(0.0, 0.0, 0.0)


def _sum(*parts: tuple[int, float]) -> int:
    """Tokens times prices, rounded up to whole nano-dollars. Exact until then: the error of floats could make
    a true cost larger than the worst case that was reserved for it."""
    exact = sum((tokens * Decimal(repr(price)) for tokens, price in parts), Decimal(0))
    return int(exact.to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How a provider is reached; from the deployment's settings, never from the workflow's file."""

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    price: Price | None = None
    options: dict[str, Any] = field(default_factory=dict)
