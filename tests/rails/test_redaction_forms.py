"""A known value is found in whatever form it was written, and however a line break, an encoder or a cut has
dealt with it; nothing that was not it is taken for it."""

import base64
import html
import json
import quopri
import re
import textwrap
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from surefoot.core.jsons import dumps
from surefoot.rails.forms import flat, places
from surefoot.rails.known import _Search
from surefoot.rails.redaction import Private, Secrets

KEY = "sk_shop-9f/Z+Q7hunter2=xK4mB8vT1"
LABEL = "[secret:KEY]"
THOROUGH = settings(max_examples=3 * settings().max_examples)

GRAPHIC = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="[]")
SECRET = st.text(GRAPHIC, min_size=8, max_size=40).filter(
    lambda text: len(flat(text)) >= 8 and flat(text, mail=True) == text == flat(text)
)
"""Without escapes of its own: what those do beside others' is looked at one by one below."""
AROUND = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]\\%&="), max_size=12)
BREAK = st.sampled_from(
    ["\n", "\r\n", "\n    ", "  \n\t", "\\n", "\\r\\n", "\\n  ", "\\\\n", "\n\n", "\n  \n ", "\u2028"]
)


def secrets(value: str) -> Secrets:
    return Secrets({"KEY": value})


def left_of(secret: str, text: str) -> list[str]:
    """What six characters of a secret that follow each other stand in a text, also in its plain reading."""
    parts = [secret[n : n + 6] for n in range(len(secret) - 5)]
    return [part for part in parts if part in text or part in flat(text)]


def breaks(text: str, places: list[int], breaks_: list[str]) -> str:
    parts, last = [], 0
    for place, gap in zip(sorted(places), breaks_, strict=False):
        parts += [text[last:place], gap]
        last = place
    return "".join(parts) + text[last:]


# ── split ────────────────────────────────────────────────────────────────────────────────────────


@THOROUGH
@given(st.data(), SECRET, AROUND, AROUND)
def test_a_secret_broken_over_any_lines_is_found(
    data: st.DataObject, secret: str, before: str, after: str
) -> None:
    assume(not set(secret) & set(before + after) and len(set(secret)) > 5)
    places = data.draw(st.lists(st.integers(1, len(secret) - 1), min_size=1, max_size=5, unique=True))
    gaps = data.draw(st.lists(BREAK, min_size=len(places), max_size=len(places)))
    text = before + breaks(secret, places, gaps) + after
    clean = secrets(secret).scrub(text)
    assert LABEL in clean
    assert clean.startswith(before)
    assert clean.endswith(after)
    assert not left_of(secret, clean.replace(before, "", 1))
    assert secrets(secret).scrub(clean) is clean


@pytest.mark.parametrize("width", [10, 20, 57, 64, 76])
@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_base64_wrapped_at_any_width_is_found(
    width: int, shift: int, encode: Callable[[bytes], bytes]
) -> None:
    whole = encode(b"x" * (50 + shift) + KEY.encode() + b"y" * 70).decode()
    own = encode(b"\0" * ((50 + shift) % 3) + KEY.encode()).decode()[4:-4]
    assert own in whole
    for end in ("\n", "\r\n", "\n  ", "\\n", "\\r\\n"):
        wrapped = end.join(textwrap.wrap(whole, width))
        for text in (wrapped, wrapped.rstrip("="), json.dumps({"file": wrapped})):
            clean = secrets(KEY).scrub(text)
            assert LABEL in clean
            assert not left_of(own, clean)


@THOROUGH
@given(SECRET, st.text(GRAPHIC, max_size=80))
def test_a_secret_in_quoted_printable_mail_is_found(secret: str, around: str) -> None:
    mail = quopri.encodestring(f"{around} {secret} {around}".encode()).decode()
    clean = secrets(secret).scrub(mail)
    assert secret not in quopri.decodestring(clean.encode()).decode() or secret in around
    assert LABEL in clean


def test_words_at_the_ends_of_lines_are_not_put_together_to_a_private_value() -> None:
    private = Private()
    private.learn({"andrew": "name", "12 High Street": "address"})
    assert private.view("they stand\nrewind the tape") == "they stand\nrewind the tape"
    assert private.view("stand\nrewind or\nand\nrew.") == "stand\nrewind or\n[name-1]."
    assert private.view("at 12 High\n    Street, Town") == "at [address-1], Town"
    assert private.view("a 12HighStreet") == "a 12HighStreet"


def test_spaces_alone_do_not_break_a_secret() -> None:
    assert secrets("hunter22").scrub("hunt er22, hun\tter22") == "hunt er22, hun\tter22"
    assert secrets("correct horse").scrub("correct\nhorse, correct  horse") == f"{LABEL}, {LABEL}"


def test_a_value_of_several_lines_is_found_whole_indented_and_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIBVwIBADANBgkqhkiG9w0BAQ\nEFAASCAUEwggE9AgEAAkEAq7BF\n-----END KEY-----"
    found = secrets(key)
    assert found.scrub(f"a {key} b") == f"a {LABEL} b"
    assert found.scrub(dumps({"key": key})) == f'{{"key":"{LABEL}"}}'
    assert found.scrub(textwrap.indent(key, "    ")).strip() == LABEL
    assert found.scrub("line 2: EFAASCAUEwggE9AgEAAkEAq7BF") == f"line 2: {LABEL}"
    assert found.scrub("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


# ── written otherwise ────────────────────────────────────────────────────────────────────────────

WRITTEN: dict[str, Callable[[str], str]] = {
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "percent, all": lambda text: "".join(f"%{ord(one):02X}" for one in text),
    "percent, mixed": lambda text: "".join(
        f"%{ord(one):02x}" if n % 3 else f"%{ord(one):02X}" for n, one in enumerate(text)
    ),
    "percent, some": lambda text: "".join(
        f"%{ord(one):02x}" if n % 4 == 1 else quote(one) for n, one in enumerate(text)
    ),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "javascript address": lambda text: quote(text, safe="~()*!'"),
    "html": html.escape,
    "html, numbers": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "html, hex": lambda text: "".join(f"&#x{ord(one):X};" for one in text),
    "json, all": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "json, some": lambda text: "".join(
        f"\\u{ord(one):04X}" if n % 2 or one == "\\" else one for n, one in enumerate(text)
    ),
    "python bytes": lambda text: "".join(f"\\x{ord(one):02x}" for one in text),
    "json in json in json in json in json": lambda text: dumps(dumps(dumps(dumps(dumps(text))))),
    "slashes": lambda text: text.replace("/", "\\/"),
    "slashes twice": lambda text: text.replace("/", "\\\\/"),
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("value", [KEY, "pa'ss\"wo<r>d/&42", "back\\slash\\n and more"])
def test_a_secret_is_found_however_it_was_encoded(how: str, value: str) -> None:
    written = WRITTEN[how](value)
    assert secrets(value).scrub(f"<{written}>") != f"<{written}>"
    clean = secrets(value).scrub(f"say ({written}) now")
    assert LABEL in clean
    assert not left_of(flat(value), clean)
    private = Private()
    private.learn({value: "code"})
    assert "[code-1]" in private.view(f"say ({written}) now")


@THOROUGH
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="[]"), min_size=8, max_size=20))
@example('größe "ß"\\ 🙂 x')
def test_any_text_is_found_as_json_at_any_depth(value: str) -> None:
    assume(len(flat(value)) >= 6)
    text = value
    for _ in range(6):
        text = json.dumps({"said": text})
        clean = secrets(value).scrub_json(text)
        assert LABEL in clean
        read = json.loads(clean)
        while isinstance(read, dict):
            (said,) = read.values()
            assert value not in said
            try:
                read = json.loads(said)
            except ValueError:
                break


def test_a_private_value_is_found_encoded_too_from_six_characters_on() -> None:
    private = Private()
    private.learn({"kim@post.example": "email", "Kim": "name"})
    assert private.view("see ?m=kim%40post.example") == "see ?m=[email-1]"
    assert private.view(base64.b64encode(b"kim@post.example").decode()).startswith("[email-1]")
    assert private.view(base64.b64encode(b"Kim").decode()) == base64.b64encode(b"Kim").decode()


# ── cut ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(16, len(KEY)))
def test_what_is_left_of_a_secret_that_was_cut_is_taken_out(size: int) -> None:
    assert secrets(KEY).scrub(f"input_value='{KEY[:size]}...'") == f"input_value='{LABEL}...'"
    assert secrets(KEY).scrub(f"...{KEY[-size:]}'") == f"...{LABEL}'"


def test_the_beginning_of_an_address_is_not_the_secret() -> None:
    hook = "https://hooks.shop.example/services/T000/B000/XXXXXXXX"
    assert secrets(hook).scrub("https://hooks.shop.example/docs") == "https://hooks.shop.example/docs"


# ── what stays ───────────────────────────────────────────────────────────────────────────────────


@THOROUGH
@given(SECRET, st.text(max_size=60))
def test_clearing_twice_changes_no_more_than_once(secret: str, text: str) -> None:
    assume("[secret:KEY]" not in secret)
    for one in (text, text + secret + text, dumps({"a": [text, secret + text]})):
        once = secrets(secret).scrub(one)
        assert secrets(secret).scrub(once) is once


@pytest.mark.parametrize("name", ["attempt", "workflow_version", "output", "remedy"])
def test_a_secret_that_is_called_like_a_field_of_ours_leaves_the_field(name: str) -> None:
    text = dumps({name: 1, "output": {name: "x", "said": f"my {name}"}, "error": {name: name}})
    clean = json.loads(Secrets({"KEY": name}).scrub_json(text, ["output"]))
    label = LABEL if len(name) >= 6 else name
    assert name in clean
    assert clean["output"] == {label: "x", "said": f"my {label}"}
    assert clean["error"] == {name: label}


def test_many_places_that_are_almost_a_secret_take_no_longer_than_the_text_is_long() -> None:
    """Each is a match of the plain reading, and none of them is one: a space is no line break."""
    text = "hunt er22 " * 20_000 + "\n"
    assert secrets("hunter22").scrub(text) is text
    assert re.search("secret", secrets("hunter22").scrub(text + "hunt\ner22"))


SIGNS = st.text(st.sampled_from("\\\\\\nrtux%&=#;0041aF2 \n\r\té"), max_size=30)


@settings(max_examples=5 * settings().max_examples)
@given(SIGNS, st.booleans())
@example("\\u005cn", False)
@example("\\\\n\\\\", False)
@example("%5Cn&#92;n", False)
@example("\\x5cnr", True)
def test_the_quick_reading_and_the_one_with_places_are_the_same(text: str, mail: bool) -> None:
    """What the quick one finds is looked for in the other: where they differed, it would not be there."""
    shown, found = places(text, mail=mail)
    assert flat(text, mail=mail) == shown
    assert len(found.starts) == len(found.ends) == len(found.gaps) == len(shown)
    assert found.starts == sorted(found.starts)
    assert all(start < end <= len(text) for start, end in zip(found.starts, found.ends, strict=True))


@settings(max_examples=5 * settings().max_examples)
@given(
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.text("abcd", max_size=30),
)
def test_searching_one_by_one_finds_what_the_automaton_finds(patterns: list[str], text: str) -> None:
    by_hand, automaton = _Search(patterns), _Search(patterns)
    automaton._searched = _Search.PAYS
    assert by_hand.all(text) == automaton.all(text)
    assert by_hand.hits(text) is automaton.hits(text) is bool(automaton.all(text))
