"""A stream lets no part of a secret out, wherever its chunks are cut; and the redactor that it asks."""

import base64
import itertools
import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.rails.detect import Detector, standard
from surefoot.rails.redaction import Private, Secrets
from surefoot.rails.redactor import Redactor
from surefoot.rails.streaming import StreamRedactor

KEY = "sk_shop-9f/Z+Q7hunter2"
MAIL = "kim.berg@post.example"
DETECTOR = standard()


def redactor(*, detector: Detector | None = DETECTOR) -> Redactor:
    private = Private()
    private.learn({MAIL: "email", "Ann Berg": "name"})
    made = Redactor(lambda: detector, lambda: [private])
    made.add(Secrets({"KEY": KEY, "LONGER": KEY + "-and-more"}))
    return made


def through(chunks: Iterable[str], made: Redactor | None = None) -> str:
    stream = StreamRedactor(made or redactor())
    return "".join([*(stream.feed(chunk) for chunk in chunks), stream.flush()])


def hidden(text: str, *values: str) -> bool:
    parts = [value[n : n + 6] for value in values for n in range(len(value) - 5)]
    return not any(part in text for part in parts)


TEXTS = [
    f"the key is {KEY}, sent by {MAIL}.",
    f"{KEY}{KEY}-and-more {KEY}-and",
    f"a line\nkey: {KEY[:9]}\n    {KEY[9:]}\nend",
    f"at https://x.test/?k={''.join(f'%{ord(c):02x}' for c in KEY)}&b=1",
    json.dumps({"said": json.dumps({"key": KEY, "by": "Ann Berg"})}),
    "Dear Ann\n  Berg, card 4111 1111 1111 1111 is charged",
    "<" + base64.b64encode(b"x" + KEY.encode() + b"y").decode() + ">",
    "".join(f"&#{ord(c)};" for c in KEY) + " is html",
    "plain text without anything in it,\nover two lines\n",
]


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_wherever_it_is_cut_in_two_the_stream_says_what_the_whole_says(number: int) -> None:
    text, made = TEXTS[number], redactor()
    whole = made.redact(text)
    assert hidden(whole, KEY, MAIL, "Ann Berg", "4111 1111 1111 1111")
    for cut in range(len(text) + 1):
        assert through([text[:cut], text[cut:]], made) == whole


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_character_by_character_and_in_any_three_parts(number: int) -> None:
    text, made = TEXTS[number], redactor()
    whole = made.redact(text)
    assert through(text, made) == whole
    for one, two in itertools.combinations(range(0, len(text), 11), 2):
        assert through([text[:one], text[one:two], text[two:]], made) == whole


@given(st.lists(st.text(max_size=8) | st.sampled_from([KEY, KEY[:7], KEY[7:], MAIL, "\n", "%", "\\u00"])))
@settings(max_examples=100)
def test_nothing_of_a_known_value_passes_and_nothing_else_is_lost(chunks: list[str]) -> None:
    made = redactor(detector=None)
    said = through(chunks, made)
    for value in (KEY, MAIL):
        assert value not in said
        assert said.count(value[:6]) <= "".join(chunks).count(value[:6])
    if made.redact("".join(chunks)) == "".join(chunks):
        assert said == "".join(chunks)


def test_bytes_may_be_cut_inside_a_character_and_need_not_be_text() -> None:
    raw = f"Grüße an {MAIL}: ".encode() + b"\xff\xfe" + KEY.encode()
    for cut in range(len(raw) + 1):
        stream = StreamRedactor(redactor())
        said = stream.feed(raw[:cut]) + stream.feed(raw[cut:]) + stream.flush_bytes()
        assert said == "Grüße an [email-1]: ".encode() + b"\xff\xfe[secret:KEY]"


def test_ordinary_lines_are_not_held_back() -> None:
    """Whoever reads along must not wait for the next line to see this one."""
    stream = StreamRedactor(redactor())
    assert stream.feed("reading the ticket\n") == "reading the ticket\n"
    assert stream.feed("Continue? [y/N] ") == "Continue? [y/N] "
    assert stream.feed("50% don") == "50% "
    assert stream.pause() == "don"
    assert stream.feed("e\n") == "e\n"


def test_a_pause_lets_no_known_value_out() -> None:
    for cut in range(1, len(KEY)):
        stream = StreamRedactor(redactor())
        said = stream.feed(f"key {KEY[:cut]}") + stream.pause() + stream.feed(KEY[cut:]) + stream.flush()
        assert hidden(said, KEY)
        assert said.count("[secret:KEY]") == 1


def test_a_key_of_several_lines_is_held_until_its_end() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIBVwIBADANBgkqhkiG9w0BAQEFAASCAUEwggE9\n" * 20
    key += "-----END PRIVATE KEY-----\n"
    said = through([f"{line}\n" for line in f"a key:\n{key}done".split("\n")])
    assert "MIIB" not in said
    assert said.startswith("a key:\n[")
    assert said.endswith("done\n")


def test_what_never_ends_is_withheld() -> None:
    stream = StreamRedactor(redactor())
    said = "".join(stream.feed("-----BEGIN PRIVATE KEY-----" + "A" * 1000 + "\n") for _ in range(100))
    assert "AAAAAA" not in said
    assert "[withheld]" in said


# ── the redactor ─────────────────────────────────────────────────────────────────────────────────


def test_known_values_go_by_their_names_and_the_rest_by_its_looks() -> None:
    text = f"{KEY} {MAIL} bob@other.example password=hunter2correct"
    assert redactor().redact(text).startswith("[secret:KEY] [email-1] [email] password=[")
    clean = "an ordinary line"
    assert redactor().redact(clean) is clean


def test_what_is_forgotten_is_not_looked_for_any_more() -> None:
    made = Redactor(lambda: None)
    forget = made.add(Secrets({"KEY": KEY}))
    made.add(Secrets({"OTHER": "hunter22-other"}))
    assert made.redact(f"{KEY} hunter22-other") == "[secret:KEY] [secret:OTHER]"
    forget()
    assert made.redact(f"{KEY} hunter22-other") == f"{KEY} [secret:OTHER]"


def test_a_redactor_that_fails_lets_nothing_pass() -> None:
    class Broken:
        def find(self, text: str) -> list[object]:
            raise RuntimeError(text)

    made = Redactor(Broken)  # type: ignore[arg-type]
    assert made.withhold(KEY) == "[text withheld: its redaction failed with RuntimeError]"
    with pytest.raises(RuntimeError):
        made.redact(KEY)


def test_redacting_twice_changes_no_more() -> None:
    for text in TEXTS:
        once = redactor().redact(text)
        assert redactor().redact(once) is once
