"""What a request can cost at most is never less than what it costs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.core.model import (
    FREE,
    Message,
    ModelRequest,
    Price,
    ProposedCall,
    Tokens,
    ToolSpec,
    most_tokens,
)

RATES = st.sampled_from([0.0, 0.03, 0.1, 0.7, 1 / 3, 33.3, 150.0, 2500.0]) | st.floats(0, 1e5)
PRICES = st.builds(Price, RATES, RATES, st.none() | RATES)


@settings(max_examples=10 * settings().max_examples)
@given(PRICES, st.integers(0, 10**6), st.integers(0, 10**5), st.data())
def test_no_answer_costs_more_than_was_reserved_for_it(
    price: Price, tokens_in: int, tokens_out: int, data: st.DataObject
) -> None:
    used = data.draw(st.just(tokens_in) | st.integers(0, tokens_in))
    usage = Tokens(used, data.draw(st.integers(0, tokens_out)), data.draw(st.integers(0, used + 5)))
    assert 0 <= price.of(usage) <= price.worst(tokens_in, tokens_out)


@pytest.mark.parametrize(
    ("price", "usage", "nanousd"),
    [
        (Price(0.1, 0.7), Tokens(4760, 20), 490),
        (Price(150, 600), Tokens(10, 2), 2700),
        (Price(150, 600, 15), Tokens(10, 2, 4), 2160),
        (Price(150, 600, 15), Tokens(10, 2, 40), 1350),  # a provider that counts wrong
        (Price(0.1, 0), Tokens(1), 1),
        (FREE, Tokens(10**6, 10**6), 0),
    ],
)
def test_a_cost_is_exact_and_rounded_up(price: Price, usage: Tokens, nanousd: int) -> None:
    assert price.of(usage) == nanousd


TEXT = st.text(max_size=30)


@given(TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3))
def test_a_request_is_bounded_by_more_than_all_its_bytes(
    instructions: str, text: str, arguments: str, others: list[str]
) -> None:
    request = ModelRequest(
        instructions,
        (
            Message("user", text),
            Message("assistant", "", tuple(ProposedCall("1", "t", a) for a in [arguments])),
        ),
        tuple(ToolSpec("t", other, {"type": "object"}) for other in others),
        output_schema={"type": "string"},
    )
    size = sum(
        len(part.encode("utf-8", "surrogatepass")) for part in (instructions, text, arguments, *others)
    )
    assert most_tokens(request) > size
    assert request.turn == 1
