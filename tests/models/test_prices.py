"""What a token costs, and that nobody guesses it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal

import pytest
from genai_prices import types as listed
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.model import FREE, Price, Tokens
from surefoot.errors import PriceUnknown
from surefoot.models import prices
from surefoot.models.prices import Prices, flat, prices_of


def test_a_listed_model_has_its_listed_price() -> None:
    assert prices_of("openai", "gpt-4o-mini") == flat(Price(150.0, 600.0, 75.0))
    assert prices_of("openai", "gpt-4o-mini", base_url="https://api.openai.com/v1") == prices_of(
        "openai", "gpt-4o-mini"
    )


@pytest.mark.parametrize(
    ("provider", "model", "url"),
    [
        ("openai", "gpt-unheard-of", None),
        ("anthropic", "claude-unheard-of", None),
        ("openai", "claude-sonnet-4-5", None),
        ("openai", "tts-1", None),  # billed by characters: no bound in tokens holds
        ("openai", "gpt-4o-mini", "https://gateway.example/v1"),
        ("openai", "gpt-4o-mini", "https://api.openai.com.example/v1"),
        ("anthropic", "claude-sonnet-4-5", "https://gateway.example"),
    ],
)
def test_an_unknown_price_is_refused_with_the_way_to_give_one(
    provider: str, model: str, url: str | None
) -> None:
    with pytest.raises(PriceUnknown) as caught:
        prices_of(provider, model, base_url=url)
    assert "ModelSettings(price=" in caught.value.remedy


@pytest.mark.parametrize("host", ["localhost:11434", "127.0.0.1:8000", "[::1]:8000"])
def test_a_server_on_this_machine_is_free(host: str) -> None:
    assert prices_of("openai", "llama", base_url=f"http://{host}/v1") == flat(FREE)


def test_the_deployments_own_price_comes_first() -> None:
    own = Price(7.0, 9.0)
    for url in (None, "http://localhost:1/v1", "https://gateway.example/v1"):
        assert prices_of("openai", "gpt-4o-mini", base_url=url, override=own) == flat(own)


def test_a_tier_holds_for_the_whole_request_and_the_bound_takes_the_dearest_within_reach() -> None:
    tiered = Prices(((0, Price(100.0, 500.0, 10.0)), (1000, Price(500.0, 2500.0, 50.0))))
    assert tiered.of(Tokens(1000, 10)) == 1000 * 100 + 10 * 500
    assert tiered.of(Tokens(1001, 10)) == 1001 * 500 + 10 * 2500
    assert tiered.worst(1000, 10) == 1000 * 100 + 10 * 500
    assert tiered.worst(1001, 10) == 1001 * 500 + 10 * 2500


@given(
    st.integers(0, 3000), st.integers(0, 500), st.integers(0, 3000), st.integers(0, 200), st.integers(0, 200)
)
def test_no_answer_within_its_bound_costs_more_than_the_bound(
    tokens_in: int, tokens_out: int, cached: int, less_in: int, less_out: int
) -> None:
    tiered = Prices(
        ((0, Price(150.5, 600.0, 75.0)), (700, Price(99.0, 900.0)), (2000, Price(300.0, 1.0, 400.0)))
    )
    used = Tokens(max(tokens_in - less_in, 0), max(tokens_out - less_out, 0))
    used = Tokens(used.input, used.output, min(cached, used.input))
    assert tiered.of(used) <= tiered.worst(tokens_in, tokens_out)


def per_million(dollars: str, **more: str) -> listed.ModelPrice:
    return listed.ModelPrice(
        input_mtok=Decimal(dollars),
        output_mtok=Decimal(dollars) * 4,
        **{k: Decimal(v) for k, v in more.items()},
    )


def listing(monkeypatch: pytest.MonkeyPatch, provider: str, model_prices: object) -> None:
    from genai_prices import data_snapshot

    info = listed.ModelInfo(id="m", match=listed.ClauseEquals(equals="m"), prices=model_prices)  # type: ignore[arg-type]
    snapshot = data_snapshot.DataSnapshot(
        providers=[listed.Provider(id=provider, name=provider, api_pattern="x", models=[info])],
        from_auto_update=False,
    )
    monkeypatch.setattr(data_snapshot, "get_snapshot", lambda: snapshot)


NOW = datetime(2031, 4, 5, 12, tzinfo=UTC)


def test_of_prices_by_date_todays_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [
        listed.ConditionalPrice(prices=per_million("9")),
        listed.ConditionalPrice(listed.StartDateConstraint(NOW.date()), prices=per_million("2")),
        listed.ConditionalPrice(
            listed.StartDateConstraint(NOW.date().replace(year=2032)), prices=per_million("1")
        ),
    ]
    listing(monkeypatch, "openai", changes)
    assert prices._listed("openai", "m", NOW) == flat(Price(2000.0, 8000.0))


def test_of_prices_by_the_hour_the_dearest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    night = listed.TimeOfDateConstraint(time(0, tzinfo=UTC), time(6, tzinfo=UTC))
    changes = [
        listed.ConditionalPrice(prices=per_million("1")),
        listed.ConditionalPrice(night, prices=per_million("3")),
    ]
    listing(monkeypatch, "openai", changes)
    assert prices._listed("openai", "m", NOW) == flat(Price(3000.0, 12000.0))


def test_where_a_provider_writes_its_cache_unasked_the_input_may_cost_a_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listing(monkeypatch, "openai", per_million("2", cache_write_mtok="2.5", cache_read_mtok="0.2"))
    assert prices._listed("openai", "m", NOW) == flat(Price(2500.0, 8000.0, 200.0))
    listing(monkeypatch, "anthropic", per_million("2", cache_write_mtok="2.5", cache_read_mtok="0.2"))
    assert prices._listed("anthropic", "m", NOW) == flat(Price(2000.0, 8000.0, 200.0))


def test_every_listed_price_is_one_that_we_can_read() -> None:
    from genai_prices.data_snapshot import get_snapshot

    read = 0
    for provider in get_snapshot().providers:
        if provider.id in prices.HOSTED:
            for model in provider.models:
                found = prices._listed(provider.id, model.id, NOW)
                if found is not None:
                    read += 1
                    assert found.tiers[0][0] == 0
                    assert found.worst(1000, 1000) >= found.of(Tokens(1000, 1000)) >= 0
    assert read > 50
