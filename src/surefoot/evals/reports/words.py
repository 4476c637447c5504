"""What all reports say the same way, and text of unknown origin made harmless."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ..gate import Verdict
from ..results import ScenarioResult, SuiteResult

VERDICTS: tuple[Verdict, ...] = ("red", "inconclusive", "green")
"""In the order in which they are shown: what needs a look first."""

_VISIBLE = {
    **{code: f"\\x{code:02x}" for code in [*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)]},
    # marks that cannot be seen and change how text is read
    **{code: f"\\u{code:04x}" for code in [*range(0x200B, 0x2010), *range(0x2028, 0x202F)]},
    **{code: f"\\u{code:04x}" for code in [*range(0x2060, 0x2070), 0xFEFF, 0xFFFE, 0xFFFF]},
}


def visible(text: str) -> str:
    """Without control characters, marks that turn text around, halves of letters, and what XML cannot hold;
    line feeds and tabs stay. An escape sequence is shown and does nothing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(sign):04x}" if 0xD800 <= ord(sign) <= 0xDFFF else sign for sign in text.translate(_VISIBLE)
    )


def line(text: str, most: int = 0) -> str:
    """In one line, and no longer than this."""
    text = visible(" ".join(text.split()))
    return text if not most or len(text) <= most else text[: most - 1] + "…"


def scrubbed(value: Any, scrub: Callable[[str], str]) -> Any:
    """A result with every text of it passed through `scrub`: before a format's own escapes, behind which a
    secret would not be recognised."""
    match value:
        case str():
            return scrub(value)
        case Mapping():
            return {scrubbed(key, scrub): scrubbed(item, scrub) for key, item in value.items()}
        case list() | tuple():
            return [scrubbed(item, scrub) for item in value]
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {
                field.name: scrubbed(getattr(value, field.name), scrub) for field in dataclasses.fields(value)
            }
            return dataclasses.replace(value, **fields)
        case _:
            return value


def in_order(result: SuiteResult) -> list[ScenarioResult]:
    """What needs a look first."""
    return sorted(result.scenarios, key=lambda one: VERDICTS.index(one.verdict))


def of_the_suite(result: SuiteResult) -> list[str]:
    """Reasons of the verdict that are no single scenario's: what was taken out, controls, a cap."""
    own = {f"{one.id}: {one.why}" for one in result.scenarios if one.verdict != "green"}
    return [reason for reason in result.reasons if reason not in own]


def counted(result: SuiteResult) -> str:
    """Such as `2 red, 68 green`."""
    found = Counter(one.verdict for one in result.scenarios)
    return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if found[verdict]) or "none"


def controls_said(result: SuiteResult) -> str:
    """Empty where none were tried."""
    caught, planted = result.caught
    return f"{caught} of {planted} caught ({caught / planted:.0%})" if planted else ""


def tokens_of(usage: Mapping[str, Any]) -> int:
    return int(usage.get("tokens_in", 0)) + int(usage.get("tokens_out", 0))


def usage_said(usage: Mapping[str, Any]) -> str:
    if not usage:
        return ""
    parts = [f"{tokens_of(usage):,} tokens", f"${float(usage.get('usd', 0)):.6g}"]
    parts += [f"{usage.get('model_calls', 0)} model calls", f"{usage.get('tool_calls', 0)} tool calls"]
    return " · ".join(parts)
