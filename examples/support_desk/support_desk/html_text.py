"""From the HTML of a mail to the text that a person would read: only the standard library, nothing is loaded.

What a reader does not see (scripts, styles, comments, hidden elements) is left out, and what a mail program
shows as a quotation comes out as lines that begin with `>`, so that the readers know whose words they are.
Any input gives a text; markup that is broken is read as far as it goes.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

_UNSEEN = frozenset("script style head title template noscript object svg math textarea select".split())
_BREAKS = frozenset(
    "address article div footer form h1 h2 h3 h4 h5 h6 header hr li ol p pre section table tr ul".split()
)
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])", re.I
)


def plain(html: str) -> str:
    """The visible text; " " where there is none, because a mail without words is still a mail."""
    reader = _Reader()
    # What never ends would make the parser look for its end again and again: 25 s for a mail of 200 kB.
    whole, _, rest = _without_comments(html).rpartition(">")
    reader.feed(f"{whole}>" if whole else "")
    reader.feed(rest.partition("<")[0])
    reader.close()
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()[:20_000] or " "


def _without_comments(html: str) -> str:
    parts: list[str] = []
    end = 0
    while (start := html.find("<!--", end)) >= 0:
        parts.append(html[end:start])
        end = html.find("-->", start)
        if end < 0:
            return "".join(parts)
        end += 3
    return "".join([*parts, html[end:]])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._open: list[tuple[str, bool, bool]] = []
        """Tag, unseen, quoted; the last two of the element or of one around it."""
        self._count: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        _, unseen, quoted = self._open[-1] if self._open else ("", False, False)
        if tag == "br" or tag in _BREAKS:
            self._break(quoted)
        if tag in _VOID:
            return
        given = {name: value or "" for name, value in attrs}
        unseen = unseen or tag in _UNSEEN or "hidden" in given or bool(_HIDDEN.search(given.get("style", "")))
        inside = quoted or tag == "blockquote" or "gmail_quote" in given.get("class", "")
        self._open.append((tag, unseen, inside))
        self._count[tag] += 1
        if inside and not quoted:
            self._break(inside)

    def handle_endtag(self, tag: str) -> None:
        if not self._count[tag]:
            return
        ended = ""
        while ended != tag:  # what was left open inside ends with it
            ended = self._open.pop()[0]
            self._count[ended] -= 1
        if tag in _BREAKS or tag == "blockquote":
            self._break(bool(self._open) and self._open[-1][2])

    def handle_data(self, data: str) -> None:
        _, unseen, quoted = self._open[-1] if self._open else ("", False, False)
        if not unseen:
            text = re.sub(r"\s+", " ", data)
            if quoted and text.strip() and (not self.parts or self.parts[-1].endswith("\n")):
                text = f"> {text.lstrip()}"
            self.parts.append(text)

    def _break(self, quoted: bool) -> None:
        self.parts.append("\n> " if quoted else "\n")
