"""Secrets that only their name gives away: `password=...`, `"api_key": "..."`, `--token ...`, `<secret>...`.

The search finds the word; this module reads what stands around it as somebody would who knows none of the
languages: the rest of the name, then something that gives a value (`=`, `:`, `=>`, `>`, a comma in a call),
then the value, quoted or bare. Whether that value is a secret or a type, a variable, a sentence or a dummy is
decided here too, and decides the precision of the whole: in code these words stand everywhere, and mostly
beside no secret at all.

All expressions are bounded and never go back over what they have read, so that no text can make them slow.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from .checks import entropy


class Value(NamedTuple):
    """What a name is given."""

    name: str
    start: int
    end: int
    text: str
    """What it is judged by: its first JUDGED characters, so that one name after the other costs no more."""
    quoted: bool
    how: str
    """What gave it: `=`, `:`, `flag`, `is` and so on."""


_NAME_SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_GAP = r"(?:[ \t\r\n]|\\{1,7}[nrt]){0,16}+"
_QUOTE = r"(?:\\{0,7}(?:\"{3}|'{3}|[\"'`])|&quot;|&\#34;|%22)"
_AFTER = re.compile(
    rf"""
    (?P<rest>[A-Za-z0-9_.\-]{{0,48}}+)
    (?P<close>{_QUOTE}?(?:\[?\])?)
    (?:[ \t]{{0,2}}:[ \t]{{0,2}}[A-Za-z_][A-Za-z0-9_.\[\]|?]{{0,24}}+[ \t]{{0,2}}(?==[^=>]))?+
    (?P<gap>
      {_GAP}(?P<how>
          :\ ?[|>][-+]?(?=[ \t\\\r\n])
        | (?:,\ ?)?+{_QUOTE}?[Vv]alue{_QUOTE}?\ ?[:=]
        | :{{1,3}}= | [?.+]= | =>? | ={{2,3}} | !={{1,2}} | :(?!//) | > | , | \|\|
      ){_GAP}
    | [ \t]{{1,4}}(?P<verb>is|was|=)[ \t]{{1,2}}:?[ \t]?
    | (?P<flag>[ \t]{{1,4}})
    )
    (?:\{{[^{{}}"']{{0,160}}?\bdefault\s{{0,8}}=\s{{0,4}})?+  # a variable of Terraform
    (?:(?:bytes|str|String|Secret|SecretStr|new\ String|b64decode|Buffer\.from)\()?+
    (?:[bBrRfFuUL@$]{{0,2}}(?P<quote>{_QUOTE}))?
    """,
    re.X,
)
_BARE = re.compile(r"(?:[^\s\"'`<>,;&|(){}\[\]\\=]{1,512}+={0,2}){1,4}")
_LONGEST = 2048
JUDGED = 200


def value_after(text: str, start: int, end: int) -> Value | None:
    """What the name that has `text[start:end]` in it is given, if anything."""
    found = _AFTER.match(text, end)
    if found is None:
        return None
    head = text[max(0, start - 40) : start]
    begin = start - len(head) + len(head.rstrip(_NAME_SIGNS))
    if begin and text[begin - 1] == "\\" and begin < start and text[begin] in "nrt":
        begin += 1
    name = text[begin : found.end("rest")]
    how = found["how"] or found["verb"] or "flag"
    if how == "," and "\n" in found["gap"]:
        return None  # the next thing in a list
    at = found.end()
    if (quote := found["quote"]) is not None:
        stop = text.find(quote, at, at + _LONGEST)
        if stop < 0 and len(quote) > 1 and quote[0] == "\\":
            stop = text.find(quote[-1], at, at + _LONGEST)
        while stop > 0 and quote in "\"'`" and _is_escaped(text, stop, at):
            stop = text.find(quote, stop + 1, at + _LONGEST)
        if stop < 0:
            return None
        if "\n" in text[at:stop] and len(quote) == 1:
            return None
        return Value(name, at, stop, text[at : min(stop, at + JUDGED)], quoted=True, how=how)
    gap = found["gap"]
    if ("\n" in gap or "\\n" in gap) and not (how == ">" or how[-1] in "|>-+"):
        return None
    bare = _BARE.match(text, at)
    if bare is None:
        return None
    value = bare[0].rstrip(".:!?") if how == "is" else bare[0]
    stop = at + len(value)
    if how == "flag" and not name.startswith("-") and not is_random(value[:JUDGED]):
        return None  # nothing gives it: two words of a sentence
    return Value(name, at, stop, value[:JUDGED], quoted=False, how=how)


_BEHIND_PROVIDER = re.compile(
    rf"""
    [A-Za-z0-9_.\-\s]{{0,40}}?
    (?:{_QUOTE}|[\ \t\])]){{0,4}}
    (?::{{1,4}}= | [?.+]= | =>? | ={{2,3}} | !={{1,2}} | :(?!//) | > | , | \|\|?
      | \ (?=["']?[A-Za-z0-9_+/.:\-]{{16}}))
    (?:{_GAP}(?:{_QUOTE}|=|\ |[bBrRfFuUL@$](?=["'])|\()){{0,5}}{_GAP}
    (?P<value>[A-Za-z0-9_+/=.~:!|*%\-]{{5,600}}+)
    """,
    re.X,
)


def value_near(text: str, end: int) -> tuple[int, int] | None:
    """Where the value of a name that begins with a provider's stands: read with less care than in
    `value_after`, because the value will have to have that provider's shape."""
    found = _BEHIND_PROVIDER.match(text, end)
    return None if found is None else found.span("value")


def _is_escaped(text: str, at: int, least: int) -> bool:
    count = 0
    while at - 1 - count >= least and text[at - 1 - count] == "\\":
        count += 1
    return count % 2 == 1


# ── what is no secret ──

_OTHER_THINGS = (
    "id ids url urls uri uris path paths file files filename dir name names type types expiry expires "
    "expired expires_at expires_in expiration ttl len length count size hint policy at endpoint "
    "version algorithm alg format field column label header prefix suffix regex pattern provider "
    "class required enabled status scope scopes arn ref index limit usage budget in out input output "
    "total cached manager store strength placeholder error message text title help description "
    "changed reset attempts age set rotation present reader parser validator factory handler service "
    "encoder izer ize ized ization model request response min max"
)
_NAMES_OF_OTHER_THINGS = re.compile(rf"[_.\-]?(?:{_OTHER_THINGS.replace(' ', '|')}|per_.{{1,16}})s?$", re.I)
_OTHER_KINDS = (
    r"next page prev cursor continu\w* cancel\w* stop eos bos pad unk mask max min num total input "
    r"output prompt completion cached sync idempot\w* primary foreign public sort partition cache "
    r"object group row column hash unique natural surrogate range composite index lookup map dict s3 "
    r"kms routing message event shape ordering dedup\w* tracking reset forgot invalid bad no is has "
    r"check verify validate count lex\w* pars\w* token_?type tokeni\w*"
)
_NO_SECRET_WORDS = re.compile(
    rf"(?:(?<![A-Za-z])|(?-i:(?<=[a-z])(?=[A-Z])))(?:{_OTHER_KINDS.replace(' ', '|')})[_\-.]?$", re.I
)
_STAND_INS = (
    "your my the some any an a insert replace enter put add change use set todo fixme dummy fake mock "
    "sample example placeholder redacted hidden masked removed none null nil undefined true false yes "
    "no on off required optional str string int integer bool boolean bytes text varchar char object "
    "self this default empty test unset missing invalid not process config settings env os secret "
    "secrets password passwd pass pwd token key apikey api_key input type value hash auth vault "
    "credential credentials basic bearer digest oauth oauth2 unknown passwort kennwort any void number buffer"
)
_FILES = (
    "json|ya?ml|py|js|ts|env|pem|txt|toml|crt|key|md|html|css|php|rb|go|java|xml|png|svg|log|conf|ini|cfg"
)
_DUMMY = re.compile(
    rf"""
      \[[^\[\]]*\] | <[^<>]*>?.{{0,3}}                                      # [secret], <your-key>
    | \{{\{{[\s\w.$|"'\-:,/()]*\}}?\}}? | \{{[\w.\-:\ ]*\}} | %\w*%?        # templates
    | \$\(.* | \$\w* | \$\d.* | \$\{{.* | .*\$\{{\{{?[\w.:\-/\ ]*\}}.* | .*\{{\{{[\s\w.$]+\}}\}}.*
    | [xX*.•\-_\#?0]{{3,}}.{{0,4}}
    | (?:{_STAND_INS.replace(" ", "|")})(?:[\ _\-.:/<>].*)?
    | .*(?:example|change_?-?me|placeholder|redacted|x{{5,}}|\*{{4,}}|\.\.\.|…|[-_]here\b|goes.here).*
    | .*(?:fake|dummy|sample)[_\-]?(?:secret|key|token|pass|value).*
    | [A-Z][A-Za-z0-9]*\.[A-Za-z0-9_.]+ | [a-z_]+(?:\.[A-Za-z_][A-Za-z0-9_]*)+   # names with dots
    | (?:https?|file|arn|sha\d+|md5|urn):.* | \.{{0,2}}/[\w./\-]* | .*\.(?:{_FILES})
    | (?:\d{{1,4}}[-/.:T\ ]){{2,}}\d{{0,4}}.* | [@&].* | -+.* | [)\]}};,][;,)\s].* | .*@openssh\.com
    """,
    re.X | re.I | re.S,
)
_WORDY = re.compile(r"_{0,2}[^\W\d_]{2,}\d?(?:[_\-./: ,'!?()]{1,3}[A-Za-z]{1,}\d?)*[.!?:]?")
_SENTENCE = re.compile(
    r"[A-Za-z'’,;:.!?()\-]+(?: [A-Za-z'’,;:.!?()\-]+){2,}|[A-Z][a-z]+ [a-z]+(?: [a-z]+)*[.!?:]?"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def about_something_else(value: Value, word: str) -> bool:
    """The name is that of something beside the secret: `token_type`, `password_reset_url`, `max_tokens`."""
    name = value.name
    at = name.lower().rfind(word)
    after, before = name[at + len(word) :], name[:at]
    return bool(_NAMES_OF_OTHER_THINGS.search(after)) or bool(before and _NO_SECRET_WORDS.search(before))


def is_dummy(text: str) -> bool:
    """A placeholder, a variable, a path, a sentence: what stands where a secret would."""
    return _DUMMY.fullmatch(text) is not None or len(set(text)) < 3


_CONSTANT = re.compile(r"_{0,2}[A-Z]+(?:_[A-Z0-9]+)+")
_CAMEL = re.compile(r"[a-z]*(?:[_\-. ]?[A-Z]{0,6}[a-z]{2,})+")


def is_wordy(text: str) -> bool:
    """Words and nothing else, or all one letter: no token that a provider made."""
    if len(set(text)) < 3:
        return True
    if any(sign.isdigit() for sign in text):
        return False
    return text.islower() or text.isupper() or _CAMEL.fullmatch(text) is not None


_LONG_WORDS = re.compile(r"[a-z]{4,}")
_DIGITS = re.compile(r"\d+")
_PLACEHOLDER = re.compile(r"\[(?:secret:|[a-z-]+-\d+\])")


def is_identifier(text: str) -> bool:
    """`V1OrganizationKeysPostRequest`: large and small letters, and half of them in words."""
    if text.islower() or text.isupper() or (len(text) >= 32 and len(_DIGITS.findall(text)) > 2):
        return False
    return 2 * sum(map(len, _LONG_WORDS.findall(text))) >= len(text)


def is_password(value: Value, text: str) -> bool:
    """A word as weak as people choose them, so the surroundings must show that it is one."""
    size = value.end - value.start
    if size < 4 or size > JUDGED or is_dummy(value.text) or (value.how == "," and not value.quoted):
        return False
    if _CONSTANT.fullmatch(value.text) and value.text.upper() in (value.name.upper(), value.text):
        return False
    if value.quoted:
        if " " in value.text and (value.how == ">" or value.text.rstrip().endswith((":", "?"))):
            return False  # between a name in brackets and the next quote; a prompt
        if value.how in (",", "!=", "!==", "==", "===", ">") and _WORDY.fullmatch(value.text):
            return value.how == "," and _looks_random(value.text)
        return not _SENTENCE.fullmatch(value.text) and "\n" not in value.text
    if text[value.end : value.end + 1] in ("(", "[", "{") and value.end < len(text):
        # A call, an index, a template; but not where something that was hidden before adjoins.
        return _PLACEHOLDER.match(text, value.end) is not None and size >= 8 and not is_wordy(value.text)
    if value.how in ("is", "was"):
        return size >= 5 and any(sign.isdigit() for sign in value.text)
    if _WORDY.fullmatch(value.text):
        # A bare word: a variable in code, a password in an environment file, a form or a command.
        if any(sign.isdigit() for sign in value.text) or not is_wordy(value.text):
            random_looks = not is_identifier(value.text) and (size >= 8 or value.how != ":")
            in_element = value.how == ">" and text[value.end : value.end + 2] == "</" and size >= 8
            return (value.how in ("=", "flag", ":") or in_element) and random_looks
        return value.how == "=" and (value.name.isupper() or value.name.startswith("--"))
    if value.how in (",", ">"):
        return any(sign.isdigit() or not sign.isalnum() for sign in value.text) and size >= 5
    return size >= 5 or value.text.isdigit()


def is_token(value: Value, text: str) -> bool:
    """Made by a machine: long enough, with digits, and no words in it."""
    said = value.text
    if said[:7].lower() == "bearer " or said[:6].lower() == "basic ":
        return False  # has a rule of its own
    size = value.end - value.start
    if size < 8 or size > _LONGEST or is_dummy(said) or " " in said:
        return False
    if not value.quoted and (value.how == "," or text[value.end : value.end + 1] in ("(", "[")):
        return False
    if is_identifier(said) or _CONSTANT.fullmatch(said) or said in value.name:
        return False
    if _UUID.fullmatch(said):
        return True
    if _DIGITS.search(said) is None:
        return size >= 16 and entropy(said) >= 3.5 and not _WORDY.fullmatch(said) and _is_mixed(said)
    if said.isdigit():
        return size >= 16 and value.quoted
    if _slug(said):
        return False
    return entropy(said) >= (2.5 if size < 20 else 3.0)


def is_lone_key(value: Value, text: str) -> bool:
    """`key` alone names nearly anything; what is made to be kept secret has letters of both cases."""
    said = value.text
    both = said != said.lower() and said != said.upper()
    return both and len(said) >= 20 and entropy(said) >= 3.8 and is_strong_token(value, text)


def is_strong_token(value: Value, text: str) -> bool:
    """For words that nearly always name something else (`_key=`): only what looks random throughout."""
    said = value.text
    if len(said) < 16 or _UUID.fullmatch(said) or not is_token(value, text):
        return False
    return entropy(said) >= 3.3 and _is_mixed(said)


def _is_mixed(said: str) -> bool:
    """Two changes between kinds of letters for every eight: random texts have more, camel case has fewer."""
    kinds = [
        "d" if sign.isdigit() else "u" if sign.isupper() else "l" if sign.islower() else "o" for sign in said
    ]
    changes = sum(1 for one, two in pairwise(kinds) if one != two)
    return changes * 4 >= len(said)


def _looks_random(said: str) -> bool:
    """Of a word in quotes behind a comma: letters of both cases and a digit, and no words in it."""
    both = said != said.lower() and said != said.upper() and any(sign.isdigit() for sign in said)
    return both and len(said) >= 10 and not is_identifier(said) and _is_mixed(said)


def is_random(said: str) -> bool:
    """A row of letters, digits and signs that nobody wrote: both cases, digits, changing all the time."""
    both = said != said.lower() and said != said.upper()
    return (
        both
        and len(said) >= 20
        and any(sign.isdigit() for sign in said)
        and entropy(said) >= 3.5
        and _is_mixed(said)
        and not _slug(said)
    )


_SLUG = re.compile(r"(?:[A-Za-z]+|\d{1,8})(?:[_\-./: ](?:[A-Za-z]{1,}\d{0,3}|\d{1,8}[a-z]?))+")


def _slug(said: str) -> bool:
    """Words and short numbers with separators, as in `orders-2026-11` or `shop.tokens.v2`."""
    return _SLUG.fullmatch(said) is not None
