"""From `module:object` to a workflow, with a clear word where that fails.

The current folder is importable. What a module raises while it is imported is the author's to mend, so it is
told as text with its place, never as a stack trace.
"""

from __future__ import annotations

import difflib
import os
import sys
import sysconfig
import traceback
from importlib import import_module, invalidate_caches
from pathlib import Path
from types import ModuleType
from typing import Any

from ..core.error_view import text_of
from ..core.workflow import Definition
from ..errors import SurefootError, TargetError
from ..settings import Settings

_HOW = "A target is module:object, such as support_desk:desk, importable from the current folder."


def load_target(target: str | None, settings: Settings) -> Definition:
    """The workflow of `target`, or of [tool.surefoot]. Raises TargetError or the module's DefinitionError."""
    named = target or settings.workflow
    if named is None:
        raise TargetError(
            "no workflow was named",
            why="no target was given, and [tool.surefoot] of the folder's pyproject.toml names none",
            remedy=f'{_HOW} Or write workflow = "module:object" there.',
        )
    module, found = _module_and_object(named)
    if not isinstance(found, Definition):
        kind = type(found).__name__
        raise TargetError(
            f"{named} is no workflow",
            why=f"it is a {kind}",
            remedy=_others(module) or "Name a Workflow(...).",
        )
    return found


def load_object(named: str) -> Any:
    """Whatever `module:object` names. Raises TargetError."""
    return _module_and_object(named)[1]


def _module_and_object(named: str) -> tuple[ModuleType, Any]:
    module_name, colon, path = named.partition(":")
    if not colon or not module_name or not path:
        raise TargetError(
            f"{named!r} is no target", why="it is not of the form module:object", remedy=_HOW + _meant(named)
        )
    module = _import(module_name, named)
    return module, _attribute(module, path, named)


def _import(name: str, target: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    invalidate_caches()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise TargetError(
                f"there is no module {error.name!r}",
                why=f"{target} names it, and neither this folder nor the installed packages have it",
                remedy=_near_modules(name) or _HOW,
            ) from None
        raise TargetError(
            f"{name!r} cannot be imported",
            why=f"{place_in_code(error)}it imports {error.name!r}, which is not installed",
            remedy=f"Install it for the Python that runs surefoot ({sys.executable}), or mend the import.",
        ) from error
    except SurefootError as error:
        place = place_in_code(error)
        error.why = place + error.why if error.why else place.removesuffix(": ")
        raise
    except SystemExit as error:
        raise TargetError(
            f"{name!r} ends the process while it is imported",
            why=f"{place_in_code(error)}it raised SystemExit",
            remedy='Put what is meant for a script under `if __name__ == "__main__":`.',
        ) from error
    except SyntaxError as error:
        raise TargetError(
            f"{name!r} cannot be imported",
            why=f"{_short(error.filename)}, line {error.lineno}: {error.msg}",
            remedy="Mend the syntax there.",
        ) from error
    except Exception as error:
        raise TargetError(
            f"{name!r} cannot be imported",
            why=f"{place_in_code(error)}{type(error).__name__}: {text_of(error)}",
            remedy="Mend it there; the same command with --debug shows the way to it.",
        ) from error


def _attribute(module: ModuleType, path: str, target: str) -> Any:
    found: Any = module
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = difflib.get_close_matches(
                part, [name for name in vars(module) if not name.startswith("_")], n=1
            )
            hint = f"Did you mean {module.__name__}:{near[0]}? " if near else ""
            raise TargetError(
                f"the module {module.__name__!r} has no {path!r}",
                why=f"{_short(module.__file__)} was imported"
                if module.__file__
                else "it is a folder of modules",
                remedy=(hint + _others(module)).strip()
                or f"{target} must name a Workflow(...) of that module.",
            ) from None
    return found


def _others(module: ModuleType) -> str:
    """The workflows that the module does have."""
    names = sorted(name for name, value in vars(module).items() if isinstance(value, Definition))
    if not names:
        return ""
    return f"Its workflows: {', '.join(f'{module.__name__}:{name}' for name in names)}."


def _meant(named: str) -> str:
    path = Path(named)
    if path.suffix == ".py":
        return f" Perhaps {'.'.join(path.with_suffix('').parts)}:NAME?"
    return f" Perhaps {named}:NAME?" if ":" not in named and named.isidentifier() else ""


def _near_modules(name: str) -> str:
    here = Path.cwd()
    known = [path.stem for path in here.glob("*.py")]
    known += [path.name for path in here.iterdir() if (path / "__init__.py").is_file()]
    near = difflib.get_close_matches(name.split(".", maxsplit=1)[0], known, n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return f"This folder has the modules {', '.join(sorted(known)[:8])}." if known else ""


def place_in_code(error: BaseException) -> str:
    """Where in the user's own code an error came up: the last frame that is neither ours nor a library's, or
    else the last one of another package; "" where there is none."""
    paths = sysconfig.get_paths()
    packages = (paths["purelib"] + os.sep, paths["platlib"] + os.sep)
    skipped = ("<", str(Path(__file__).parents[1]) + os.sep)
    installed: list[traceback.FrameSummary] = []
    own: list[traceback.FrameSummary] = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(packages):
            installed.append(frame)
        elif not frame.filename.startswith((*skipped, paths["stdlib"] + os.sep)):
            own.append(frame)
    found = own or [frame for frame in installed if not frame.filename.startswith(skipped)]
    return f"{_short(found[-1].filename)}, line {found[-1].lineno}: " if found else ""


def _short(filename: str | None) -> str:
    if filename is None:
        return "?"
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
