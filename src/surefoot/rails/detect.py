"""Detection: secrets and private data that nobody told us of, found by their looks.

The second and third layer of redaction; the first, in `redaction.py`, knows the exact values. One
Aho-Corasick pass goes over the text for a thousand words: the letters that tokens begin with, the names
that secrets are given, an @, the shapes of numbers (every digit counts as 0 there). Ordinary text has few of
them, so this pass is what it costs. Where one stands, the function or expression behind it reads the
surroundings and says yes or no:

    detect_rules     shapes of providers' tokens, from the data file secret_rules.txt
    detect_assign    values that only a name gives away: password=..., "api_key": "..."
    detect_blocks    private keys, web tokens, authorization headers, text inside base64
    detect_private   e-mail, card, IBAN, SSN, IP address, telephone
    detect_encoded   what the same text says once its escapes are undone

Each of them is bounded in what it reads around a place, so that no text can make the whole slow. Nothing here
learns, guesses a language or asks a model: the same text always has the same findings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from . import detect_blocks as blocks
from . import detect_private as private
from .checks import IBAN_LENGTHS
from .detect_assign import (
    Value,
    about_something_else,
    is_identifier,
    is_lone_key,
    is_password,
    is_strong_token,
    is_token,
    is_wordy,
    value_after,
    value_near,
)
from .detect_encoded import without_escapes, without_percent
from .detect_rules import Rule, plainly, read_rules


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding: `text[start:end]` is the secret itself, without its name or quotes; `kind` is what stands
    in its place, small letters, digits and dashes."""

    kind: str
    start: int
    end: int


Hits = list[tuple[int, int, int, str]]
"""Start, end, rank (0 is the surest), kind."""
Act = Callable[[str, int, int, Hits], None]
"""What is done where a word stands: text, start and end of the word, where to put what was found."""

TOKEN, NUMBER, NAMED = 0, 1, 2

_AS_SEARCHED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000")
_RUN_SIGNS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/"
_AS_RUNS = bytes(97 if sign in _RUN_SIGNS else 32 for sign in range(256))
_SHORTEST_RUN = 21
_RUN = b"a" * _SHORTEST_RUN
_SHORTEST_BLOB = 32
_SHORTEST_LINE = 40
_LINE_BREAK = re.compile(r"(?:\r?\n|\\r\\n|\\n)[ \t]{0,8}")
_ROUNDS = 16
_REACH = 400
_DEEPEST = 2
"""Levels of encoding that are undone: URLs inside JSON inside base64 is one too many to be an accident."""

_PASSWORD_NAMES = (
    "passw",
    "passphrase",
    "passwd",
    "passcode",
    "pwd",
    "kennwort",
    "contraseña",
    "mot_de_passe",
    "mdp=",
)
_PASS_NAMES = ("_pass", "-pass", "pass=", "pass:", 'pass"', "pass'", "pass\\", "pass =", "pass ")
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


class Detector:
    """Made once per process with `standard()`; holds nothing of what it reads."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        acts: dict[str, list[Act]] = {}

        def on(words: Iterable[str], act: Act) -> None:
            for word in words:
                acts.setdefault(plainly(word), []).append(act)

        near: dict[str, list[Rule]] = {}
        for rule in self.rules:
            if rule.near:
                for word, _ in rule.keywords:
                    near.setdefault(word, []).append(rule)
            for word, before in () if rule.near else rule.keywords:
                on([word], _token(rule, before))
        for word, around in near.items():
            around.sort(key=_surest_first)
            on([word], _near(around))
        self._runs = tuple((rule, rule.before_run) for rule in self.rules if rule.run)
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
        on(["000 000 000", "0000 00 ", "0000 000 "], _plain(private.dialled_abroad, NUMBER))
        on(["000-000-0000", "000.000.0000", "(000) 000", "(000)000"], _plain(private.north_american, NUMBER))
        on(["(000)", "(0000)", "(00000)", "(00)"], _plain(private.trunk_phone, NUMBER))
        on(
            [
                *("phone", "mobile", "tel:", "tel.", "tel ", "cell", "fax", "call ", "whatsapp", "telefon"),
                *(
                    "my number is ",
                    "reach me ",
                    "handy",
                    "rückruf",
                    "anruf",
                    "teléfono",
                    "móvil",
                    "portable :",
                ),
            ],
            _plain(private.announced_phone, NUMBER),
        )
        on(["%00", "%0a", "%0b", "%0c", "%0d", "%0e", "%0f"], _percent)
        on(["\\u000", "\\/"], _escapes)
        self._acts = tuple(tuple(found) for found in acts.values())
        self._search = BytesAhoCorasick(
            [word.encode("latin-1") for word in acts], implementation=Implementation.DFA
        )

    def find(self, text: str) -> list[Hit]:
        """Findings in order, none over another; an empty list for nearly every text."""
        hits = self._hits(text)
        return _apart(hits) if hits else []

    def redact(self, text: str) -> str:
        """`[kind]` in place of each finding; the very same object when nothing was found."""
        for _ in range(_ROUNDS):
            found = self.find(text)
            if not found:
                return text
            parts: list[str] = []
            last = 0
            for hit in found:
                parts += (text[last : hit.start], "[", hit.kind, "]")
                last = hit.end
            text = "".join(parts) + text[last:]
        return text

    def _hits(self, text: str, depth: int = 0) -> Hits:
        # One byte for each letter, so that places in the bytes are places in the text.
        raw = text.encode("latin-1", "replace")
        hits: Hits = []
        escapes: dict[Act, list[int]] = {}
        acts = self._acts
        for word, start, end in self._search.find_matches_as_indexes(
            raw.translate(_AS_SEARCHED), overlapping=True
        ):
            for act in acts[word]:
                if act in _DECODERS:
                    escapes.setdefault(act, []).append(start)
                else:
                    act(text, start, end, hits)
        runs = raw.translate(_AS_RUNS)
        for colons in private.COLONS.finditer(text):
            if (address := private.ipv6(text, colons.start(), colons.end())) is not None:
                hits.append((address[0], address[1], NUMBER, address[2]))
        at, wrapped = runs.find(_RUN), 0
        while at >= 0:
            stop = runs.find(b" ", at)
            stop = len(runs) if stop < 0 else stop
            self._look_into(text, at, stop, hits, depth)
            if stop - at >= _SHORTEST_LINE and stop >= wrapped and depth < _DEEPEST:
                wrapped = self._look_into_lines(text, runs, at, stop, hits, depth)
            at = runs.find(_RUN, stop)
        if escapes and depth < _DEEPEST:
            for act, places in escapes.items():
                for start, end in _around(places, len(text)):
                    self._look_behind(text, start, end, act, hits, depth)
        return hits

    def _look_into(self, text: str, start: int, end: int, hits: Hits, depth: int) -> None:
        """A long row of letters and digits: a token that begins with nothing telling, or base64 of a text."""
        if text[start - 1 : start] == "\\" and text[start] in "nrt":
            start += 1
        for rule, before in self._runs:
            if before <= start:
                _try(rule, text, start - before, hits)
        if end - start < _SHORTEST_BLOB or depth >= _DEEPEST:
            return
        inside = blocks.text_inside(text[start:end])
        if inside is not None:
            within = self._hits(inside, depth + 1) if len(inside) < end - start else []
            if within:
                best = min(within, key=_by_rank)
                while end < len(text) and text[end] == "=":
                    end += 1
                hits.append((start, end, best[2], best[3]))

    def _look_into_lines(self, text: str, runs: bytes, start: int, end: int, hits: Hits, depth: int) -> int:
        """Base64 that was broken into lines, from the first of them. Gives back where it ends."""
        if text[start - 1 : start] == "\\" and text[start] in "nr":
            start += 1
        width = end - start
        lines = [text[start:end]]
        while (gap := _LINE_BREAK.match(text, end)) is not None:
            stop = runs.find(b" ", gap.end())
            stop = len(runs) if stop < 0 else stop
            if not 0 < stop - gap.end() <= width:
                break
            lines.append(text[gap.end() : stop])
            end = stop
            if len(lines[-1]) < width:
                break
        if len(lines) == 1:
            return 0
        inside = blocks.text_inside("".join(lines))
        within = [] if inside is None else self._hits(inside, depth + 1)
        if within:
            while end < len(text) and text[end] == "=":
                end += 1
            best = min(within, key=_by_rank)
            hits.append((start, end, best[2], best[3]))
        return end

    def _look_behind(self, text: str, start: int, end: int, act: Act, hits: Hits, depth: int) -> None:
        """What a stretch of the text says once its escapes are undone."""
        decoded = (without_percent if act is _percent else without_escapes)(text[start:end])
        if decoded is None:
            return
        for begin, stop, rank, kind in self._hits(decoded.text, depth + 1):
            hits.append((start + decoded.place(begin), start + decoded.place(stop), rank, kind))


def _around(places: list[int], size: int) -> Iterator[tuple[int, int]]:
    """Stretches of the text with an escape never far away."""
    begin, stop = max(0, places[0] - _REACH), places[0] + _REACH
    for place in places[1:]:
        if place - _REACH > stop:
            yield begin, min(stop, size)
            begin = place - _REACH
        stop = place + _REACH
    yield begin, min(stop, size)


def _by_rank(hit: tuple[int, int, int, str]) -> tuple[int, int]:
    return hit[2], hit[0] - hit[1]


def _apart(hits: Hits) -> list[Hit]:
    """Findings that share letters become one, of the surest kind among them: what one of them left out of the
    secret must not stay behind."""
    hits.sort()
    found: list[Hit] = []
    start, end, rank, kind = hits[0]
    longest = end - start
    for next_start, next_end, next_rank, next_kind in hits[1:]:
        if next_start < end:
            size = next_end - next_start
            if (next_rank, -size) < (rank, -longest):
                rank, kind, longest = next_rank, next_kind, size
            end = max(end, next_end)
        else:
            found.append(Hit(kind, start, end))
            start, end, rank, kind = next_start, next_end, next_rank, next_kind
            longest = end - start
    found.append(Hit(kind, start, end))
    return found


# ── what is done where a word stands ──


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


def _percent(text: str, start: int, end: int, hits: Hits) -> None:
    """Stands for itself: the whole text is decoded once, however many of these there are."""


def _escapes(text: str, start: int, end: int, hits: Hits) -> None:
    """The same."""


_DECODERS = frozenset({_percent, _escapes})


def _try(rule: Rule, text: str, start: int, hits: Hits) -> None:
    found = rule.expression.match(text, start)
    if found is not None and _stands_alone(text, start, found.end()) and rule.fits(found[0]):
        hits.append((start, found.end(), TOKEN, rule.kind))


def _token(rule: Rule, before: int) -> Act:
    if not before:
        return lambda text, start, end, hits: _try(rule, text, start, hits)

    def act(text: str, start: int, end: int, hits: Hits) -> None:
        for found in rule.expression.finditer(text, max(0, start - before), min(len(text), end + before)):
            if found.start() <= start and end <= found.end():
                if _stands_alone(text, found.start(), found.end()) and rule.fits(found[0]):
                    hits.append((found.start(), found.end(), TOKEN, rule.kind))
                return

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
        (name == "pass" or name.endswith(("_pass", "-pass", ".pass")))
        and value.how != "flag"
        and is_password(value, text)
    )


@cache
def standard() -> Detector:
    """The detector with the packaged rules, made when it is first asked for."""
    return Detector(read_rules())
