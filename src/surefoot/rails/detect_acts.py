"""What is done where a word stands: the table behind the one pass of detect.py, from words to acts.

An act reads what is around its word and puts down what it finds. Those for tokens and for names are here;
those for a structure or a number are functions of `detect_blocks` and `detect_private`, wrapped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from . import detect_blocks as blocks
from . import detect_private as private
from .checks import IBAN_LENGTHS
from .detect_assign import (
    Value,
    about_something_else,
    is_identifier,
    is_lone_key,
    is_password,
    is_random,
    is_strong_token,
    is_token,
    is_wordy,
    value_after,
    value_near,
)
from .detect_rules import Rule, plainly

Hits = list[tuple[int, int, int, str]]
"""Start, end, rank (0 is the surest), kind."""
Act = Callable[[str, int, int, Hits], None]
"""What is done where a word stands: text, start and end of the word, where to put what was found."""

TOKEN, NUMBER, NAMED = 0, 1, 2

_PASSWORD_NAMES = (
    "passw",
    "passphrase",
    "passwd",
    "passcode",
    "pwd",
    "kennwort",
    "contraseña",
    "mot de passe",
    "wachtwoord",
    "senha",
    "lösenord",
    "adgangskode",
    "passord",
    "salasana",
    "mot_de_passe",
    "mdp=",
)
_PASS_NAMES = (
    "_pw",
    "-pw",
    "_pass",
    "-pass",
    "pass=",
    "pass:",
    'pass"',
    "pass'",
    "pass\\",
    "pass =",
    "pass ",
)
_TOKEN_NAMES = (
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "api key",
    "api.key",
    "access_key",
    "accesskey",
    "access-key",
    "auth_key",
    "authkey",
    "auth-key",
    "private_key",
    "privatekey",
    "private-key",
    "encryption_key",
    "encryptionkey",
    "encryption-key",
    "signing_key",
    "signingkey",
    "signing-key",
    "master_key",
    "masterkey",
    "master-key",
    "account_key",
    "accountkey",
    "account-key",
    "subscription-key",
    "subscription_key",
    "license_key",
    "licence_key",
    "app_key",
    "appkey",
    "app-key",
    "service_key",
    "webhook_key",
    "credential",
    "auth=",
    'auth"',
    "auth\\",
    "auth:",
    "auth =",
    "_auth",
    "oauth",
    "sessionid",
    "session_id=",
    "sessid",
    "connect.sid",
    "cookie:",
    "session=",
    "authorization",
    "sid=",
)
_KEY_NAMES = ("_key", "-key", "_sk", "creds", "salt")
_LONE_KEYS = ("key=", "key:", 'key"', "key'", "key\\", "key =")
_PHONE_WORDS = (
    *("phone", "mobile", "cell", "fax", "call ", "reach me ", "my number is ", "my number's ", "whatsapp"),
    *("tel:", "tel.", "tel ", "tel=", 'tel"', "tel\\", "telefon", "handy", "rückruf", "anruf"),
    *("teléfono", "móvil", "portable :"),
)


def acts_for(rules: Iterable[Rule]) -> dict[str, list[Act]]:
    """By the word that leads to them, as the search sees it."""
    rules = tuple(rules)
    acts: dict[str, list[Act]] = {}

    def on(words: Iterable[str], act: Act) -> None:
        for word in words:
            acts.setdefault(plainly(word), []).append(act)

    near: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.near:
            for word, _ in rule.keywords:
                near.setdefault(word, []).append(rule)
        for word, before in () if rule.near else rule.keywords:
            on([word], _token(rule, before))
    for head, kind in _telling_heads(rules).items():
        on([head], _relative(head, kind))
    for word, around in near.items():
        around.sort(key=_surest_first)
        on([word], _near(around))
    on(_PASSWORD_NAMES, _named("password", is_password))
    on(_PASS_NAMES, _named("password", _is_short_named))
    on(_TOKEN_NAMES, _named("secret", is_token))
    on(_KEY_NAMES, _named("secret", is_strong_token))
    on(_LONE_KEYS, _named("secret", is_lone_key))
    on(["private key-----", "private key block-----"], _block)
    on(["private-lines:"], _plain(blocks.putty_key, TOKEN))
    on(["eyj"], _plain(blocks.web_token, TOKEN))
    on(["bearer", "token"], _plain(blocks.bearer, NAMED))
    on(["basic"], _plain(blocks.basic, NAMED))
    on([" -u", "--user"], _plain(blocks.command_user, NAMED))
    on(["password"], _plain(blocks.netrc, NAMED))
    on([" -p"], _plain(blocks.attached_password, NAMED))
    on(["x-amz-signature", "&sig", "?sig", "x-goog-signature"], _plain(blocks.url_signature, NAMED))
    on(["cvv", "cvc", "card security code", "security code"], _plain(blocks.card_code, NUMBER))
    on(["@"], _at)
    kinds = [
        f"kind{end}:{space}{quote}secret"
        for end in ("", '"')
        for space in ("", " ")
        for quote in ("", '"', "'")
    ]
    on(kinds, _cluster)
    card_heads = ["0" * 12, "0000 0000", "0000-0000", "0000.0000", "0000 000", "0000-000"]
    on(card_heads, _plain(private.card, NUMBER))
    on([country + "00" for country in IBAN_LENGTHS], _plain(private.iban, NUMBER))
    on(["000-00-0000", "000 00 0000", "000.00.0000"], _plain(private.ssn, NUMBER))
    on(["ssn", "social security", "social sec"], _plain(private.bare_ssn, NUMBER))
    on([f"0.{'0' * a}.{'0' * b}.0" for a in (1, 2, 3) for b in (1, 2, 3)], _plain(private.ipv4, NUMBER))
    on(
        ["::", *(f":{a}:{b}:" for a in ("0000", "000") for b in ("0000", "000"))],
        _plain(private.ipv6, NUMBER),
    )
    on(["+0", "+(0"], _plain(private.international, NUMBER))
    on(["000 000 000", "0000 00 ", "0000 000 ", "0000 (0)"], _plain(private.dialled_abroad, NUMBER))
    on(["000-000-0000", "000.000.0000", "(000) 000", "(000)000"], _plain(private.north_american, NUMBER))
    on(["(000)", "(0000)", "(00000)", "(00)"], _plain(private.trunk_phone, NUMBER))
    on(_PHONE_WORDS, _plain(private.announced_phone, NUMBER))
    on(["%00", "%0a", "%0b", "%0c", "%0d", "%0e", "%0f"], percent)
    on(["\\u000", "\\/"], escapes)
    return acts


def _plain(read: Callable[[str, int, int], tuple[int, int, str] | None], rank: int) -> Act:
    def act(text: str, start: int, end: int, hits: Hits) -> None:
        found = read(text, start, end)
        if found is not None:
            hits.append((found[0], found[1], rank, found[2]))

    return act


def _block(text: str, start: int, end: int, hits: Hits) -> None:
    if hits and hits[-1][0] <= start < hits[-1][1]:
        return  # in the block that was just found
    found = blocks.private_key(text, start, end)
    if found is not None:
        hits.append((found[0], found[1], TOKEN, found[2]))


def _cluster(text: str, start: int, end: int, hits: Hits) -> None:
    for found in blocks.cluster_secret(text, start, end):
        hits.append((found[0], found[1], NAMED, found[2]))


def _surest_first(rule: Rule) -> int:
    """Of rules behind one provider's name, those with fixed letters before those of any."""
    return 0 if rule.pieces[0].texts else 1


def _at(text: str, start: int, end: int, hits: Hits) -> None:
    found = private.url_password(text, start, end)
    if found is not None:
        hits.append((found[0], found[1], NAMED, found[2]))
        return
    found = private.email(text, start, end)
    if found is not None:
        hits.append((found[0], found[1], NUMBER, found[2]))


def percent(text: str, start: int, end: int, hits: Hits) -> None:
    """Stands for itself: the whole text is decoded once, however many of these there are."""


def escapes(text: str, start: int, end: int, hits: Hits) -> None:
    """The same."""


DECODERS = frozenset({percent, escapes})


def try_rule(rule: Rule, text: str, start: int, hits: Hits) -> None:
    found = rule.expression.match(text, start)
    if found is not None and _stands_alone(text, start, found.end()) and rule.fits(found[0]):
        hits.append((start, found.end(), TOKEN, rule.kind))


def _token(rule: Rule, before: int) -> Act:
    if not before:
        return lambda text, start, end, hits: try_rule(rule, text, start, hits)

    def act(text: str, start: int, end: int, hits: Hits) -> None:
        for found in rule.expression.finditer(text, max(0, start - before), min(len(text), end + before)):
            if found.start() <= start and end <= found.end():
                if _stands_alone(text, found.start(), found.end()) and rule.fits(found[0]):
                    hits.append((found.start(), found.end(), TOKEN, rule.kind))
                return

    return act


def _telling_heads(rules: Iterable[Rule]) -> dict[str, str]:
    """Head of a provider's tokens, as it is written -> kind."""
    heads: dict[str, str] = {}
    for rule in rules:
        for head in rule.heads:
            if len(head) > 2 and head[-1] in "_-.":
                heads.setdefault(head, rule.kind)
    return heads


_RELATIVE = re.compile(r"[A-Za-z0-9_\-]{20,400}")


def _relative(head: str, kind: str) -> Act:
    """What begins as a provider's tokens do and looks as if a machine had made it, in a length or with
    letters that no rule knows: providers change them, and documentation is behind."""

    def act(text: str, start: int, end: int, hits: Hits) -> None:
        found = _RELATIVE.match(text, end)
        if found is None or not text.startswith(head, start) or text[start - 1 : start] in ("_", "-"):
            return
        if not _stands_alone(text, start, found.end()):
            return
        said = found[0].rstrip("_-")
        if not is_identifier(said) and is_random(said):
            hits.append((start, end + len(said), TOKEN, kind))

    return act


_ESCAPED = re.compile(r"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9a-fA-F]{2})$")


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Not a piece of a longer row of letters and digits."""
    if end < len(text) and text[end].isalnum() and text[end].isascii():
        return False
    if start and text[start - 1].isalnum() and text[start - 1].isascii():
        return _ESCAPED.search(text, max(0, start - 6), start) is not None
    return True


_OTHER_IDS = re.compile(
    r"(?<![A-Za-z_])id[^A-Za-z0-9]*$|(?:request|trace|span|run|order|session|correlation|event|message|user|build|commit|digest|sha\d*|hash|"
    r"checksum|etag|revision|version|deploy\w*|release|page|product|customer|invoice)"
    r"[_\-. ]?(?:id|sha)?[^A-Za-z0-9]*$",
    re.I,
)


def _near(rules: list[Rule]) -> Act:
    def act(text: str, start: int, end: int, hits: Hits) -> None:
        found = value_near(text, end)
        if found is None:
            return
        begin, stop = found
        if _OTHER_IDS.search(text, end, begin):
            return
        while stop > begin and text[stop - 1] in ".:!":
            stop -= 1
        value = text[begin:stop]
        if is_wordy(value) or is_identifier(value):
            return
        for rule in rules:
            if rule.expression.fullmatch(value) and rule.fits(value):
                hits.append((begin, stop, TOKEN, rule.kind))
                return

    return act


def _named(kind: str, accepts: Callable[[Value, str], bool]) -> Act:
    def act(text: str, start: int, end: int, hits: Hits) -> None:
        while end > start and not (text[end - 1].isalnum() and text[end - 1].isascii()):
            end -= 1  # the word alone, without the sign that the search asked for
        value = value_after(text, start, end)
        if value is None or about_something_else(value, text[start:end].lower()):
            return
        if accepts(value, text):
            hits.append((value.start, value.end, NAMED, kind))

    return act


def _is_short_named(value: Value, text: str) -> bool:
    """`pass` is also a verb, and the end of `bypass`: it must be the name, or the last word of it."""
    name = value.name.lower().lstrip("-")
    return (
        (name == "pass" or name.endswith(("_pass", "-pass", ".pass", "_pw", "-pw")))
        and value.how != "flag"
        and is_password(value, text)
    )
