"""What nobody told us of is found by its looks; ordinary text is left as it is; no text is slow or refused."""

import base64
import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rails.labelled import measure, read
from surefoot.rails.detect import Detector, Hit, standard
from surefoot.rails.detect_rules import Rule, read_rules

RULES = read_rules()
ANY = st.text(st.characters(), max_size=60)  # lone surrogates too
# What may stand around a token without becoming part of it.
AROUND = st.text(st.characters(exclude_categories=["L", "M", "N", "Cs"]), max_size=12)
NOT_INSIDE = "_-+/=.~:%\\@$*|"


def test_the_rules_cover_what_the_documentation_says() -> None:
    assert len(RULES) >= 400
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.kind.replace("-", "").isalnum() and rule.kind.islower() for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_finds_its_own_examples(rule: Rule) -> None:
    chance = random.Random(rule.id)
    for _ in range(3):
        secret = rule.example(chance)
        before = f'\nx = 1; {rule.near[0]}_value = "' if rule.near else 'seen in the log: "'
        text = f'{before}{secret}" and so on'
        hits = [hit for hit in standard().find(text) if hit.start < len(before) + len(secret)]
        assert hits, secret
        assert hits[0].start <= len(before) and hits[-1].end >= len(before) + len(secret), (secret, hits)


@settings(deadline=None)
@given(st.sampled_from([rule for rule in RULES if not rule.near]), st.integers(0, 99), AROUND, AROUND)
def test_a_token_is_found_in_the_middle_of_anything(rule: Rule, seed: int, before: str, after: str) -> None:
    secret = rule.example(random.Random(seed))
    before, after = before.rstrip(NOT_INSIDE), after.lstrip(NOT_INSIDE)
    text = before + secret + after
    covered = {at for hit in standard().find(text) for at in range(hit.start, hit.end)}
    assert covered >= set(range(len(before), len(before) + len(secret)))


@settings(deadline=None)
@given(st.lists(st.one_of(ANY, st.sampled_from([one.text for one in read("positives.txt")])), max_size=3))
@example(["\ud800 password=\udfff\udfff1x ", "a@b.co"])
@example(["4111111111111111", "a@b.co"])
@example(["\\u0040\\", "%40%", "%4"])
def test_any_text_is_read_and_what_is_redacted_stays_so(parts: list[str]) -> None:
    text = "".join(parts)
    hits = standard().find(text)
    last = 0
    for hit in hits:
        assert last <= hit.start < hit.end <= len(text)
        last = hit.end
    once = standard().redact(text)
    assert standard().redact(once) is once
    assert (once is text) == (not hits)


def test_every_marked_value_is_hidden_and_ordinary_text_untouched() -> None:
    for seed in (1, 2, 3):
        result = measure(standard(), seed)
        assert result.marked.total() >= 400 and result.negatives >= 600
        assert result.recall >= 0.98, result.missed
        assert result.precision >= 0.98, result.touched
        for kind, marked in result.marked.items():
            assert result.found[kind] / marked >= 0.9, (kind, result.missed)


def test_a_finding_is_the_value_alone_and_the_rest_stays() -> None:
    text = '{"user":"kim","password":"hunter2","mail":"kim@shop.example"}'
    assert standard().redact(text) == '{"user":"kim","password":"[password]","mail":"[email]"}'
    assert standard().find("pay with 4111 1111 1111 1111.") == [Hit("card", 9, 28)]


def test_text_without_findings_is_the_very_same_object() -> None:
    text = '{"order":"SD-1042","total":"89.90"}'
    assert standard().redact(text) is text
    assert standard() is standard()


def test_what_was_redacted_before_is_no_secret() -> None:
    for text in ('"password":"[password]"', "token=[secret:API_KEY]", "Bearer [jwt]", "mail [email-1]"):
        assert standard().find(text) == []


def test_findings_that_overlap_leave_nothing_of_either_behind() -> None:
    secret = "ghp_" + "".join(random.Random(1).choices("abcdefghijkABCDEFGHIJK0123456789", k=36))
    text = f"password={secret}.kim@shop.example;"
    shown = standard().redact(text)
    assert secret not in shown and "shop.example" not in shown


@pytest.mark.parametrize(
    "public",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "your-api-key",
        "${API_KEY}",
        "xxxxxxxxxxxx",
    ],
)
def test_a_public_example_is_no_secret(public: str) -> None:
    assert standard().find(f'aws_secret_access_key = "{public}"') == []
    assert standard().find(f"api_key={public}") == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (r'{"a":"{\"password\":\"hunter2\"}"}', "password"),
        (r"x\u0040shop.example is not kim\u0040shop.example", "email"),
        ("next=%2Flogin%3Fpassword%3Dhunter22%26x", "password"),
        (r"postgres:\/\/shop:hunter22@db:5432\/shop", "password"),
        (r"line\nkim@shop.example\nline", "email"),
        (r"one\n4111111111111111\ntwo", "card"),
    ],
)
def test_what_is_escaped_is_found_too(text: str, kind: str) -> None:
    assert kind in [hit.kind for hit in standard().find(text)]


def test_text_inside_base64_is_looked_into() -> None:
    import base64

    said = base64.b64encode(b"please write to kim@shop.example about the parcel").decode()
    assert standard().find(f"note: {said}") == [Hit("email", 6, 6 + len(said))]
    dull = base64.b64encode(b"please write to the shop about the parcel, thanks").decode()
    assert standard().find(f"note: {dull}") == []


HOSTILE = {
    "letters": "a" * 100_000,
    "dashes": "-" * 100_000,
    "digits": "1234567890" * 10_000,
    "ats": "@" * 100_000,
    "mails": "a@" * 50_000,
    "hosts": "@a.a" * 25_000,
    "dots": "@" + "a." * 50_000,
    "keys": "key=" * 25_000,
    "passwords": "password=" * 11_000,
    "quotes": 'password="' * 10_000,
    "spaces": ("password" + " " * 90) * 1_000,
    "escapes": 'password\\\\\\\\="' * 7_000,
    "backslashes": "\\" * 100_000,
    "percents": "%40" * 33_000,
    "unicode escapes": "\\u0040" * 16_000,
    "slashes": "\\/" * 50_000,
    "keys in PEM": "-----BEGIN PRIVATE KEY-----" * 4_000,
    "endless PEM": "-----BEGIN PRIVATE KEY-----\n" + "A" * 100_000,
    "web tokens": "eyJ" * 33_000,
    "dotted web tokens": "eyJhbGciOiJIUzI1NiJ9." * 5_000,
    "colons": "::" * 50_000,
    "hexadecimal": "a:b:c:" * 16_000,
    "plus": "+1 " * 33_000,
    "cards": "4111 " * 20_000,
    "accounts": "DE89 " * 20_000,
    "addresses": "1.1.1.1." * 12_000,
    "schemes": "a://" * 25_000 + "@" * 100,
    "users": "://u:p@" * 14_000,
    "bots": "1:AA" * 25_000,
    "azure": "1Q~" * 33_000,
    "slack": "xoxb-" * 20_000,
    "mailchimp": "a" * 32 + "-us1" * 20_000,
    "providers": "datadog " * 12_000,
    "equals": "secret" + "=" * 100_000,
    "base64": "QUJD" * 25_000,
    "base64 of itself": "UVVK" * 25_000,
    "new lines": "token:\n" * 14_000,
    "phones": "fax 1-2-3-4" * 9_000,
    "stars": "secret: " + "*" * 100_000,
    "templates": "secret={{" * 11_000,
    "cookies": "cookie:" * 14_000,
    "names in values": "auth:a" * 16_000,
    "cluster secrets": "kind:secret" * 9_000,
    "sealed tokens": "v4.local." * 11_000,
    "relatives": "ghp_" * 25_000,
    "markers": "sk-a1B" * 16_000 + "T3BlbkFJ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_makes_it_slow(name: str) -> None:
    """Twice the text may not take much more than twice the time; the bound is for the busiest of machines."""
    text = HOSTILE[name]
    standard().find("warm")

    def seconds(said: str) -> float:
        started = time.process_time()
        standard().find(said)
        return time.process_time() - started

    half, whole = min(seconds(text[: len(text) // 2]) for _ in range(2)), seconds(text)
    assert whole < 0.02 or whole < 4 * half + 0.2, (half, whole)
    assert whole < 5


def test_an_empty_set_of_rules_still_finds_private_data() -> None:
    assert Detector(()).redact("mail kim@shop.example") == "mail [email]"


CARD_LETTER = (
    b"Dear shop, what follows is a letter that goes on for a while, and says at its end: 4539148803436467.\n"
    * 3
)


@pytest.mark.parametrize("width", [60, 64, 76])
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n    ", "\\n"])
def test_base64_in_lines_is_looked_into_as_one(width: int, line_break: str) -> None:
    said = base64.b64encode(CARD_LETTER).decode()
    lines = [said[place : place + width] for place in range(0, len(said), width)]
    shown = standard().redact(f"attached: {line_break}{line_break.join(lines)}{line_break}end")
    assert not [line for line in lines if len(line) > 20 and line in shown]


@pytest.mark.parametrize(
    "text",
    [
        "her number is 123-45-6789",
        "dial 0049 30 1234567 or 001 415 555 2671",
        "Telefon: 089 / 123 456",
        "my number is 07911 123456",
        "<client>203.0.113.7</client>",
        "to=203.0.113.7;",
        "password_hash $2b$12$1QPtJF1mvIzrXqIT26fpupEcR9UBaHLXFMLxZKBK7szUamN1nJqOI",
        "admin:$apr1$XF7Cfe7Q$RXNPFOCk0exQFTEnsDpPUk",
        'variable "db_password" { default = "HMWhDzVkKdB97X" }',
        "define('DB_PASSWORD', 'ChzxidmZdFUOh0');",
        "<password>XCZUGughIodG</password>",
        r"{\"auths\": {\"shop\": {\\\"auth\\\": \\\"a2ltOjBxak9vVzc4NmJIU0xBWFI=\\\"}}}",
        "db password=fXujzpyqqba8[secret:SHOP_API_KEY]",
        "https://hooks.zapier.com/hooks/catch/2520655/hk671a9/",
    ],
)
def test_what_others_write_so_is_found(text: str) -> None:
    assert standard().find(text), text


@pytest.mark.parametrize(
    "text",
    [
        "numpy=1.26.4.2",
        "lib==12.104.0.3",
        "a > 1.2.3.4",
        "order 0049 30 12",
        "define('PASSWORD_FIELD', 'password1')",
    ],
)
def test_what_only_looks_like_it_is_left_alone(text: str) -> None:
    assert not standard().find(text), text
