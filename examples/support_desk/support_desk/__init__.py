"""The reference workflow: the support desk of an online shop. `desk` is it, `tickets()` are mails to it.

Read `workflow.py` first, then `policy.py`: together they say what can happen. The rest is what they need.
"""

from __future__ import annotations

from pathlib import Path

from .schemas import Ticket
from .workflow import desk

DEMO = (
    "01-lamp-flickers",
    "02-towels",
    "03-cancel-blanket",
    "04-cancel-too-late",
    "06-no-number",
    "07-not-the-buyer",
    "10-instructions",
    "13-new-address",
    "22-jumper-does-not-fit",
    "34-jumper-in-l",
    "57-cancel-half",
    "70-html-with-hidden-text",
)
"""The twelve that `surefoot demo` shows."""


def tickets(*names: str) -> list[tuple[str, Ticket]]:
    """The tickets beside this file by name and in order: all of them, or those that are named."""
    folder = Path(__file__).parent / "tickets"
    files = [folder / f"{name}.json" for name in names] or sorted(folder.glob("*.json"))
    return [(file.stem, Ticket.model_validate_json(file.read_bytes())) for file in files]


__all__ = ["DEMO", "Ticket", "desk", "tickets"]
