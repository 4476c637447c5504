"""What is written or shown holds no secret, in whatever form it came, and no private value.

JSON stays JSON, and what needs nothing is the very same text."""

import base64
import json
import re
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from surefoot.core.jsons import dumps
from surefoot.rails.redaction import SHORTEST_SECRET, Private, Secrets

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="[]")
SECRET = st.text(LETTERS, min_size=SHORTEST_SECRET, max_size=24).filter(
    lambda text: text not in "[secret:API_KEY]"
)
AROUND = st.text(LETTERS, max_size=12)
BYTES = st.binary(max_size=7)
THOROUGH = settings(max_examples=3 * settings().max_examples)


def secrets(value: str) -> Secrets:
    return Secrets({"API_KEY": value})


def hidden(clean: str, written: str) -> bool:
    return written not in clean and "[secret:API_KEY]" in clean


# ── forms ────────────────────────────────────────────────────────────────────────────────────────


@THOROUGH
@given(SECRET, AROUND, AROUND)
def test_a_secret_is_found_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assert hidden(secrets(secret).scrub(before + secret + after), secret)


@THOROUGH
@given(SECRET, BYTES, BYTES, st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]), AROUND)
@example("secret", b"", b"", base64.b64encode, "")
@example("secret", b"x", b"", base64.b64encode, "")
@example("secret", b"xy", b"z", base64.b64encode, "")
@example("??>>~~", b"x", b"y", base64.urlsafe_b64encode, "")
def test_a_secret_is_found_inside_anything_in_base64(
    secret: str, before: bytes, after: bytes, encode: Any, around: str
) -> None:
    """At each of the three places where it may begin within three bytes."""
    encoded = encode(before + secret.encode() + after).decode()
    begin, end = len(before), len(before) + len(secret.encode())
    own = encoded[
        -(-8 * begin // 6) : 8 * end // 6
    ]  # the characters that are made of the secret's bits alone
    assert hidden(secrets(secret).scrub(around + encoded + around), own)


@THOROUGH
@given(SECRET, AROUND)
@example("pass word/+&ü", "")
def test_a_secret_is_found_in_an_address(secret: str, around: str) -> None:
    for quoted in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        for written in (quoted, re.sub("%..", lambda found: found[0].lower(), quoted)):
            assert hidden(secrets(secret).scrub(f"https://x.org/?{around}={written}&a=1"), written)


def escaped(text: str, levels: int, ascii_only: bool) -> str:
    """As it stands in a JSON text that is itself a text in JSON, and so on."""
    for _ in range(levels):
        text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
    return text


@THOROUGH
@given(SECRET, AROUND, st.integers(0, 3), st.booleans())
@example('quo"te\\back\nline', "", 3, False)
@example("größe-ß", "", 1, True)
def test_a_secret_is_found_as_json_writes_it(secret: str, around: str, levels: int, ascii_only: bool) -> None:
    written = escaped(secret, levels, ascii_only and levels == 1)
    assert hidden(secrets(secret).scrub(around + written + around), written)


def test_a_secret_is_found_where_slashes_are_escaped() -> None:
    assert "a/b" not in secrets("aa/bb/cc").scrub('{"url":"aa\\/bb\\/cc"}')
    assert "[secret:API_KEY]" in secrets("aa/bb/cc").scrub('{"url":"aa\\/bb\\/cc"}')


def test_each_secret_goes_by_its_name_and_the_longest_is_meant() -> None:
    both = Secrets({"SHORT": "hunter22", "LONG": "hunter22-and-more"})
    assert both.scrub("hunter22 hunter22-and-more hunter2") == "[secret:SHORT] [secret:LONG] hunter2"


def test_what_is_too_short_to_be_a_secret_is_left_alone() -> None:
    assert Secrets({"PIN": "12345", "EMPTY": ""}).scrub("12345 is a number") == "12345 is a number"
    assert Secrets({}).scrub("anything") == "anything"


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────


PLAIN = st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from([0.5, 1e300]) | AROUND


def documents(secret: str) -> st.SearchStrategy[Any]:
    texts = st.builds(lambda before, after: before + secret + after, AROUND, AROUND)
    inside = texts.map(lambda text: dumps({"answer": text, "list": [text]}))
    deeper = inside.map(lambda text: dumps({"said": text}))
    leaves = PLAIN | texts | inside | deeper
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(AROUND | texts, inner, max_size=3),
        max_leaves=6,
    )


def texts_in(value: Any) -> list[str]:
    """Every text and key in it, also in texts that are JSON themselves."""
    match value:
        case str():
            try:
                inner = json.loads(value)
            except ValueError:
                return [value]
            return [value, *(texts_in(inner) if isinstance(inner, dict | list | str) else [])]
        case list():
            return [text for item in value for text in texts_in(item)]
        case dict():
            return [text for key, item in value.items() for text in (key, *texts_in(item))]
        case _:
            return []


def same_form(one: Any, other: Any) -> bool:
    match one:
        case dict():
            return isinstance(other, dict) and len(one) >= len(other)
        case list():
            return isinstance(other, list) and all(map(same_form, one, other)) and len(one) == len(other)
        case str():
            return isinstance(other, str)
        case _:
            return bool(one == other)


@THOROUGH
@given(st.data())
def test_no_text_and_no_key_of_a_document_holds_the_secret_and_it_stays_json(data: st.DataObject) -> None:
    secret = data.draw(SECRET.filter(lambda text: text.strip().strip("-0123456789.eE") != ""))
    document = data.draw(documents(secret))
    text = dumps(document)
    clean = secrets(secret).scrub_json(text)
    read = json.loads(clean)
    assert same_form(document, read)
    assert not any(secret in one for one in texts_in(read))


def test_a_secret_with_marks_in_json_inside_json_is_found_at_any_depth() -> None:
    """A model's answer is a text in the journal, and JSON in itself: each mark is escaped twice there."""
    secret = 'Main St 1\n"Second" \\ floor'
    document: Any = {"address": secret}
    for _ in range(3):
        clean = json.loads(secrets(secret).scrub_json(dumps({"text": dumps(document)})))
        assert not any("Second" in one for one in texts_in(clean))
        document = {"text": dumps(document)}


@pytest.mark.parametrize("number", ["123456", "4111111111111111", "1234.5678"])
def test_a_secret_that_is_a_number_is_found_among_numbers_too(number: str) -> None:
    text = f'{{"pin":{number},"longer":{number}99,"other":5,"text":"pin {number}","exact":true}}'
    clean = json.loads(secrets(number).scrub_json(text))
    assert clean == {
        "pin": "[secret:API_KEY]",
        "longer": "[secret:API_KEY]99",
        "other": 5,
        "text": "pin [secret:API_KEY]",
        "exact": True,
    }


@given(AROUND, PLAIN)
def test_without_a_finding_it_is_the_very_same_text(text: str, value: Any) -> None:
    private = Private()
    private.learn({"kim@example.org": "email"})
    for redact in (secrets("hunter22").scrub, private.view, Secrets({}).scrub, Private().view):
        assert redact(text) is text
    document = dumps({"text": text, "value": value})
    for redact in (
        secrets("hunter22").scrub_json,
        private.view_json,
        Secrets({}).scrub_json,
        Private().view_json,
    ):
        assert redact(document) is document


# ── private values ───────────────────────────────────────────────────────────────────────────────


def test_a_private_value_becomes_a_placeholder_that_says_what_it_was() -> None:
    private = Private()
    new = private.learn({"kim@x.org": "email", "lee@x.org": "email", "+49 30 1": "phone"})
    assert new == {"[email-1]": "kim@x.org", "[email-2]": "lee@x.org", "[phone-1]": "+49 30 1"}
    assert private.view("from kim@x.org to lee@x.org") == "from [email-1] to [email-2]"
    assert private.view_json('{"kim@x.org":["+49 30 1",5]}') == '{"[email-1]":["[phone-1]",5]}'
    assert private.learn({"kim@x.org": "name"}) == {}


def test_what_is_learned_one_by_one_is_found_in_every_form_and_as_if_learned_at_once() -> None:
    one_by_one, at_once = Private(), Private()
    values = {f"person{n} of street {n % 7}": "name" for n in range(60)}
    for value, kind in values.items():
        one_by_one.learn({value: kind})
    at_once.learn(values)
    for value in values:
        encoded = base64.b64encode(f"to {value}!".encode()).decode()
        for text in (f"say {value}.", json.dumps({"a": value.upper()}), encoded, value.replace(" ", "%20")):
            assert one_by_one.view(text) == at_once.view(text) != text


def test_a_thousand_values_cost_a_run_little_more_than_ten_times_a_hundred() -> None:
    def seconds(count: int) -> float:
        private, started = Private(), time.process_time()
        for n in range(count):
            private.learn({f"person{n}@shop.example": "email"})
            private.view(f"event {n} is about person{n}@shop.example and goes on")
        return time.process_time() - started

    few, many = min(seconds(100) for _ in range(2)), seconds(1_000)
    assert many < 40 * few, (few, many)


def test_a_private_value_is_found_in_capitals_and_in_small_letters() -> None:
    private = Private()
    private.learn({"Ottilie Quackenbush": "name", "Anna": "name"})
    assert private.view("SHIP TO OTTILIE QUACKENBUSH, ottilie quackenbush") == "SHIP TO [name-1], [name-1]"
    assert private.view('"OTTILIE\\nQUACKENBUSH"') == '"[name-1]"'
    assert private.view("savanna, Anna") == "savanna, [name-2]"  # a short one would hit other words


def test_what_is_too_short_to_tell_anybody_is_left_alone() -> None:
    private = Private()
    assert private.learn({"Jo": "name", "": "name"}) == {}
    assert private.view("Jo") == "Jo"


def test_a_private_value_is_found_in_a_models_answer_that_is_json_itself() -> None:
    private = Private()
    private.learn({'12 "High" Street\nTown': "address"})
    answer = dumps({"address": '12 "High" Street\nTown'})
    assert json.loads(private.view_json(dumps({"text": answer})))["text"] == '{"address":"[address-1]"}'


VALUES = st.dictionaries(
    st.text(LETTERS, min_size=3, max_size=10).filter(
        lambda text: text not in "[email-][phone-]" and "-" not in text
    ),
    st.sampled_from(["email", "phone", "sur-name"]),
    max_size=4,
)


@THOROUGH
@given(st.lists(VALUES, max_size=5), st.integers(0, 5), AROUND)
def test_placeholders_are_the_same_after_another_worker_took_the_run_up(
    learned: list[dict[str, str]], died: int, around: str
) -> None:
    """It knows what was sealed with the journal, and goes on counting from there."""
    undisturbed, first, sealed = Private(), Private(), []
    for values in learned:
        undisturbed.learn(values)
    for values in learned[:died]:
        sealed.append(first.learn(values))
    second = Private()
    for known in sealed:
        second.restore(known)
    for values in learned[died:]:
        second.learn(values)
    assert second.placeholders == undisturbed.placeholders
    assert len(set(second.placeholders.values())) == len(second.placeholders)
    text = around + around.join(value for values in learned for value in values)
    assert second.view(text) == undisturbed.view(text)


@THOROUGH
@given(VALUES, st.lists(AROUND, min_size=5, max_size=5))
def test_no_private_value_is_left_in_a_view(values: dict[str, str], around: list[str]) -> None:
    private = Private()
    private.learn(values)
    shown = "".join(private.placeholders.values())
    assume(not any(value in shown for value in values))
    text = "".join(before + value for before, value in zip(around, values, strict=False))
    view = private.view(text)
    assert not any(value in view for value in values if not value.isdigit())
    for one in texts_in(json.loads(private.view_json(dumps({"a": [text], "b": dumps({"c": text})})))):
        assert not any(value in one for value in values if not value.isdigit())


@pytest.mark.parametrize("searches", [1, 400])
def test_nothing_is_left_over_where_values_overlap(searches: int) -> None:
    private = Private()
    private.learn({"hunter2Quillon": "password", "Quillon Zebrowitsch": "name"})
    for _ in range(searches):
        shown = private.view("password=hunter2Quillon Zebrowitsch, and Quillon Zebrowitsch alone")
        assert shown == "password=[name-1], and [name-1] alone"
