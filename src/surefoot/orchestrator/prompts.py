"""Prompts: files beside the module that names them, read once. No template language: the data go to
the model apart from the instructions, so nothing in them can become an instruction by being pasted in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.workflow import Definition, prompt_path
from ..errors import PromptMissing


class Prompts:
    def __init__(self) -> None:
        self._texts: dict[Path, str] = {}

    def digests(self, workflow: Definition) -> dict[str, str]:
        """Of every prompt file that the steps name. Raises PromptMissing."""
        return {
            name: hashlib.sha256(self._read(Path(path), name).encode()).hexdigest()[:16]
            for name, path in sorted(workflow.prompts.items())
        }

    def text(self, function: Callable[..., Any], prompt: str) -> str:
        if not prompt.endswith(".md") or "\n" in prompt:
            return prompt
        return self._read(Path(prompt_path(function, prompt)), prompt)

    def _read(self, path: Path, name: str) -> str:
        if path not in self._texts:
            try:
                self._texts[path] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise PromptMissing(
                    f"the prompt {name!r} cannot be read",
                    why=f"{path}: {error.__class__.__name__}",
                    remedy="A prompt that ends in .md is a UTF-8 file beside the module of its step.",
                ) from error
        return self._texts[path]
