"""The reference workflow: the support desk of an online shop. `desk` is it, `tickets()` are its twelve mails.

Read `workflow.py` first, then `policy.py`: together they say what can happen. The rest is what they need.
"""

from __future__ import annotations

from pathlib import Path

from .schemas import Ticket
from .workflow import desk


def tickets() -> list[tuple[str, Ticket]]:
    """The tickets beside this file, by name and in order."""
    files = sorted((Path(__file__).parent / "tickets").glob("*.json"))
    return [(file.stem, Ticket.model_validate_json(file.read_bytes())) for file in files]


__all__ = ["Ticket", "desk", "tickets"]
