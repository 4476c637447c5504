"""Plain function signatures become schemas.

`Parameters` is what a tool takes: its JSON Schema for a model, and two ways in: `from_text` for what
a model wrote (strict JSON, no unknown or duplicate keys, nothing converted that JSON can say
itself) and `from_python` for what a step's code passed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticSerializationError

from ..errors import BadSignature, InvalidArguments
from .jsons import Raw, parse_strictly
from .private import Found


def hints_of(function: Callable[..., Any], role: str) -> dict[str, Any]:
    """Evaluated annotations of a function. Raises BadSignature where one cannot be evaluated."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise BadSignature(
            f"{role} {function.__name__!r}: its annotations cannot be evaluated",
            why=str(error),
            remedy="Annotate with names that the module can see when it runs (not only under "
            "TYPE_CHECKING, not classes made inside a function).",
        ) from error


def parameters_of(function: Callable[..., Any], role: str) -> list[inspect.Parameter]:
    """Named parameters in order. Raises BadSignature for *args, **kwargs and positional-only ones."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise BadSignature(
                f"{role} {function.__name__!r} takes {parameter}",
                why="its inputs are found by name",
                remedy="Give each input a parameter with a name and a type.",
            )
        found.append(parameter)
    return found


class Dumps(Protocol):
    """Whatever writes values of one kind as JSON text, noting the private ones in `found`."""

    def dump(self, value: Any, found: Found | None = None, /) -> Raw: ...


class Shape:
    """A type as the journal sees it: `dump` to JSON text and `load` back, the same on every replay."""

    def __init__(self, annotation: Any, owner: str) -> None:
        self.annotation = annotation
        self.owner = owner
        try:
            self.adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        except PydanticUserError as error:
            raise BadSignature(
                f"{owner}: its type cannot be kept as JSON",
                why=str(error).splitlines()[0],
                remedy="Use pydantic models, dataclasses, or plain JSON types.",
            ) from error

    def dump(self, value: Any, found: Found | None = None) -> Raw:
        """Raises ValueError where the value cannot be written as JSON of this type."""
        try:
            text = self.adapter.dump_json(value, context=found, warnings=False)
        except PydanticSerializationError as error:
            raise ValueError(str(error)) from error
        return Raw(text.decode())

    def load(self, text: str) -> Any:
        """Raises ValidationError."""
        return self.adapter.validate_json(text)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        return self.adapter.json_schema()


def lines_of(error: ValidationError) -> list[str]:
    """What is wrong, a line each, without the input's values (they may be private)."""
    found = []
    for item in error.errors(include_input=False, include_context=False, include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "value"
        found.append(f"{where}: {item['msg']}")
    return found


class Parameters:
    """A tool's arguments. Values that come out are JSON text and the keyword arguments themselves."""

    def __init__(self, name: str, function: Callable[..., Any], skip: frozenset[str]) -> None:
        self.name = name
        hints = hints_of(function, "tool")
        fields: dict[str, Any] = {}
        for parameter in parameters_of(function, "tool"):
            if parameter.name in skip:
                continue
            if parameter.name not in hints:
                raise BadSignature(
                    f"tool {name!r}: parameter {parameter.name!r} has no type",
                    remedy="Annotate it: its schema is made from the type.",
                )
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
        self.names = tuple(fields)
        self.model: type[BaseModel] = create_model(
            f"{name}_arguments",
            __config__=ConfigDict(
                extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=False, frozen=True
            ),
            **fields,
        )

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        schema = self.model.model_json_schema()
        schema.pop("title", None)
        return schema

    def from_text(self, text: str) -> dict[str, Any]:
        """Keyword arguments from a model's text. Raises InvalidArguments with lines for the model."""
        try:
            parse_strictly(text or "{}")
            model = self.model.model_validate_json(text or "{}", strict=True)
        except ValidationError as error:
            raise self._invalid(lines_of(error)) from error
        except ValueError as error:
            raise self._invalid([str(error)]) from error
        return {name: getattr(model, name) for name in self.names}

    def from_python(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            model = self.model.model_validate(arguments)
        except ValidationError as error:
            raise self._invalid(lines_of(error)) from error
        return {name: getattr(model, name) for name in self.names}

    def dump(self, arguments: dict[str, Any], found: Found | None = None) -> Raw:
        model = self.model.model_construct(**arguments)
        return Raw(model.model_dump_json(context=found, warnings=False))

    def load(self, text: str) -> dict[str, Any]:
        """Keyword arguments from the journal's own text."""
        model = self.model.model_validate_json(text)
        return {name: getattr(model, name) for name in self.names}

    def _invalid(self, lines: list[str]) -> InvalidArguments:
        return InvalidArguments(
            f"{self.name}: its arguments are not valid",
            why="; ".join(lines),
            remedy="Give exactly the arguments of the tool's schema.",
            errors=lines,
        )


class RawParameters:
    """The same for a tool that came with a JSON Schema instead of a signature."""

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        from jsonschema import Draft202012Validator  # costs 0.1 s, and only such tools need it
        from jsonschema.exceptions import SchemaError

        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise BadSignature(
                f"tool {name!r}: its input schema is no JSON Schema", why=error.message
            ) from error
        if schema.get("type") != "object":
            raise BadSignature(f"tool {name!r}: its input schema must be of type object")
        self.name = name
        # A schema that says nothing of other keys would let a model smuggle some in.
        self.json_schema = {"additionalProperties": False, **schema}
        self._validator = Draft202012Validator(self.json_schema)

    def from_text(self, text: str) -> dict[str, Any]:
        try:
            value = parse_strictly(text or "{}")
        except ValueError as error:
            raise self._invalid([str(error)]) from error
        return self.from_python(value)

    def from_python(self, arguments: dict[str, Any]) -> dict[str, Any]:
        lines = [
            f"{'.'.join(map(str, error.absolute_path)) or 'value'}: {_schema_line(error)}"
            for error in self._validator.iter_errors(arguments)
        ]
        if lines:
            raise self._invalid(lines)
        return arguments

    def dump(self, arguments: dict[str, Any], found: Found | None = None) -> Raw:
        return Raw(TypeAdapter(dict[str, Any]).dump_json(arguments).decode())

    def load(self, text: str) -> dict[str, Any]:
        value = parse_strictly(text)
        if not isinstance(value, dict):
            raise self._invalid(["value: must be an object"])
        return value

    def _invalid(self, lines: list[str]) -> InvalidArguments:
        return InvalidArguments(
            f"{self.name}: its arguments are not valid",
            why="; ".join(lines),
            remedy="Give exactly the arguments of the tool's schema.",
            errors=lines,
        )


def _schema_line(error: Any) -> str:
    """What a JSON Schema keyword asked for, without the value that failed it."""
    return f"does not satisfy {error.validator} {error.validator_value!r}"[:200]


class RawShape:
    """An output that came with a JSON Schema, or with none at all (then any JSON is taken)."""

    def __init__(self, owner: str, schema: dict[str, Any] | None) -> None:
        from jsonschema import Draft202012Validator  # see RawParameters

        self.owner = owner
        self.json_schema = schema if schema is not None else {}
        self._validator = Draft202012Validator(self.json_schema)
        self._any: TypeAdapter[Any] = TypeAdapter(Any)

    def dump(self, value: Any, found: Found | None = None) -> Raw:
        try:
            return Raw(self._any.dump_json(value).decode())
        except PydanticSerializationError as error:
            raise ValueError(str(error)) from error

    def load(self, text: str) -> Any:
        value = self._any.validate_json(text)
        for error in self._validator.iter_errors(value):
            raise ValueError(f"{'.'.join(map(str, error.absolute_path)) or 'value'}: {_schema_line(error)}")
        return value
