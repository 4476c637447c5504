"""How a known value may be written, so that it is recognised in every form.

Two ways, because forms are of two kinds. Some are texts of their own, which can be listed: base64, hex.
Others only write some of the characters differently: JSON escapes at any depth, percent signs, HTML
entities, line breaks that a mail program or a pretty printer put in. No list has all of those, so text and
value are both brought to one plain reading (`flat`), and compared there.
"""

from __future__ import annotations

import base64
import html
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote, quote_plus, unquote_to_bytes

from ..core.jsons import dumps

SHORTEST = 6
"""Characters of a form. A shorter one would hit ordinary words."""

SHORTEST_LINE = 12
"""Of a value that has several lines, a line of at least this length is looked for by itself."""


def plain_forms(value: str) -> list[str]:
    """The value, and as JSON writes it: with or without escapes for what is not ASCII, with or without one
    for a slash, and again where that JSON is itself a text inside JSON, three levels deep."""
    level = [
        value,
        json.dumps(value)[1:-1],
        value.replace("/", "\\/"),
        json.dumps(value)[1:-1].replace("/", "\\/"),
    ]
    forms = list(level)
    for _ in range(3):
        level = [dumps(form)[1:-1] for form in level]
        forms += level
    return list(dict.fromkeys(forms))


CASINGS = (str.upper, str.lower, str.title)


def casings(value: str) -> list[str]:
    """The value, and in capitals as a label has a name, in small letters, and as a name. A short one would
    hit other words then."""
    cased = [casing(value) for casing in CASINGS] if len(value) >= SHORTEST else []
    return list(dict.fromkeys([value, *cased]))


def encoded_forms(value: str) -> list[str]:
    """URL-encoded, quoted-printable, HTML, hex, and base64 at its three alignments."""
    raw = value.encode(errors="surrogatepass")
    forms = []
    for quoted in _quoted(value, raw):
        forms += [quoted, _PERCENT.sub(lambda found: found[0].lower(), quoted)]
    if len(raw) >= SHORTEST:
        forms += [raw.hex(), raw.hex().upper()]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Only characters whose six bits are all the value's own are the same in every surrounding.
            text = encode(b"\0" * shift + raw).decode()
            forms.append(text[-(-8 * shift // 6) : 8 * (shift + len(raw)) // 6])
    return [form for form in dict.fromkeys(forms) if len(form) >= SHORTEST]


def _quoted(value: str, raw: bytes) -> list[str]:
    printable = "".join(chr(byte) if 32 <= byte < 127 and byte != 61 else f"={byte:02X}" for byte in raw)
    forms = [printable, html.escape(value), html.escape(value, quote=False)]
    with suppress(UnicodeEncodeError):  # half of a surrogate pair stands in no address
        forms += [quote(value, safe=""), quote(value), quote_plus(value), quote(quote(value, safe=""))]
    return forms


_PERCENT = re.compile("%[0-9A-F]{2}")


def secret_forms(value: str) -> list[str]:
    """All forms to look for as they are; also each long line of a value that has several."""
    forms = plain_forms(value) + encoded_forms(value)
    for line in value.splitlines():
        line = line.strip()
        if line != value and len(line) >= SHORTEST_LINE and not line.startswith("-----"):
            forms += plain_forms(line) + encoded_forms(line)
    return [form for form in dict.fromkeys(forms) if len(form) >= SHORTEST]


PART = 16
"""Characters of a value's beginning or end by which it is recognised where a text was cut short."""


def parts_of(value: str) -> list[tuple[str, bool]]:
    """The beginning and the end of a long value, each with whether it is the beginning. Of an address or of
    several lines they would say nothing: others begin so too."""
    if len(value) < PART * 3 // 2 or "://" in value or "\n" in value:
        return []
    return [(value[:PART], True), (value[-PART:], False)]


# ── the plain reading ────────────────────────────────────────────────────────────────────────────

# It begins with a set of characters and decides behind it: only so is a search without a match quick.
_ESCAPES = r"""
    (?<=\\)\\*(?:
        (?P<unicode>u[0-9a-fA-F]{4}(?:\\+u[0-9a-fA-F]{4})*)
      | (?P<hex>x[0-9a-fA-F]{2}(?:\\+x[0-9a-fA-F]{2})*)
      | (?P<break>[nrt])
      | (?P<slash>)
    )
  | (?<=%)(?P<percent>[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*)
  | (?<=&)(?P<entity>(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)
"""
_TOKEN = re.compile(rf"[\\%&](?:{_ESCAPES})", re.VERBOSE)
_MAIL_TOKEN = re.compile(
    r"[\\%&=](?:(?<==)(?:(?P<soft>\r?\n|(?:\\+r)?\\+n)|(?P<printable>[0-9a-fA-F]{2}(?:=[0-9a-fA-F]{2})*))"
    rf"|{_ESCAPES})",
    re.VERBOSE,
)
"""The same for a text with soft line breaks, as mail has them."""


def may_differ(text: str) -> bool:
    """Whether the plain reading of a text could show what the text itself does not."""
    return (
        "\n" in text
        or "\\" in text
        or "%" in text
        or "&" in text
        or "\r" in text
        or (not text.isascii() and _RARE_BREAK.search(text) is not None)
    )


_RARE_BREAK = re.compile("[\x85\u2028\u2029]")


def is_mail(text: str) -> bool:
    return "=\n" in text or "=\r" in text or "=\\" in text


def flat(text: str, *, mail: bool = False) -> str:
    """The text without white space, its escapes resolved and its remaining backslashes dropped. A value and
    the same value broken over lines or escaped in any of these ways read alike."""
    if mail:
        text = _MAIL_TOKEN.sub(_read, text)
    elif "%" in text or "&" in text or "\\u" in text or "\\x" in text:
        text = _TOKEN.sub(_read, text)
    if "\\" in text:  # written-out line breaks, or one that was itself written as an escape
        text = text.replace("\\n", " ").replace("\\r", " ").replace("\\t", " ").replace("\\", "")
    if text.isascii():  # ten times as quick, and what nearly every text is
        return text.encode().translate(None, _ASCII_SPACE).decode()
    return "".join(text.split())


_ASCII_SPACE = bytes(code for code in range(128) if chr(code).isspace())


_SLASHES = re.compile(r"\\+[nrt]?")


def _read(found: re.Match[str]) -> str:
    token = found[0]
    match found.lastgroup:
        case "unicode":
            units = [int(part, 16) for part in token.replace("\\", "").split("u")[1:]]
            packed = b"".join(unit.to_bytes(2, "big") for unit in units)
            return packed.decode("utf-16-be", "surrogatepass")
        case "hex":
            return bytes.fromhex(token.replace("\\", "").replace("x", "")).decode(errors="replace")
        case "percent":
            return unquote_to_bytes(token).decode(errors="replace")
        case "printable":
            return bytes.fromhex(token.replace("=", "")).decode(errors="replace")
        case "entity":
            return html.unescape(token)
        case "break":
            return "\t" if token.endswith("t") else "\n"
        case _:  # a soft line break, or bare backslashes
            return ""


@dataclass(frozen=True)
class Places:
    """Where each character of the plain reading stands in the text: [start, end). `gaps` tells what is left
    out before it: NONE, SPACE, or BREAK where there is a line break in it."""

    starts: list[int]
    ends: list[int]
    gaps: list[int]


NONE, SPACE, BREAK = 0, 1, 2


def places(text: str, *, mail: bool = False) -> tuple[str, Places]:
    """The plain reading, with its places. Slow: for a text in which something was found."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    last = 0
    for token in (_MAIL_TOKEN if mail else _TOKEN).finditer(text):
        letters += text[last : token.start()]
        starts += range(last, token.start())
        ends += range(last + 1, token.start() + 1)
        last = token.end()
        shown = _read(token)
        letters += shown
        starts += [token.start()] * len(shown)
        ends += [last] * len(shown)
    letters += text[last:]
    starts += range(last, len(text))
    ends += range(last + 1, len(text) + 1)
    dropped: dict[int, int] = {}
    for slashes in _SLASHES.finditer("".join(letters)):
        for n in range(*slashes.span()):
            dropped[n] = {"\\": NONE, "t": SPACE}.get(letters[n], BREAK)
    found = Places([], [], [])
    kept: list[str] = []
    gap = NONE
    for n, letter in enumerate(letters):
        if n in dropped:
            gap = max(gap, dropped[n])
        elif letter.isspace():
            gap = max(gap, BREAK if letter in _LINE_ENDS else SPACE)
        else:
            kept.append(letter)
            found.starts.append(starts[n])
            found.ends.append(ends[n])
            found.gaps.append(gap)
            gap = NONE
    return "".join(kept), found


_LINE_ENDS = "\n\r\x85\u2028\u2029"


def gaps_of(form: str) -> frozenset[int]:
    """Before which characters of its plain reading a value has white space of its own."""
    _, found = places(form)
    return frozenset(n for n, gap in enumerate(found.gaps) if gap)
