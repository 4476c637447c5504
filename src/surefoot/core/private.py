"""Private data, declared where the data are declared.

    class Ticket(BaseModel):
        sender: Annotated[str, Private("email")]

A value of such a field is known for the rest of its run: wherever it turns up in what is written or
shown, a placeholder stands in its place, and the exact value lies sealed beside it for replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import core_schema

from .jsons import dumps


@dataclass(frozen=True, slots=True)
class Private:
    kind: str = "private"
    """What the placeholder says, e.g. "email": `[email-1]`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        schema: Any = handler(source)

        def note(value: Any, inner: Any, info: SerializationInfo) -> Any:
            found = inner(value)
            if isinstance(info.context, Found) and found is not None:
                info.context.add(self.kind, found)
            return found

        schema["serialization"] = core_schema.wrap_serializer_function_ser_schema(
            note, info_arg=True, schema=schema.copy()
        )
        return schema


class Found:
    """Handed as the context of a dump: collects the private values that were dumped."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def add(self, kind: str, value: Any) -> None:
        """`value` as JSON: of a list or an object, each text and number in it is private."""
        match value:
            case str() if value:
                self.values.setdefault(value, kind)
            case bool():
                pass  # "true" would hide every true
            case int() | float():
                self.values.setdefault(dumps(value), kind)
            case list() | tuple():
                for item in value:
                    self.add(kind, item)
            case dict():
                for item in value.values():
                    self.add(kind, item)
            case _:
                pass
