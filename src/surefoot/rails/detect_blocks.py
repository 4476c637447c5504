"""Secrets with a structure of their own: private keys in PEM and PGP blocks, JSON web tokens, `Authorization`
headers, `.netrc` lines, users and passwords on a command line, text inside base64.
"""

from __future__ import annotations

import base64
import binascii
import re

from .checks import entropy
from .detect_assign import is_dummy

Found = tuple[int, int, str] | None
"""Start, end, kind."""

_LONGEST_BLOCK = 20_000
_PEM_HEAD = re.compile(r"-----\s?BEGIN [A-Z0-9 ]{0,32}$")
_PEM_TAIL = re.compile(r"-----\s?END [A-Z0-9 ]{0,32}(?:PRIVATE KEY|private key)(?: BLOCK)?(?:-----)?", re.I)
_BASE64_LINE = re.compile(r"[A-Za-z0-9+/=]{16}")
_PEM_BODY = re.compile(r"(?:[A-Za-z0-9+/=\s:.,()\-]|\\+[nr]|\\/){0,20000}+")


def private_key(text: str, start: int, end: int) -> Found:
    """At `private key-----`: the block from BEGIN to END, or as far as it goes."""
    head = _PEM_HEAD.search(text, max(0, start - 48), start)
    if head is None:
        return None
    at = text.find("END", end, end + _LONGEST_BLOCK)
    tail = None if at < 0 else _PEM_TAIL.search(text, max(end, at - 8), at + 64)
    if tail is not None:
        stop = tail.end()
        inner = re.sub(r"\\+[nr]|[\s.…]", "", text[end : tail.start()])
        if _BASE64_LINE.search(inner) is None or len(set(inner)) < 6:
            return None  # a pattern, a template, a sentence about keys
        return head.start(), stop, "private-key"
    body = _PEM_BODY.match(text, end)
    if body is None or len(re.sub(r"\\+[nr]|\s", "", body[0])) < 24 or body[0].count(" ") > len(body[0]) // 8:
        return None
    return head.start(), body.end(), "private-key"


_PPK = re.compile(
    r"private-lines: ?\d{1,3}(?:\r?\n|\\r?\\n|\\n)((?:[A-Za-z0-9+/=]{1,80}(?:\r?\n|\\r\\n|\\n)?){1,200})",
    re.I,
)


def putty_key(text: str, start: int, end: int) -> Found:
    found = _PPK.match(text, start)
    return None if found is None else (found.start(1), found.end(1), "private-key")


_JWT = re.compile(
    r"eyJ[A-Za-z0-9_\-]{8,4000}={0,2}\.(?:eyJ|[A-Za-z0-9_\-])[A-Za-z0-9_\-]{8,8000}={0,2}(?:\.[A-Za-z0-9_\-/+]{0,4000}={0,2}){0,3}"
)


def web_token(text: str, start: int, end: int) -> Found:
    """At `eyJ`, which is base64 for the `{"` that its header begins with."""
    if start and text[start - 1].isalnum() and text[start - 2 : start - 1] != "\\":
        return None
    found = _JWT.match(text, start)
    if found is None:
        return None
    if ".eyJ" in found[0] and len(found[0]) >= 40:
        return found.start(), found.end(), "jwt"
    head = found[0].partition(".")[0].rstrip("=")
    try:
        said = base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))
    except (binascii.Error, ValueError):
        return None
    if b'"alg"' not in said and b'"typ"' not in said and b'"enc"' not in said and b'"kid"' not in said:
        return None
    return found.start(), found.end(), "jwt"


_SCHEME = re.compile(
    r"(?:[ \t]{1,4}|\\u0020|%20|\+|:[ \t]?|=[ \t]?)(?:\\{0,3}[\"'])?([A-Za-z0-9._~+/\-]{8,4096}={0,2})"
)


def bearer(text: str, start: int, end: int) -> Found:
    """Behind `bearer`."""
    found = _SCHEME.match(text, end)
    if found is None or (start and text[start - 1].isalnum() and text[start - 2 : start - 1] != "\\"):
        return None
    said = found[1].rstrip(".")
    if is_dummy(said) or len(said) < 12 or (not any(sign.isdigit() for sign in said) and entropy(said) < 3.8):
        return None
    if re.fullmatch(r"[a-z]+(?:[-_./][a-z]+)*|[A-Za-z]+", said) and len(said) < 24:
        return None
    return found.start(1), found.start(1) + len(said), "bearer-token"


def basic(text: str, start: int, end: int) -> Found:
    """Behind `basic`: base64 of a user, a colon and a password."""
    found = _SCHEME.match(text, end)
    if found is None:
        return None
    said = _decoded(found[1])
    if said is None or ":" not in said:
        # Where the header says so, bytes that are no text are a password in some other alphabet.
        announced = "authorization" in text[max(0, start - 30) : start].lower()
        if not announced or len(found[1]) < 16 or is_dummy(found[1]) or not _MIXED.search(found[1]):
            return None
    return found.start(1), found.end(1), "basic-auth"


_MIXED = re.compile(r"[a-z][A-Z0-9][a-zA-Z]|[0-9][A-Za-z]")


def _decoded(blob: str) -> str | None:
    """The printable text that base64 holds, if it does."""
    blob = blob.rstrip("=").replace("-", "+").replace("_", "/")
    if len(blob) % 4 == 1:
        return None
    try:
        said = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return said if all(sign.isprintable() or sign in "\r\n\t" for sign in said) else None


_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
LONGEST_BLOB = 200_000


def text_inside(blob: str) -> str | None:
    """What a long row of base64 says in plain words; None for digests, images and the like. The first letters
    are tried alone, so that a megabyte of picture costs as much as a line of it."""
    if len(blob) > LONGEST_BLOB or _HEXADECIMAL.fullmatch(blob):
        return None
    if _decoded(blob[:24]) is None and _decoded(blob[:20]) is None and _decoded(blob[:16]) is None:
        return None
    whole = blob.rstrip("=")
    return _decoded(whole) or (_decoded(whole[:-1]) if len(whole) % 4 == 1 else None)


_CURL_USER = re.compile(
    r"[ \t=]{1,3}(?:\\{0,3}[\"'])?([^\s:\"'\\]{0,128}):(?:\\{0,3}[\"'])?([^\s\"'\\]{3,256})"
    r"|[ \t=]{1,3}\\{0,3}[\"']([^\s:\"'\\]{8,128}):\\{0,3}[\"']"
)


def command_user(text: str, start: int, end: int) -> Found:
    """Behind `-u` or `--user` of a command that speaks HTTP."""
    if (
        "curl" not in text[max(0, start - 300) : start].lower()
        and "wget" not in text[max(0, start - 300) : start].lower()
    ):
        return None
    found = _CURL_USER.match(text, end)
    if found is None:
        return None
    part = 2 if found[2] else 3  # a key may stand where the user would
    if is_dummy(found[part]) or found[part] in ("test", "pass", "token", "yyy"):
        return None
    return found.start(part), found.end(part), "password"


_ATTACHED = re.compile(r"([^\s\"'\\]{4,128})")


_SPACED = re.compile(r"[ \t]?(?:\\{0,3}[\"'])?([^\s\"'\\]{4,128})")


def attached_password(text: str, start: int, end: int) -> Found:
    """Behind `-p` of a MySQL command, which wants the password without a space, and of sshpass."""
    head = text[max(0, start - 120) : start].lower()
    if text[end - 1 : end] != "p":
        return None
    if head.endswith("sshpass"):
        found = _SPACED.match(text, end)
    elif "mysql" in head:
        found = _ATTACHED.match(text, end)
    else:
        return None
    if found is None or is_dummy(found[1]) or re.match(r"(?:ort|rotocol|lugin|assword|ath|ipe)", found[1]):
        return None
    return found.start(1), found.end(1), "password"


_NETRC = re.compile(r"(?:[ \t\r\n]|\\n){1,4}(\S{3,128}?)(?=\s|\\n|[\"']|$)")


def netrc(text: str, start: int, end: int) -> Found:
    """Behind `password` where `machine` and `login` stand before it."""
    head = text[max(0, start - 200) : start]
    if "login" not in head or ("machine" not in head and "default" not in head):
        return None
    found = _NETRC.match(text, end)
    if found is None or is_dummy(found[1]):
        return None
    return found.start(1), found.end(1), "password"


_WEBHOOK_SIGNATURE = re.compile(r"=([A-Za-z0-9%+/_\-]{40,120}={0,2})")


def url_signature(text: str, start: int, end: int) -> Found:
    """Behind `sig` or `signature` in a signed URL: whoever has it may do what it signs."""
    found = _WEBHOOK_SIGNATURE.match(text, end)
    return None if found is None else (found.start(1), found.end(1), "url-signature")


_DATA = re.compile(r"data[\"']?:")
_ENTRY = re.compile(
    r"(?:\s|\\+[nrt]|[{,]|#[^\n\\]{0,200})*[\"']?[\w.\-]{1,128}\\?[\"']?:(?:\s|\\+n|[|>][-+]?)*"
    r"\\?[\"']?([A-Za-z0-9+/]{9,20000}={0,3})(?![A-Za-z0-9+/:])\\?[\"']?"
)


def _data(text: str, start: int, end: int) -> re.Match[str] | None:
    for found in _DATA.finditer(text, start, end):
        if text[found.start() - 1 : found.start()] in ("\n", "{", ",", "n", "t", " ", '"', "'"):
            return found
    return None


def cluster_secret(text: str, start: int, end: int) -> list[tuple[int, int, str]]:
    """Around `kind: Secret` of Kubernetes: the values of its `data`, which are base64."""
    found: list[tuple[int, int, str]] = []
    if text[end : end + 1].isalnum():
        return found
    least, most = max(0, start - 2_000), min(len(text), end + 2_000)
    data = _data(text, end, most) or _data(text, least, start)
    at = data.end() if data else most
    while (entry := _ENTRY.match(text, at)) is not None:
        found.append((entry.start(1), entry.end(1), "secret"))
        at = entry.end()
    return found


_CVV = re.compile(
    r"(?:[ _\-]?(?:code|number|no\.?|2))?\\{0,3}[\"']? {0,2}(?:[:=]|is|was)? {0,2}\\{0,3}[\"']?"
    r"(\d{3,4})(?![\d.,]\d|\d)"
)


def card_code(text: str, start: int, end: int) -> Found:
    """Behind `cvv` and its other names: three or four digits."""
    if start and text[start - 1].isalnum() and text[start - 2 : start - 1] != "\\":
        return None
    found = _CVV.match(text, end)
    return None if found is None else (found.start(1), found.end(1), "card-code")
