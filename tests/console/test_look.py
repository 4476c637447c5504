"""The look, as far as it can be computed: contrast of the palette, and files that keep to the pages' policy."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser

import pytest

from surefoot.console.pages import HERE

CSS = (HERE / "static" / "app.css").read_text("utf-8")
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""Of htmx.org 2.0.11, dist/htmx.min.js, as the npm registry has it."""

TEXT, SHAPE = 4.5, 3.0
"""The least contrast of WCAG 2.2, level AA, of text and of what is no text."""

PALETTE = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", CSS)
}
PAIRS = [
    *[("ink", under, TEXT) for under in ("paper", "sheet", "sunk", "info-bg")],
    *[("soft", under, TEXT) for under in ("paper", "sheet", "sunk", "info-bg")],
    *[("link", under, TEXT) for under in ("paper", "sheet", "sunk", "info-bg")],
    *[(tone, f"{tone}-bg", TEXT) for tone in ("good", "warn", "bad", "info")],
    *[
        (tone, under, TEXT)
        for tone in ("good", "warn", "bad", "info")
        for under in ("paper", "sheet", "info-bg")
    ],
    ("ink", "bad-bg", TEXT),
    ("soft", "bad-bg", TEXT),
    *[("rail-ink", under, TEXT) for under in ("rail", "rail-on")],
    *[("rail-soft", under, TEXT) for under in ("rail", "rail-on")],
    ("on-accent", "accent", TEXT),
    ("gold", "rail", SHAPE),
    *[("edge", under, SHAPE) for under in ("paper", "sheet")],
    *[("focus", under, SHAPE) for under in ("paper", "sheet", "sunk")],
    *[("pattern", f"k-{kind}", SHAPE) for kind in ("queue", "people", "timer")],
    *[(f"k-{kind}", "sheet", SHAPE) for kind in ("model", "tool")],
    ("accent", "sheet", SHAPE),
]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("over", "under", "least"), PAIRS, ids=str)
def test_what_is_read_stands_out_from_what_it_stands_on_in_light_and_in_dark(
    over: str, under: str, least: float
) -> None:
    for look in (0, 1):
        assert contrast(PALETTE[over][look], PALETTE[under][look]) >= least, ("light", "dark")[look]


def test_every_colour_is_one_of_the_palette_so_that_it_has_a_light_and_a_dark_value() -> None:
    rules = CSS[CSS.index("*, *::before") :]
    stray = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", re.sub(r"#[a-z]+[-\w]*(?=[ ,{.)])", "", rules)))
    assert stray == {"#1b231f"}  # on gold, which is the same in both


def test_htmx_is_the_released_one_and_its_licence_lies_beside_it() -> None:
    assert hashlib.sha256((HERE / "static" / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (HERE / "static" / "htmx-LICENSE.txt").read_text("utf-8")


class Attributes(HTMLParser):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, _ in attrs:
            assert name != "style", tag
            assert not name.startswith(("on", "hx-on")), (tag, name)
        assert tag != "style"
        if tag == "script":
            assert dict(attrs)["src"]


def test_no_template_has_a_style_a_handler_or_a_script_of_its_own() -> None:
    for path in (HERE / "templates").iterdir():
        text = path.read_text("utf-8")
        Attributes().feed(re.sub(r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "x", text, flags=re.DOTALL))
        assert "|safe" not in text.replace(" ", "")
        assert "autoescape" not in text


def test_whoever_wants_little_motion_and_whoever_uses_the_keyboard_is_thought_of() -> None:
    assert "prefers-reduced-motion" in CSS
    assert ":focus-visible" in CSS
    assert "outline: none" not in re.sub(r"main:focus \{ outline: none; \}", "", CSS)
