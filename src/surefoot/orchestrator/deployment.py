"""A workflow made ready to run in this process: its store, models, resources, keys and clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from ..core.clock import Clock
from ..core.model import Model
from ..core.workflow import Definition
from ..rails.redaction import Secrets
from ..state.sealing import Keyring
from ..state.store import Store
from ..tools.invoke import Invoker
from .ids import new_run_id
from .intake import Intake
from .prompts import Prompts
from .recorder import Hears
from .resources import OpenResources


@dataclass
class Deployment:
    workflow: Definition
    store: Store
    keyring: Keyring
    clock: Clock
    chance: Callable[[], float]
    """Uniform in [0, 1): jitter."""
    models: Sequence[Model]
    invoker: Invoker
    resources: OpenResources
    prompts: Prompts
    grants: tuple[str, ...]
    """The author's, narrowed by the deployment's."""
    secrets: Secrets
    fingerprint: str
    definition: str
    """What the fingerprint is of, as JSON."""
    intake: Intake
    people: Mapping[str, Sequence[str]] | None = None
    """Group or queue -> who belongs to it. None: nobody has said, so anyone may decide."""
    defined_by: str | None = None
    """The run whose journal carried the definition into the store, for this process."""
    uuids: Callable[[], UUID] = uuid4
    """For `run.uuid()`."""
    run_ids: Callable[[int], str] = new_run_id
    park_after: float = 5.0
    """Seconds: a wait longer than this is not held in memory."""
    most_claims: int = 3
    hears: Hears | None = None
    trace_content: bool = False
    """Spans carry arguments, results and texts too, as views."""

    @property
    def day_caps(self) -> tuple[int | None, int | None]:
        budget = self.workflow.budget
        return budget.day_nanousd, budget.day_tokens
