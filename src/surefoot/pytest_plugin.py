"""The pytest plugin: each scenario of a project is a test item, played in the replay lane.

    pytest scenarios/                 every scenario, and one item that compares the suite with its baseline
    pytest scenarios/ -k refund -n 4  as with any test

A scenario that is not green fails with its reason, an inconclusive one too. Files are taken where the nearest
pyproject.toml names a workflow in [tool.surefoot] and where they lie in its scenarios folder; everything else
is left alone, and of the harness nothing is imported before such a file is met.
"""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .evals.results import ScenarioResult

BASELINE = "baseline.jsonl"


class NotGreen(Exception):
    """`str` is the verdict and why."""


# ── what pytest asks ─────────────────────────────────────────────────────────────────────────────


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix != ".yaml" and file_path.name != BASELINE:
        return None
    root = _root_of(file_path.parent, parent.config.stash.setdefault(_ROOTS, {}))
    if root is None:
        return None
    kind = SuiteFile if file_path.name == BASELINE else ScenarioFile
    file: pytest.Collector = kind.from_parent(parent, path=file_path, root=root)
    return file


class _File(pytest.File):
    def __init__(self, *, root: Path, **given: Any) -> None:
        super().__init__(**given)
        self.root = root


class ScenarioFile(_File):
    def collect(self) -> Iterator[pytest.Item]:
        yield ScenarioItem.from_parent(self, name=self.path.stem)


class SuiteFile(_File):
    def collect(self) -> Iterator[pytest.Item]:
        yield SuiteItem.from_parent(self, name="nothing-was-taken-out-or-made-weaker")


class _Item(pytest.Item):
    parent: _File

    def runtest(self) -> None:
        """In the project's folder, as `surefoot eval` is: what its code reads by a relative path is there."""
        with chdir(self.parent.root):
            self.judge(_project_at(self.parent.root, self.config.stash.setdefault(_PROJECTS, {})))

    def judge(self, project: Project) -> None:
        """Raises NotGreen."""
        raise NotImplementedError

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Words, and a stack trace only for a mistake of ours."""
        from .cli.failures import scrub
        from .cli.output import clean
        from .errors import SurefootError

        if isinstance(excinfo.value, NotGreen | SurefootError):
            return clean(scrub(str(excinfo.value)))
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"scenario {self.name}"


class ScenarioItem(_Item):
    def judge(self, project: Project) -> None:
        result = project.play(self.path)
        self.user_properties.append(("verdict", result.verdict))
        if result.verdict != "green":
            raise NotGreen(f"{result.verdict}: {result.why}")


class SuiteItem(_Item):
    def judge(self, project: Project) -> None:
        if weaker := project.weakened():
            raise NotGreen("red: " + "\n".join(weaker))


# ── projects ─────────────────────────────────────────────────────────────────────────────────────

_ROOTS = pytest.StashKey[dict[Path, Path | None]]()
"""By folder: the project whose scenarios lie there, if any."""
_PROJECTS = pytest.StashKey[dict[Path, "Project | Exception"]]()


def _root_of(folder: Path, known: dict[Path, Path | None]) -> Path | None:
    if folder not in known:
        known[folder] = None
        for root in (folder, *folder.parents):
            if (path := root / "pyproject.toml").is_file():
                known[folder] = root if _scenarios_of(path) == folder else None
                break
    return known[folder]


def _scenarios_of(path: Path) -> Path | None:
    content = path.read_bytes()
    if b"surefoot" not in content:
        return None
    try:
        table = tomllib.loads(content.decode()).get("tool", {}).get("surefoot", {})
    except (ValueError, AttributeError):
        return None  # other programs will say so, and better
    if not isinstance(table, dict) or "workflow" not in table:
        return None
    return path.parent / str(table.get("scenarios", "scenarios"))


def _project_at(root: Path, known: dict[Path, Project | Exception]) -> Project:
    """Opened once; why it could not be is told of each of its scenarios."""
    if root not in known:
        try:
            known[root] = Project(root)
        except Exception as error:  # noqa: BLE001  whatever the author's module raises
            known[root] = error
    found = known[root]
    if isinstance(found, Exception):
        raise found
    return found


class Project:
    """What `surefoot eval` would run in this folder. Raises SurefootError."""

    def __init__(self, root: Path) -> None:
        from .cli.eval import folder_of, models_of, world_of
        from .cli.target import load_target
        from .evals import baseline
        from .evals.suite import BASELINE as NAME
        from .evals.trial import Stage
        from .settings import gather

        settings = gather({}, os.environ, root)
        workflow = load_target(None, settings)
        world = world_of(settings)
        models = models_of(workflow, settings)
        self._stage = Stage(workflow, world, models, settings.grants, settings.people)
        self._folder = root / folder_of(settings)
        self._lines = baseline.read(self._folder / NAME)

    def play(self, path: Path) -> ScenarioResult:
        from .errors import InvalidInput
        from .evals.recording import Recording
        from .evals.replay import judged, try_once
        from .evals.scenario import read
        from .evals.suite import RECORDINGS, lint

        scenario = read(path)
        if complaints := list(lint(scenario, self._stage.world)):
            raise InvalidInput(f"{path} has mistakes", why="\n".join(complaints))
        recorded = self._folder / RECORDINGS / f"{scenario.id}.json"
        recording = Recording.read(recorded) if recorded.exists() else None
        trial = asyncio.run(try_once(self._stage, scenario, recording))
        return judged(scenario, trial, self._lines.get(scenario.id))

    def weakened(self) -> list[str]:
        from .evals.baseline import weakened
        from .evals.scenario import read

        return weakened([read(path) for path in sorted(self._folder.glob("*.yaml"))], self._lines)
