"""Tools from an OpenAPI 3.0 or 3.1 document: one for each operation (spec.openapis.org/oas)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.schemas import (
    UnresolvedReference,
    inline,
    look_up,
    map_children,
    merged,
    strip,
    without_null,
)

_METHODS = ("get", "put", "post", "delete", "patch")
# OpenAPI's own words beside JSON Schema's (3.0.4, 4.7.24).
_NOT_SCHEMA = (
    "nullable",
    "discriminator",
    "xml",
    "externalDocs",
    "example",
    "examples",
    "deprecated",
    "title",
)
_RETURNS_DEEPEST = 2  # references within a response: enough to make one up, and large services stay small


def tools_of_document(document: Mapping[str, Any], source: str) -> list[ToolDefinition]:
    """One tool for each operation, named by its `operationId`.

    Path and query parameters and the properties of a JSON body are its arguments (a body that is no
    object is the argument `body`; header and cookie parameters are the caller's matter), the schema of
    the first JSON response 2xx is what it returns.

    Raises:
        ToolsError: not OpenAPI 3, a reference that points nowhere, or an invalid operation (named).
    """
    if not str(document.get("openapi", "")).startswith("3."):
        version = document.get("openapi", document.get("swagger"))
        raise ToolsError(f"{source} is OpenAPI {version}; 3.0 and 3.1 are read", "convert it to OpenAPI 3")
    return [_Operation(document, *found, source).tool() for found in _operations(document)]


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], list[Any]]]:
    for path, item in (document.get("paths") or {}).items():
        for method in _METHODS:
            if isinstance(item, Mapping) and isinstance(item.get(method), Mapping):
                operation = item[method]
                # A parameter of the operation wins over the path's of the same name and place.
                yield (
                    path,
                    method,
                    operation,
                    [*item.get("parameters", ()), *operation.get("parameters", ())],
                )


class _Operation:
    def __init__(
        self,
        document: Mapping[str, Any],
        path: str,
        method: str,
        operation: Mapping[str, Any],
        parameters: Sequence[Any],
        source: str,
    ) -> None:
        self.document, self.operation, self.parameters = document, operation, parameters
        self.path, self.method = path, method
        self.where = f"{source}, {method.upper()} {path}"

    def tool(self) -> ToolDefinition:
        try:
            properties, required = self._arguments()
            parameters = without_null({"type": "object", "properties": properties, "required": required})
            return ToolDefinition(self._name(), self._description(), parameters, self._returns())
        except UnresolvedReference as error:
            raise ToolsError(
                f"{self.where}: $ref {error} points nowhere in it", "bundle it into one file"
            ) from None
        except ToolsError as error:
            raise ToolsError(f"{self.where}: {error.message}", error.hint) from None

    def _name(self) -> str:
        name = self.operation.get("operationId") or f"{self.method} {self.path}"
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(name)).strip("_")[:64]
        return name if re.match("[A-Za-z_]", name) else f"_{name}"[:64]

    def _description(self) -> str:
        said = self.operation.get("summary") or self.operation.get("description") or ""
        first = re.split(r"\n\s*\n", str(said).strip())[0]
        return " ".join(first.split()) or f"{self.method.upper()} {self.path}"

    def _arguments(self) -> tuple[dict[str, Any], list[str]]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        taken: dict[tuple[str, str], Any] = {}
        for parameter in map(self._object, self.parameters):
            taken[parameter.get("name", ""), parameter.get("in", "")] = parameter
        for (name, place), parameter in taken.items():
            if place not in ("path", "query"):
                continue
            content: Mapping[str, Any] = next(iter((parameter.get("content") or {}).values()), {})
            schema = self._schema(parameter.get("schema", content.get("schema", {"type": "string"})))
            about = " ".join(str(parameter.get("description", "")).split())
            properties[name] = schema | ({"description": about} if about else {})
            if parameter.get("required") or place == "path":
                required.append(name)
        body, wanted = self._body()
        for name, schema in body.items():
            name_here = f"body_{name}" if name in properties else name
            properties[name_here] = schema
            if name in wanted:
                required.append(name_here)
        return properties, required

    def _body(self) -> tuple[dict[str, Any], Sequence[str]]:
        """The body's properties and the required ones among them; a body that may be left out requires none."""
        body = self._object(self.operation.get("requestBody") or {})
        given = _json_schema(body)
        if given is None:
            return {}, ()
        schema = self._schema(given, unwanted="readOnly")
        must = bool(body.get("required"))
        if schema.get("properties"):
            return schema["properties"], schema.get("required", ()) if must else ()
        return {"body": schema}, ("body",) if must else ()

    def _returns(self) -> dict[str, Any] | None:
        responses = {str(code): r for code, r in (self.operation.get("responses") or {}).items()}
        for code in sorted(c for c in responses if c.startswith("2")):
            schema = _json_schema(self._object(responses[code]))
            if schema is not None:
                return self._schema(schema, deepest=_RETURNS_DEEPEST, unwanted="writeOnly")
        return None

    def _object(self, value: Any) -> Mapping[str, Any]:
        """A parameter, body or response, wherever it stands."""
        while isinstance(value, Mapping) and "$ref" in value:
            value = look_up(value["$ref"], self.document)
        return value if isinstance(value, Mapping) else {}

    def _schema(self, schema: Any, *, deepest: int = 6, unwanted: str = "") -> dict[str, Any]:
        schema = _to_json_schema(inline(schema, self.document, deepest=deepest), unwanted)
        return strip(schema, lambda k: k in (*_NOT_SCHEMA, "readOnly", "writeOnly") or k.startswith("x-"))


def _json_schema(holder: Mapping[str, Any]) -> Any:
    """The schema of a body or response in JSON (or as a form, which has the same shape)."""
    content = holder.get("content") or {}
    kinds = [k for k in content if re.match(r"application/(.*\+)?json", k)]
    kinds += [k for k in content if k in ("application/x-www-form-urlencoded", "multipart/form-data", "*/*")]
    return content[kinds[0]].get("schema") if kinds else None


def _to_json_schema(schema: Any, unwanted: str) -> Any:
    """OpenAPI 3.0's dialect in JSON Schema 2020-12, without the properties marked `unwanted`."""
    if not isinstance(schema, Mapping):
        return schema
    out = merged(schema)
    for bound in ("minimum", "maximum"):
        exclusive = "exclusive" + bound.capitalize()
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and bound in out:
            out[exclusive] = out.pop(bound)
    if out.get("nullable") is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
    if isinstance(out.get("properties"), Mapping):
        hidden = [k for k, v in out["properties"].items() if isinstance(v, Mapping) and v.get(unwanted)]
        out["properties"] = {k: v for k, v in out["properties"].items() if k not in hidden}
        if "required" in out:
            out["required"] = [k for k in out["required"] if k not in hidden]
    return map_children(out, lambda sub, _: _to_json_schema(sub, unwanted))
