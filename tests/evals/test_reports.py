"""Reports say what the result says, are never greener, and whatever stands in them steers nobody's screen."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from surefoot.evals.reports import to_json
from surefoot.evals.reports.junit import SUITE, to_junit
from surefoot.evals.reports.markdown import ROWS, code, to_markdown
from surefoot.evals.reports.page import to_html
from surefoot.evals.reports.words import scrubbed, visible
from surefoot.evals.results import Control, Failure, ScenarioResult, SuiteResult, Trial
from surefoot.models.recordings import Miss

USAGE = {"usd": 0.01, "tokens_in": 100, "tokens_out": 20, "model_calls": 2, "tool_calls": 1, "seconds": 0.5}
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "\x1b[2J\x1b]0;owned\x07 \x9b31m",
    "a\x00b\x08c\ufffe\ud800",
    "]]> <![CDATA[ x ]]>",
    "| a | b |\n|---|---|\n| c | d |",
    "![x](http://evil/x.png) [y](javascript:alert(1)) <http://evil> www.evil.example @everyone #1",
    "`` ` ``` `",
    "\\| \\` \\",
    "# heading\n\n- list\n\n> quote\n\n```\nfence",
    "&lt;b&gt; &#60;",
    "\u202eright to left\u2066 \u200b hidden",
    " ",
    "x" * 100_000,
]


def trial(name: str, outcome: Any = "pass", **more: Any) -> Trial:
    given: dict[str, Any] = {"usage": USAGE, "calls": ["pay({})"], "digest": "d", "trace": ['{"event":"x"}']}
    return Trial(name, outcome, **(given | more))


def scenario(name: str, verdict: Any = "green", why: str = "", **more: Any) -> ScenarioResult:
    given: dict[str, Any] = {
        "tags": ["t"],
        "must": False,
        "trials": [trial(name)],
        "baseline": {"calls": ["pay({})"], "tokens": 120, "usd": 0.01},
    }
    return ScenarioResult(name, verdict=verdict, why=why, **(given | more))


def suite(*scenarios: ScenarioResult, verdict: Any = "green", **more: Any) -> SuiteResult:
    reasons = [f"{one.id}: {one.why}" for one in scenarios if one.verdict == verdict != "green"]
    given: dict[str, Any] = {"reasons": reasons, "usd": 0.02, "took": 1.25}
    return SuiteResult("till", "1", "replay", verdict, scenarios=scenarios, **(given | more))


def failing(text: str) -> ScenarioResult:
    failure = Failure("said", text, text, text)
    miss = Miss("read", {}, text, text, "prompt", text, text)
    broken = trial("bad", "fail", failures=[failure], misses=[miss], problem=text, calls=[text], trace=[text])
    return scenario("bad", "red", str(failure), trials=[broken], tags=[text])


def hostile(text: str) -> SuiteResult:
    controls = [Control("dropped", "bad", text, caught=False), Control("doubled", "bad", "x", caught=True)]
    result = suite(
        failing(text), scenario("good"), verdict="red", controls=controls, notes=[text], resume=text
    )
    return replace(result, workflow=text, version=text, reasons=[*result.reasons, text])


MIXED = suite(
    failing("hello"),
    scenario("drifted", "inconclusive", "step read: prompt drift", drift="prompt"),
    scenario("good"),
    scenario("more", trials=[trial("more", calls=["pay({})", "mail({})"], usage=USAGE | {"tokens_out": 80})]),
    verdict="red",
)

# ── each says what is so ─────────────────────────────────────────────────────────────────────────


def test_json_keeps_the_fields_that_others_rely_on() -> None:
    found = to_json(replace(MIXED, controls=[Control("dropped", "bad", "x", caught=True)]))
    assert (found["verdict"], found["negative_controls"]["caught"]) == ("red", 1)
    assert [one["id"] for one in found["scenarios"]] == ["bad", "drifted", "good", "more"]


def test_junit_has_a_case_for_each_scenario_and_inconclusive_is_an_error() -> None:
    root = ElementTree.fromstring(to_junit(MIXED))
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    assert [case.get("name") for case in root.iter("testcase")] == ["bad", "drifted", "good", "more"]
    error = root.find(".//error")
    assert error is not None
    assert (error.get("type"), error.get("message")) == ("inconclusive", "step read: prompt drift")


@pytest.mark.parametrize(
    ("verdict", "reasons", "kind"),
    [
        ("red", ["large: it was removed"], "failure"),
        ("red", ["good: a model that does nothing passes it"], "failure"),
        ("inconclusive", ["the cap was reached"], "error"),
        ("inconclusive", [], "error"),
    ],
)
def test_no_report_is_greener_than_its_verdict(verdict: Any, reasons: list[str], kind: str) -> None:
    result = suite(scenario("good"), verdict=verdict, reasons=reasons)
    root = ElementTree.fromstring(to_junit(result))
    case = root.find(f".//testcase[@name='{SUITE}']/{kind}")
    assert case is not None
    assert case.text is not None
    for reason in reasons:
        assert reason in case.text
        assert reason in to_markdown(result)
        assert reason in to_html(result)
    assert verdict.upper() in to_markdown(result)
    assert verdict.upper() in to_html(result)


def test_notes_and_controls_that_were_not_caught_stand_in_every_report() -> None:
    missed = Control("dropped", "good", "pay({}) was not made", caught=False)
    result = suite(scenario("good"), notes=["somebody accepted drift"], controls=[missed])
    for report in (to_junit, to_markdown, to_html):
        assert "somebody accepted drift" in report(result)
        assert "good: pay({}) was not made" in report(result)


def test_an_empty_suite_that_is_red_is_a_failure() -> None:
    root = ElementTree.fromstring(to_junit(suite(verdict="red", reasons=["no scenario was run"])))
    assert (root.get("tests"), root.get("failures")) == ("1", "1")


def test_markdown_tells_what_is_not_green_first_and_what_changed() -> None:
    text = to_markdown(MIXED)
    assert text.startswith("### ❌ `till` evals: RED\n\n1 red, 1 inconclusive, 2 green")
    assert text.index("`bad`") < text.index("`drifted`") < text.index("`more`")
    assert "`good`" not in text
    assert "`new effect: mail({})`<br>`tokens: 120 before, now 180 (+50%)`" in text
    assert "Cost: $0.0200, 540 tokens (in the baseline $0.0400, 480 tokens)" in text


def test_markdown_stays_short() -> None:
    many = [scenario(f"s-{n}", "red", "x" * 5000) for n in range(200)]
    text = to_markdown(suite(*many, verdict="red"))
    assert len(text) < 20_000
    assert f"… and {200 - ROWS} more" in text


def test_the_page_has_a_row_and_a_trace_for_each_scenario() -> None:
    text = to_html(MIXED)
    assert text.count('<details class="row ') == 4
    assert text.count("<summary>Trace, 1 events</summary>") == 4
    assert "new effect: mail({})" in text
    assert 'class="row is-green is-changed"' in text
    assert text.count('<input type="radio"') == text.count("<label ") == 6


def test_of_many_trials_those_that_failed_are_shown_with_their_traces() -> None:
    trials = [*(trial("a", trace=["fine"]) for _ in range(14)), trial("a", "fail", trace=["broken"])]
    text = to_html(suite(scenario("a", trials=trials)))
    assert "Trial 1 of 15: fail" in text
    assert "broken" in text
    assert text.count("fine") == 2


# ── and steers nobody ────────────────────────────────────────────────────────────────────────────

TEXTS = pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))


@TEXTS
def test_junit_of_hostile_text_is_xml(text: str) -> None:
    written = to_junit(hostile(text))
    root = ElementTree.fromstring(written.encode())
    assert [element.tag for element in root.iter()].count("testcase") == 3
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202e]", written)


ALLOWED = {"heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline", "bullet_list_open"}
ALLOWED |= {"bullet_list_close", "list_item_open", "list_item_close", "text", "code_inline", "html_inline"}
ALLOWED |= {
    f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
}
ALLOWED |= {"strong_open", "strong_close"}


@TEXTS
def test_markdown_of_hostile_text_holds_no_link_no_image_and_no_more_cells(text: str) -> None:
    written = to_markdown(hostile(text))
    tokens = MarkdownIt("commonmark").enable("table").parse(written)
    inner = [token for token in tokens if token.children for token in token.children]
    assert {token.type for token in [*tokens, *inner]} <= ALLOWED
    assert {token.content for token in inner if token.type == "html_inline"} <= {"<br>"}
    assert [token.type for token in tokens].count("th_open") == 5
    assert [token.type for token in tokens].count("td_open") == 5
    plain = " ".join(token.content for token in inner if token.type == "text")
    assert not re.search(r"evil|everyone|script|onmouseover|owned", plain)
    assert "\x1b" not in written


@pytest.mark.parametrize("text", ["a`b", "``", "`", "a``b`c", " a ", "*x*", "a|b", "\\"])
def test_a_code_span_shows_what_it_was_given(text: str) -> None:
    (token,) = MarkdownIt("commonmark").parseInline(code(text))
    (span,) = token.children or []
    assert (span.type, span.content.strip()) == ("code_inline", text.strip().replace("|", "¦"))


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@TEXTS
def test_the_page_of_hostile_text_has_no_script_no_handler_and_no_address(text: str) -> None:
    written = to_html(hostile(text))
    page = Page(written)
    assert page.open == []
    assert set(page.tags).isdisjoint(
        {"script", "img", "iframe", "object", "a", "link", "form", "base", "svg"}
    )
    assert page.attributes <= {
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "id",
        "for",
        "type",
        "class",
        "checked",
        "aria-labelledby",
    }
    harmless = to_html(hostile("hello"))
    assert page.tags == Page(harmless).tags
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", written)
    written.encode()


def test_the_page_asks_nobody_for_anything() -> None:
    text = to_html(MIXED)
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_hostile_text_is_shown_and_not_dropped() -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in to_html(hostile("<script>alert(1)</script>"))
    assert visible("a\x1b[2Jb\u202ec\ud800\n\td") == "a\\x1b[2Jb\\u202ec\\ud800\n\td"


def test_a_secret_is_gone_from_every_place_before_a_format_escapes_it() -> None:
    secret = 'sk<&"|`secret'
    clean = scrubbed(hostile(f"a {secret} b"), lambda text: text.replace(secret, "[secret]"))
    for report in (to_html, to_junit, to_markdown):
        assert "[secret]" in report(clean)
        assert "|`secret" not in report(clean)
        assert "sk&lt;" not in report(clean)
    assert secret not in str(to_json(clean))


def test_a_huge_result_makes_a_page_that_a_browser_opens() -> None:
    big = trial("a", trace=["x" * 1_000_000])
    assert len(to_html(suite(scenario("a", trials=[big])))) < 30_000


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_page_can_be_read_in_light_and_in_dark(scheme: int) -> None:
    """Contrast of at least 4.5 to 1, as WCAG 2 asks of text."""
    style = to_html(MIXED).partition("<style>")[2].partition("</style>")[0]
    colours = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in style.split("@media", 1)]
    for paper in ("paper", "box"):
        for ink in ("ink", "quiet", "red", "inconclusive", "green"):
            one, other = (luminance(colours[scheme][name]) for name in (paper, ink))
            assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5, (paper, ink)
