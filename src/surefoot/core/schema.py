"""Plain function signatures become schemas.

`Parameters` is what a tool takes: its JSON Schema for a model, and two ways in: `from_text` for what
a model wrote (strict JSON, no unknown or duplicate keys, nothing converted that JSON can say
itself) and `from_python` for what a step's code passed.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, Protocol, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticSerializationError

from ..errors import BadSignature, InvalidArguments
from .jsons import Raw, parse_strictly
from .private import Found
from .types import without_none


def name_of(function: Callable[..., Any]) -> str:
    """Also of what is called like a function and has no name of its own, such as a partial."""
    return str(getattr(function, "__name__", None) or repr(function))


def hints_of(function: Callable[..., Any], role: str) -> dict[str, Any]:
    """Evaluated annotations of a function. Raises BadSignature where one cannot be evaluated."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:
        raise BadSignature(
            f"{role} {name_of(function)!r}: its annotations cannot be evaluated",
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
                f"{role} {name_of(function)!r} takes {parameter}",
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
        bare = without_none(annotation)
        one_class = len(bare) == 1 and isinstance(bare[0], type)
        self._model = bare[0] if one_class and issubclass(bare[0], BaseModel) else None
        try:
            self.adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            if not self.adapter.pydantic_complete:
                self.adapter.rebuild(raise_errors=True)
        except (PydanticUserError, NameError) as error:
            raise BadSignature(
                f"{owner}: its type cannot be kept as JSON",
                why=str(error).splitlines()[0],
                remedy="Use pydantic models, dataclasses, or plain JSON types.",
            ) from error

    def dump(self, value: Any, found: Found | None = None) -> Raw:
        """Raises ValueError where the value is not of this type, or cannot be written as JSON."""
        try:
            if self._model is not None and value is not None and not isinstance(value, self._model):
                # Pydantic would write another model as this one, without what this one does not know: as an
                # empty one, where all has defaults. A dict of its fields is meant well.
                value = self.adapter.validate_python(value)
            text = self.adapter.dump_json(value, context=found, warnings=False)
            if b"null" in text:
                _must_be_finite(self.adapter.dump_python(value, warnings=False))
        except PydanticSerializationError as error:
            raise ValueError(str(error)) from error
        return Raw(text.decode())

    def load(self, text: str) -> Any:
        """Raises ValidationError."""
        return self.adapter.validate_json(text)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """Raises BadSignature where JSON Schema cannot say what the type is."""
        try:
            return self.adapter.json_schema()
        except PydanticUserError as error:
            raise BadSignature(
                f"{self.owner}: its type cannot be a JSON Schema",
                why=str(error).splitlines()[0],
                remedy="Use pydantic models, dataclasses, or plain JSON types.",
            ) from error


def _must_be_finite(value: Any) -> None:
    """Pydantic writes NaN and the infinities as null, and a replay would not see what was there.
    Raises ValueError."""
    match value:
        case float():
            if not math.isfinite(value):
                raise ValueError(f"it holds {value}, which JSON cannot say")
        case dict():
            for key, item in value.items():
                _must_be_finite(key)
                _must_be_finite(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                _must_be_finite(item)
        case _:
            pass


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
                    why="its schema is made from the type",
                    remedy="Annotate it: its schema is made from the type.",
                )
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
        self.names = tuple(fields)
        self.model = _model_of(name, fields)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        try:
            schema = self.model.model_json_schema()
        except PydanticUserError as error:
            raise BadSignature(
                f"tool {self.name!r}: the types of its parameters cannot be a schema",
                why=str(error).splitlines()[0],
                remedy="Use pydantic models, dataclasses, or plain JSON types.",
            ) from error
        schema.pop("title", None)
        return schema

    @cached_property
    def _extra(self) -> Literal["forbid"] | None:
        """Unknown keys are refused in nested objects too, unless one of these says that it takes any."""
        return None if _takes_any_key(self.json_schema) else "forbid"

    def from_text(self, text: str) -> dict[str, Any]:
        """Keyword arguments from a model's text. Raises InvalidArguments with lines for the model."""
        try:
            parse_strictly(text or "{}")
            model = self.model.model_validate_json(text or "{}", strict=True, extra=self._extra)
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
        """Raises InvalidArguments where the journal could not give the same arguments back."""
        model = self.model.model_construct(**arguments)
        try:
            text = model.model_dump_json(context=found, warnings=False)
            if "null" in text:
                _must_be_finite(model.model_dump(warnings=False))
            if len(text) > _SURELY_READABLE:
                self.load(text)
        except ValidationError as error:
            raise self._invalid(lines_of(error)) from error
        except ValueError as error:
            raise self._invalid([str(error)]) from error
        return Raw(text)

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


_SURELY_READABLE = 400
"""Characters of JSON that cannot nest deeper, or hold longer numbers, than a reader takes."""


def _model_of(name: str, fields: dict[str, Any]) -> type[BaseModel]:
    """A model with these fields. Raises BadSignature for a name or type that cannot be one."""
    config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        arbitrary_types_allowed=False,
        frozen=True,
        allow_inf_nan=False,  # NaN is neither above nor below any limit: a rule could not catch it
        protected_namespaces=(),
    )
    for field in fields:
        if field.startswith("_") or (field.startswith("model_") and hasattr(BaseModel, field)):
            raise BadSignature(
                f"tool {name!r}: a parameter cannot be named {field!r}",
                why="names that begin with _, and a few with model_, mean something else in a schema",
                remedy="Choose another name.",
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a parameter may be called `json` or `copy`
        try:
            model = create_model(f"{name}_arguments", __config__=config, **fields)
            model.model_rebuild(raise_errors=True)
        except (PydanticUserError, NameError) as error:
            raise BadSignature(
                f"tool {name!r}: the types of its parameters cannot be a schema",
                why=str(error).splitlines()[0],
                remedy="Use pydantic models, dataclasses, or plain JSON types.",
            ) from error
    return model


def _takes_any_key(schema: Any) -> bool:
    """Whether some object with named properties in this JSON Schema takes others too."""
    if isinstance(schema, list):
        return any(map(_takes_any_key, schema))
    if not isinstance(schema, dict):
        return False
    if "properties" in schema and schema.get("additionalProperties", False) is not False:
        return True
    return any(map(_takes_any_key, schema.values()))


class RawParameters:
    """The same for a tool that came with a JSON Schema instead of a signature."""

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        if schema.get("type") != "object":
            raise BadSignature(
                f"tool {name!r}: its input schema is of type {schema.get('type')!r}",
                why="a tool is called with named arguments, which only an object has",
                remedy="Arguments have names: make it an object.",
            )
        self.name = name
        # A schema that says nothing of other keys would let a model smuggle some in.
        self.json_schema = {_others_of(schema): False, **schema}
        self._validator = _validator_of(f"tool {name!r}: its input schema", self.json_schema)

    def from_text(self, text: str) -> dict[str, Any]:
        try:
            value = parse_strictly(text or "{}")
        except ValueError as error:
            raise self._invalid([str(error)]) from error
        return self.from_python(value)

    def from_python(self, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            lines = [_schema_line(error) for error in self._validator.iter_errors(arguments)]
        except RecursionError:
            lines = ["it is nested too deeply"]
        if lines:
            raise self._invalid(lines)
        return arguments

    def dump(self, arguments: dict[str, Any], found: Found | None = None) -> Raw:
        """Raises InvalidArguments where they cannot be written as JSON."""
        try:
            text = _ANY.dump_json(arguments, warnings=False).decode()
            if "null" in text:
                _must_be_finite(_ANY.dump_python(arguments, warnings=False))
            if len(text) > _SURELY_READABLE:
                self.load(text)
        except ValueError as error:
            raise self._invalid([str(error)]) from error
        return Raw(text)

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


_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def _others_of(schema: dict[str, Any]) -> str:
    """The keyword that speaks of all other keys, also those that a part of the schema has named."""
    composed = ("allOf", "anyOf", "oneOf", "if", "$ref", "$dynamicRef", "dependentSchemas")
    return "unevaluatedProperties" if any(part in schema for part in composed) else "additionalProperties"


def _validator_of(what: str, schema: dict[str, Any]) -> Any:
    """Raises BadSignature for what is no JSON Schema by itself. Nothing is ever fetched for one: it comes
    from elsewhere, and so would the address."""
    from jsonschema import Draft202012Validator  # costs 0.1 s, and only such tools need it
    from jsonschema.exceptions import SchemaError
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise BadSignature(
            f"{what} is no JSON Schema",
            why=error.message,
            remedy="Mend it there: JSON Schema 2020-12 is what is understood.",
        ) from error
    registry: Registry[Any] = Registry()
    resolver = registry.with_resource("", DRAFT202012.create_resource(schema)).resolver()
    for ref in _refs_in(schema):
        try:
            if not ref.startswith("#"):
                raise BadSignature(
                    f"{what} refers to {ref!r}",
                    why="it lies outside of the schema itself",
                    remedy="Write it out: nothing is fetched.",
                )
            resolver.lookup(ref)
        except Unresolvable as error:
            raise BadSignature(
                f"{what} refers to {ref!r}, which is not in it",
                why="nothing in it has that address",
                remedy="Mend the $ref, or put what it means under $defs.",
            ) from error
    return Draft202012Validator(schema, registry=registry)


def _refs_in(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [ref for item in schema for ref in _refs_in(item)]
    if not isinstance(schema, dict):
        return []
    found = [ref for key in ("$ref", "$dynamicRef") if isinstance(ref := schema.get(key), str)]
    data = ("const", "enum", "default", "examples")
    return found + [ref for key, item in schema.items() if key not in data for ref in _refs_in(item)]


def _schema_line(error: Any) -> str:
    """Where, and what a JSON Schema keyword asked for, without the value that failed it."""
    where = ".".join(map(str, error.absolute_path)) or "value"
    return f"{where}: does not satisfy {error.validator} {error.validator_value!r}"[:200]


class RawShape:
    """An output that came with a JSON Schema, or with none at all (then any JSON is taken)."""

    def __init__(self, owner: str, schema: dict[str, Any] | None) -> None:
        self.owner = owner
        self.json_schema = schema if schema is not None else {}
        self._validator = _validator_of(f"{owner}: its output schema", self.json_schema)

    def dump(self, value: Any, found: Found | None = None) -> Raw:
        """Raises ValueError where the value cannot be written as JSON."""
        try:
            text = _ANY.dump_json(value, context=found, warnings=False)
            if b"null" in text:
                _must_be_finite(_ANY.dump_python(value, warnings=False))
        except PydanticSerializationError as error:
            raise ValueError(str(error)) from error
        return Raw(text.decode())

    def load(self, text: str) -> Any:
        """Raises ValueError where it does not fit the schema."""
        value = _ANY.validate_json(text)
        for error in self._validator.iter_errors(value):
            raise ValueError(_schema_line(error))
        return value
