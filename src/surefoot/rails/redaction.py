"""Redaction: what is written or shown goes through here first.

Two kinds of known values:

* Secrets are replaced for good, in every form that `forms` lists or reads. Nobody gets them back, not even
  the step that received them from a tool: then the first pass and a replay see the same.
* Private values of one run (fields declared `Private`) become placeholders in the view. The exact text
  lies sealed beside it.

What nobody has declared is found by its looks: see detect.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .forms import SHORTEST, casings, encoded_forms, parts_of, plain_forms, secret_forms
from .known import Known, Span, Value, replaced
from .layers import Layers

SHORTEST_SECRET = SHORTEST
"""Shorter values are no secrets to look for: they would hit ordinary words."""

SHORTEST_PRIVATE = 3
USUAL_KINDS = frozenset({"email", "card", "iban", "ssn", "phone", "ip"})
"""Nobody writes `[email-3]` by chance, also where this run has no address yet."""

_MAY_BE_ENCODED = re.compile(r"[\n\r\\%&]|[A-Za-z0-9+/_-]{7}")
"""Where it finds nothing, a text holds no value in a form longer than the value itself."""


class Secrets:
    """Known secret values, by the name that stands in their place."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.known = Known(
            (
                Value(value, f"[secret:{name}]", secret_forms(value), parts=parts_of(value))
                for name, value in values.items()
                if len(value) >= SHORTEST_SECRET
            ),
            lasting=True,
        )

        self._any = any(len(value) >= SHORTEST_SECRET for value in values.values())

    def scrub(self, text: str) -> str:
        """The very same object where nothing was found."""
        return self.known.replace(text) if self._any else text

    def scrub_json(self, text: str, data: Sequence[str] | None = None) -> str:
        """The same for text that is JSON, and stays JSON. `data` are the fields of an object (an event, an
        item) whose own keys are somebody's data: all other keys are ours, and stay also where a secret is
        called so."""
        if not self._any or not self.known.holds(text):
            return text
        return self.known.replace_json(text, data)


class Private:
    """The private values that one run knows so far, with their placeholders."""

    def __init__(self) -> None:
        self.placeholders: dict[str, str] = {}
        """Value -> placeholder."""
        self._values: dict[str, str] = {}
        """Placeholder -> value."""
        self._counts: dict[str, int] = {}
        self._plain = Layers(_plainly)
        self._encoded = Layers(_in_any_form)

    def learn(self, values: Mapping[str, str]) -> dict[str, str]:
        """Value -> kind of what was found in a dump; gives back those that are new, placeholder -> value."""
        new = {}
        for value, kind in values.items():
            if len(value) < SHORTEST_PRIVATE or value in self.placeholders:
                continue
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            placeholder = f"[{kind}-{number}]"
            self.placeholders[value] = placeholder
            self._values[placeholder] = value
            new[placeholder] = value
        self._add({value: placeholder for placeholder, value in new.items()})
        return new

    def restore(self, known: Mapping[str, str]) -> None:
        """Placeholder -> value, as an earlier worker sealed them."""
        new = {}
        for placeholder, value in known.items():
            kind, _, number = placeholder.strip("[]").rpartition("-")
            if value not in self.placeholders:
                self.placeholders[value] = new[value] = placeholder
            self._values[placeholder] = value
            self._counts[kind] = max(self._counts.get(kind, 0), int(number))
        self._add(new)

    def _add(self, values: Mapping[str, str]) -> None:
        if values:
            self._plain.add(values)
            self._encoded.add(values)

    def exact(self, placeholder: str) -> str | None:
        return self._values.get(placeholder)

    def uses(self, kind: str) -> bool:
        """Whether `[kind-n]` means a value of this run, or could in any."""
        return kind in self._counts or kind in USUAL_KINDS

    def known(self, text: str) -> Layers:
        """What finds this run's values in this text."""
        return self._encoded if _MAY_BE_ENCODED.search(text) else self._plain

    def every_form(self) -> Layers:
        """What finds them in any text."""
        return self._encoded

    def view(self, text: str) -> str:
        """The very same object where nothing was found."""
        return self.known(text).replace(text)

    def view_json(self, text: str) -> str:
        """The same for text that is JSON, and stays JSON."""
        return self.known(text).replace_json(text)


def _written(value: str) -> list[str]:
    return list(dict.fromkeys(form for said in casings(value) for form in plain_forms(said)))


def _plainly(values: Mapping[str, str]) -> Known:
    return Known(
        (Value(value, label, _written(value), bounded=True) for value, label in values.items()), read=False
    )


def _in_any_form(values: Mapping[str, str]) -> Known:
    return Known(Value(value, label, _private_forms(value), bounded=True) for value, label in values.items())


def _private_forms(value: str) -> list[str]:
    forms = _written(value)
    return forms + encoded_forms(value) if len(value) >= SHORTEST else forms


__all__ = ["SHORTEST_PRIVATE", "SHORTEST_SECRET", "USUAL_KINDS", "Private", "Secrets", "Span", "replaced"]
