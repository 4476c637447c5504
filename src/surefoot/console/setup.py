"""What the console is told when it is mounted, beside the service itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from ..evals.saved import folder_beside
from ..settings import DEFAULT_STORE, Settings


@dataclass(frozen=True)
class Setup:
    """`settings` None: the deployment's settings were not handed in, and their page does not tell sources."""

    settings: Settings | None = None

    @property
    def reports(self) -> Path:
        """The folder of saved reports of evals."""
        return folder_beside(DEFAULT_STORE if self.settings is None else self.settings.store)


def setup_of(request: Request) -> Setup:
    setup: Setup = request.app.state.console
    return setup


SetupOf = Annotated[Setup, Depends(setup_of)]
