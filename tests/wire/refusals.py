"""What the real APIs would refuse, for the fake to refuse it too."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    def __init__(self, status: int, text: str, code: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


def need(condition: object, text: str, *, status: int = 400) -> None:
    if not condition:
        raise Refused(status, text)


def check_strict(schema: Any, *, all_required: bool, keywords: frozenset[str], root: bool = True) -> None:
    """A strict mode's schema: objects are closed, every property is required, no keyword is unknown."""
    need(isinstance(schema, dict), "schema must be an object")
    if root:
        need(schema.get("type") == "object", "schema must have type 'object' at its root")
    unknown = schema.keys() - keywords
    need(not unknown, f"schema keywords are not supported: {sorted(unknown)}")
    if schema.get("type") == "object":
        need(schema.get("additionalProperties") is False, "'additionalProperties' must be false")
        if all_required:
            need(
                set(schema.get("required", ())) == set(schema.get("properties", {})),
                "'required' must name every property",
            )
    need(schema.keys() & {"type", "anyOf", "enum", "$ref"}, "schema must have a type")
    inner = [
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", ()),
    ]
    for node in [*inner, *([schema["items"]] if "items" in schema else [])]:
        check_strict(node, all_required=all_required, keywords=keywords, root=False)


STRUCTURE = frozenset(
    "type properties required additionalProperties items anyOf enum const $ref $defs "
    "description title format".split()
)


def example(schema: dict[str, Any], root: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """A value that fits a schema of the subset above."""
    root = schema if root is None else root
    if "$ref" in schema:
        return example(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        ends = [choice for choice in schema["anyOf"] if choice.get("type") == "null"]
        return example((ends or schema["anyOf"])[0] if depth > 6 else schema["anyOf"][0], root, depth)
    match schema.get("type"):
        case "object":
            return {
                name: example(node, root, depth + 1) for name, node in schema.get("properties", {}).items()
            }
        case "array":
            size = schema.get("minItems", 0 if depth > 6 else 1)
            return [example(schema["items"], root, depth + 1) for _ in range(size)]
        case "string":
            return {"date": "2031-04-05", "uuid": "12345678-1234-4234-8234-123456789012"}.get(
                schema.get("format", ""), "text"
            )
        case "integer" | "number":
            return max(schema.get("minimum", 1), schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return True
        case _:
            return None
