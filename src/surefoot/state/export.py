"""Journals as a file that can be checked anywhere: views, hashes and signatures, and no exact value.

A line of JSON each: a head, for every run its end as it was signed and then its events, and a last line with
the digest of all before it, signed. Of a sealed value the file has the SHA-256 that the chain was made over,
and not the value itself: a run that is forgotten is so in every export too (decision 0035).

Without a key ring `check_file` shows a changed, added or removed event; with it also a chain that was made
anew, a cut-off end, and a run that was taken out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from .audit import Finding
from .chain import GENESIS, event_hash, hash_over_digest, head_message
from .rows import RunRow, StoredEvent
from .sealing import Keyring

FORMAT = "surefoot-audit"
VERSION = 1


class Writer:
    """Gives the lines of one file, in order; each without its line end."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._sum = sha256()
        self.runs = 0
        self.events = 0

    def head(self, exported: str) -> str:
        return self._line({"type": "head", "format": FORMAT, "version": VERSION, "exported": exported})

    def run(self, row: RunRow, events: Sequence[StoredEvent]) -> Iterator[str]:
        self.runs += 1
        yield self._line(
            {
                "type": "run",
                "run": row.id,
                "workflow": row.workflow,
                "status": row.status,
                "seq": row.seq,
                "head": row.head.hex(),
                "signature": row.signature.hex(),
                "pruned": row.pruned,
                "forgotten": row.forgotten is not None,
            }
        )
        before = GENESIS
        for one in events:
            self.events += 1
            given = (before, one.run.encode(), one.seq, one.at, one.kind.encode(), one.version)
            # Old stores chained the sealed value itself: without it nobody can check that link.
            is_old = one.sealed is not None and event_hash(*given, one.view.encode(), one.sealed) != one.hash
            yield self._line(
                {
                    "type": "event",
                    "run": one.run,
                    "seq": one.seq,
                    "at": one.at,
                    "kind": one.kind,
                    "version": one.version,
                    "view": one.view,
                    "sealed": None if one.sealed is None else sha256(one.sealed).hexdigest(),
                    "chain": 1 if is_old else 2,
                    "hash": one.hash.hex(),
                }
            )
            before = one.hash

    def end(self) -> str:
        digest = self._sum.digest()
        last = {"type": "end", "runs": self.runs, "events": self.events, "digest": digest.hex()}
        last["signature"] = self._keyring.sign(_message(digest)).hex()
        return json.dumps(last)

    def _line(self, content: dict[str, Any]) -> str:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        self._sum.update(text.encode() + b"\n")
        return text


def _message(digest: bytes) -> bytes:
    return b"export|" + digest


@dataclass(frozen=True, slots=True)
class End:
    """How far a run had come when it was exported; `head` is the hash of its last event."""

    run: str
    seq: int
    head: bytes
    pruned: bool
    forgotten: bool


@dataclass
class Checked:
    """`unchecked` are events of old stores whose link needs the sealed value; `is_signed` tells whether a key
    ring was at hand; `ends` are those of its runs."""

    runs: int = 0
    events: int = 0
    unchecked: int = 0
    is_signed: bool = False
    findings: list[Finding] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)


def check_file(lines: Iterable[bytes], keyring: Keyring | None) -> Checked:
    """Raises nothing for what is wrong with the file: that is what findings are for."""
    return _Check(keyring).file(lines)


class _Check:
    def __init__(self, keyring: Keyring | None) -> None:
        self._keyring = keyring
        self._sum = sha256()
        self._run: dict[str, Any] | None = None
        self._seen: set[str] = set()
        self._before = GENESIS
        self._expected = 1
        self._has_end = False
        self.found = Checked(is_signed=keyring is not None)

    def file(self, lines: Iterable[bytes]) -> Checked:
        for number, line in enumerate(lines, 1):
            text = line.rstrip(b"\r\n")
            if self._has_end:
                self._say("", "there is something after the last line")
                break
            try:
                content = json.loads(text)
                self._take(number, content)
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
                self._say("", f"line {number} cannot be read: {type(error).__name__} {error}")
            self._sum.update(text + b"\n")
        if not self._has_end:
            self._close_run()
            self._say("", "the file was cut off: its last line, which tells how much it holds, is missing")
        return self.found

    def _say(self, run: str, what: str, seq: int | None = None) -> None:
        self.found.findings.append(Finding(run, "file", what, seq))

    def _take(self, number: int, content: dict[str, Any]) -> None:
        kind = content["type"]
        if (number == 1) != (kind == "head"):
            self._say("", "the file does not begin with its head" if number == 1 else "a second head")
        if kind == "head":
            if (content.get("format"), content.get("version")) != (FORMAT, VERSION):
                self._say("", f"it is no export of version {VERSION}")
        elif kind == "run":
            self._close_run()
            self._begin_run(content)
        elif kind == "event":
            self._event(content)
        elif kind == "end":
            self._close_run()
            self._end(content)
        else:
            self._say("", f"line {number} is of an unknown type {kind!r}")

    def _begin_run(self, content: dict[str, Any]) -> None:
        self.found.runs += 1
        if content["run"] in self._seen:
            self._say(content["run"], "the run stands in the file twice")
        self._seen.add(content["run"])
        self._run, self._before, self._expected = content, GENESIS, 1
        flags = {"pruned": content["pruned"], "forgotten": content["forgotten"]}
        head = bytes.fromhex(content["head"])
        self.found.ends.append(End(content["run"], content["seq"], head, **flags))
        if self._keyring is not None:
            message = head_message(content["run"], content["seq"], head, **flags)
            if not self._keyring.verify(message, bytes.fromhex(content["signature"])):
                self._say(content["run"], "the signature of the journal's end does not fit")

    def _event(self, content: dict[str, Any]) -> None:
        self.found.events += 1
        run, seq, stored = content["run"], content["seq"], bytes.fromhex(content["hash"])
        if self._run is None or run != self._run["run"] or self._run["pruned"]:
            self._say(run, f"event {seq} does not belong where it stands", seq)
            return
        if seq != self._expected:
            self._say(run, f"event {self._expected} is missing", self._expected)
        given = (self._before, run.encode(), seq, content["at"], content["kind"].encode())
        given_view = (content["version"], content["view"].encode())
        sealed = content["sealed"]
        if sealed is None:
            is_whole = event_hash(*given, *given_view, None) == stored
        elif content["chain"] == 1:
            self.found.unchecked += 1
            is_whole = True
        else:
            is_whole = hash_over_digest(*given, *given_view, bytes.fromhex(sealed)) == stored
        if not is_whole and seq == self._expected:
            self._say(run, f"event {seq} ({content['kind']}) is not as it was written", seq)
        self._before, self._expected = stored, seq + 1

    def _close_run(self) -> None:
        run, self._run = self._run, None
        if run is None or run["pruned"]:
            return
        if (self._expected - 1, self._before) != (run["seq"], bytes.fromhex(run["head"])):
            self._say(run["run"], "the last event is not the one that the run's head names")

    def _end(self, content: dict[str, Any]) -> None:
        self._has_end = True
        digest = self._sum.digest()
        if (content["runs"], content["events"]) != (self.found.runs, self.found.events):
            self._say("", f"it says that it holds {content['runs']} runs and {content['events']} events")
        if bytes.fromhex(content["digest"]) != digest:
            self._say("", "the lines are not those that its last line was made over")
        if self._keyring is None:
            return
        if not self._keyring.verify(_message(digest), bytes.fromhex(content["signature"])):
            self._say("", "the signature of the whole file does not fit")
