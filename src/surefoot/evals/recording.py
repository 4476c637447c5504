"""A recording's file: what a model answered in one scenario, pinned to what it was asked.

Made by `surefoot eval --record` and nothing else. Says where its turns come from: written by hand in the
scenario, a model (with the version that it reported), or a production run. JSON, sorted and indented, so that
a change of it can be read in a pull request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.jsons import canonical, loads
from ..errors import InvalidInput
from ..models.recordings import Turn

Origin = Literal["written", "recorded", "production"]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """What a tool answered, for scenarios without a world. `result` or `error` is None."""

    tool: str
    args: Any
    result: Any = None
    error: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        return canonical([self.tool, self.args])

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tool": self.tool, "args": self.args}
        return found | ({"result": self.result} if self.error is None else {"error": dict(self.error)})


@dataclass(frozen=True, slots=True)
class Recording:
    scenario: str
    origin: Origin
    turns: Sequence[Turn]
    model: str = ""
    version: str = ""
    tools: Sequence[ToolTurn] = ()
    accepted: Sequence[Mapping[str, str]] = ()
    """Drift that somebody accepted: class, by, reason, date."""

    def to_text(self) -> str:
        found: dict[str, Any] = {
            "format": FORMAT,
            "scenario": self.scenario,
            "origin": self.origin,
            "model": self.model,
            "version": self.version,
            "turns": [turn.to_json() for turn in self.turns],
        }
        if self.tools:
            found["tools"] = [turn.to_json() for turn in self.tools]
        if self.accepted:
            found["accepted"] = [dict(one) for one in self.accepted]
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        try:
            text.encode()
        except UnicodeEncodeError:  # half a surrogate pair, which no UTF-8 can hold and JSON's escapes can
            return json.dumps(found, indent=1) + "\n"
        return text

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Raises InvalidInput."""
        try:
            found = loads(path.read_text("utf-8"))
            if found["format"] != FORMAT:
                raise ValueError(f"it has format {found['format']!r}, and this version reads {FORMAT}")
            recording = cls(
                scenario=str(found["scenario"]),
                origin=found["origin"],
                turns=[Turn.from_json(turn) for turn in found["turns"]],
                model=str(found.get("model", "")),
                version=str(found.get("version", "")),
                tools=[ToolTurn(**turn) for turn in found.get("tools", ())],
                accepted=found.get("accepted", ()),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"{path} is no recording",
                why=f"{type(error).__name__}: {error}",
                remedy="Make it again with `surefoot eval --record`, or take it back from version control.",
            ) from error
        if recording.scenario != path.stem:
            raise InvalidInput(
                f"{path} is the recording of {recording.scenario!r}",
                why="a recording is found by its file's name",
                remedy="Name it by its scenario.",
            )
        return recording


def accepted_drift(recordings: Iterable[Recording | None]) -> list[str]:
    """One line for each claim that old answers stand for new requests, with the scenarios that rest on it."""
    claims: dict[str, list[str]] = {}
    for recording in recordings:
        for one in recording.accepted if recording is not None else ():
            what = f"{one.get('class')} drift accepted by {one.get('by')} on {one.get('date')}"
            claims.setdefault(f"{what}: {one.get('reason')}", []).append(
                recording.scenario if recording else ""
            )
    return [f"{said} ({', '.join(names)})" for said, names in claims.items()]
