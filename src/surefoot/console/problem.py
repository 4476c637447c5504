"""An error as a page shows it."""

from __future__ import annotations

from typing import Any

from ..catalogue import shown
from ..errors import SurefootError
from ..orchestrator.redacting import redactor


def view_of(error: SurefootError) -> dict[str, Any]:
    """As it may be shown: code, what, why, remedy, and lines of what does not fit."""
    said = shown(error.code, error.what, error.why, error.remedy)
    texts = {
        name: redactor().withhold(text) if isinstance(text, str) else text for name, text in said.items()
    }
    lines = error.data.get("errors")
    return {
        **texts,
        "lines": [redactor().withhold(str(one)) for one in lines] if isinstance(lines, list) else [],
    }
