"""What a token costs: the public price list of `genai-prices`, or what the deployment says.

A price that nobody knows is refused, never guessed: a budget over a guess is no budget. The list is
the one inside the installed package; nothing is fetched. Importing it takes 0.2 s, so that happens
when the first listed price is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from ..core.model import FREE, Price, Tokens
from ..errors import PriceUnknown

HOSTED = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
"""Where the listed prices of a provider hold."""

WRITES_ITS_CACHE = frozenset({"openai"})
"""Providers that write their prompt cache unasked, and may charge more for a token written to it."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Prices:
    """`tiers`: prices from that many input tokens on, ascending, the first from 0.

    A tier's price holds for all tokens of the request, as providers bill it.
    """

    tiers: tuple[tuple[int, Price], ...]

    def of(self, usage: Tokens) -> int:
        """Nano-dollars of an answer."""
        chosen = self.tiers[0][1]
        for start, price in self.tiers:
            if usage.input > start:
                chosen = price
        return chosen.of(usage)

    def worst(self, tokens_in: int, tokens_out: int) -> int:
        """The most, in nano-dollars, that an answer within these tokens can cost."""
        return max(
            price.worst(tokens_in, tokens_out)
            for start, price in self.tiers
            if start == 0 or tokens_in > start
        )


def flat(price: Price) -> Prices:
    return Prices(((0, price),))


def prices_of(
    provider: str, model: str, *, base_url: str | None = None, override: Price | None = None
) -> Prices:
    """Raises PriceUnknown. Order: the deployment's own price, free on this machine, the public list."""
    if override is not None:
        return flat(override)
    host = urlsplit(base_url).hostname if base_url else HOSTED.get(provider)
    if host in LOOPBACK:
        return flat(FREE)
    if host != HOSTED.get(provider):
        raise _unknown(provider, model, f"the server {host or base_url!r} has no public price list")
    listed = _listed(provider, model, datetime.now(UTC))
    if listed is None:
        raise _unknown(provider, model, "the installed genai-prices lists no price by tokens for it")
    return listed


def _unknown(provider: str, model: str, why: str) -> PriceUnknown:
    return PriceUnknown(
        f"the price of {provider}:{model} is not known",
        why=why,
        remedy="Write a ceiling price into pyproject.toml, in dollars a million tokens, under "
        f'[tool.surefoot.prices]: "{provider}:{model}" = {{input = 2, output = 10}}. '
        "Or give ModelSettings(price=Price(input=2000, output=10000)) in code, or update genai-prices.",
        provider=provider,
        model=model,
    )


def _listed(provider: str, model: str, now: datetime) -> Prices | None:
    snapshot = import_module("genai_prices.data_snapshot").get_snapshot()
    try:
        found, info = snapshot.find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    if found.id != provider:
        return None
    candidates = list(_in_force(info.prices, now))
    starts = {0}
    for candidate in candidates:
        for kind in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"):
            starts.update(tier.start for tier in getattr(getattr(candidate, kind), "tiers", ()))
    tiers = []
    for start in sorted(starts):
        priced = [_tier(candidate, start, provider) for candidate in candidates]
        if any(price is None for price in priced):
            return None  # billed by something else than tokens: no bound in tokens holds
        tiers.append((start, _dearest([price for price in priced if price is not None])))
    return Prices(tuple(tiers))


def _in_force(prices: Any, now: datetime) -> Iterator[Any]:
    """The price list of today; of one that changes with the hour, each of its prices."""
    if not isinstance(prices, list):
        yield prices
        return
    by_date = [item for item in prices if not hasattr(item.constraint, "start_time")]
    hourly = [item for item in prices if hasattr(item.constraint, "start_time")]
    started = [item for item in by_date if item.constraint is None or item.constraint.active(now)]
    # As the list defines it: the last one in force, or the first where none is.
    yield (started or prices)[-1 if started else 0].prices
    for item in hourly:
        yield item.prices


def _tier(listed: Any, start: int, provider: str) -> Price | None:
    fresh, output = _at(listed.input_mtok, start), _at(listed.output_mtok, start)
    if fresh is None or output is None:
        return None
    if provider in WRITES_ITS_CACHE:
        fresh = max(fresh, _at(listed.cache_write_mtok, start) or 0.0)
    return Price(fresh, output, _at(listed.cache_read_mtok, start))


def _at(value: Any, start: int) -> float | None:
    """Nano-dollars a token, above `start` input tokens; the list says dollars a million tokens."""
    if value is None:
        return None
    if hasattr(value, "tiers"):
        chosen = value.base
        for tier in value.tiers:
            if start >= tier.start:
                chosen = tier.price
        value = chosen
    return float(value * 1000)


def _dearest(prices: list[Price]) -> Price:
    cached = [price.input_cached for price in prices]
    return Price(
        max(price.input for price in prices),
        max(price.output for price in prices),
        None if None in cached else max(price for price in cached if price is not None),
    )
