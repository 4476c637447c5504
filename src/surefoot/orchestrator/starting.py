"""What a run starts from: an input that fits, and the secrets that nobody may see of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from ..core import events as e
from ..core.fold import RunState
from ..core.jsons import Raw, canonical, loads
from ..core.schema import lines_of
from ..core.workflow import Definition
from ..errors import InvalidInput
from ..state.store import NewRun, Record
from .deployment import Deployment
from .recorder import Sealer


def valid_input(workflow: Definition, input: Any) -> Any:
    """Of its type, as a replay would see it. Raises InvalidInput."""
    shape = workflow.plan.input
    try:
        # Through JSON and back, so that the first pass sees what a replay would see.
        if isinstance(input, Mapping | list):
            return shape.adapter.validate_python(input)
        return shape.load(shape.dump(input))
    except ValidationError as error:
        lines = lines_of(error)
        raise InvalidInput(
            f"the input does not fit {workflow.name}",
            why="; ".join(lines),
            remedy="Give what the input's type asks for.",
            errors=lines,
        ) from error
    except (ValueError, RecursionError) as error:
        raise unwritable(workflow, error) from error


def unwritable(workflow: Definition, error: Exception) -> InvalidInput:
    """It is of its type, and no JSON can say it: a float that is no number, a list a thousand lists deep."""
    return InvalidInput(
        f"the input does not fit {workflow.name}",
        why="it is nested too deeply" if isinstance(error, RecursionError) else str(error),
        remedy="Give what the input's type asks for.",
        errors=[str(error)],
    )


def new_run(
    deployment: Deployment,
    run: str,
    sealer: Sealer,
    events: Sequence[e.Event],
    raw: Raw,
    key: str | None,
    now: int,
    *,
    lease: bool,
) -> tuple[NewRun, RunState]:
    """What the store is given of a run that begins with these events, and how it stands after them. `raw` is
    its input."""
    workflow = deployment.workflow
    records: list[Record] = []
    state = RunState(workflow.plan)
    for seq, event in enumerate(events, 1):
        event, record = sealer.record(event, now)
        records.append(record)
        state.apply(e.Entry(seq, now, event))
    new = NewRun(
        id=run,
        workflow=workflow.name,
        version=workflow.version,
        fingerprint=deployment.fingerprint,
        key=key,
        input_digest=deployment.keyring.digest(canonical(loads(raw)).encode()),
        data_key=sealer.key.wrapped,
        records=tuple(records),
        summary="{}",
        at=now,
        lease=lease,
        key_view=None if key is None else loads(records[0].view).get("key"),
    )
    return new, state


def secret_values(workflow: Definition) -> dict[str, str]:
    """The values of the workflow's secrets, of every provider's key and of our own, as this process has them;
    of a URL also the password in it, which alone may turn up elsewhere."""
    names = [*workflow.secrets, "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "SUREFOOT_MASTER_KEY"]
    values = {name: value for name in names if (value := os.environ.get(name))}
    signing = os.environ.get("SUREFOOT_WEBHOOK_SECRET", "").split()
    values |= {f"SUREFOOT_WEBHOOK_SECRET-{n}": one for n, one in enumerate(signing, 1)}
    urls = values | {"SUREFOOT_SMTP": os.environ.get("SUREFOOT_SMTP", "")}
    passwords = {
        f"{name}-password": password for name, value in urls.items() if (password := _password(value))
    }
    return values | passwords


def _password(value: str) -> str:
    if "://" not in value:
        return ""
    try:
        return unquote(urlsplit(value).password or "")
    except ValueError:
        return ""
