"""Tools from an OpenAPI 3.0 or 3.1 document: one for each operation (spec.openapis.org/oas)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from auto_lora._errors import ToolsError
from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.schemas import (
    UnresolvedReference,
    goes_in_circles,
    inline,
    look_up,
    map_children,
    merged,
    strip,
    with_alternatives,
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
    """One tool for each operation, named by its `operationId`, else by method and path; equal names are numbered.

    Path and query parameters and the properties of a JSON body are its arguments (a body that is no
    object is the argument `body`, one in no JSON a string; header and cookie parameters are the caller's
    matter), the schema of the first JSON response 2xx is what it returns.

    Raises:
        ToolsError: not OpenAPI 3, a reference that points nowhere or back to itself, or an invalid
            operation (named).
    """
    if not str(document.get("openapi", "")).startswith("3."):
        version = document.get("openapi", document.get("swagger"))
        raise ToolsError(f"{source} is OpenAPI {version}; 3.0 and 3.1 are read", "convert it to OpenAPI 3")
    tools: list[ToolDefinition] = []
    ids: dict[str, Any] = {}  # tool name to operationId
    for operation in _operations(document, source):
        tool = operation.tool()
        given = operation.operation.get("operationId")
        # One operationId given twice is the document's error, found as two tools of one name.
        if tool.name in ids and (given is None or given != ids[tool.name]):
            tool = replace(tool, name=_numbered(tool.name, ids))
        ids[tool.name] = given
        tools.append(tool)
    return tools


def _numbered(name: str, taken: Container[str]) -> str:
    names = (f"{name[: 64 - len(f'_{n}')]}_{n}" for n in count(2))
    return next(n for n in names if n not in taken)


def _operations(document: Mapping[str, Any], source: str) -> Iterator[_Operation]:
    paths = document.get("paths") or {}
    if not isinstance(paths, Mapping):
        raise ToolsError(f"{source}: paths is no mapping", "expected paths: {/pets: {get: {...}}}")
    for path, item in paths.items():
        with _placed(f"{source}, path {path}"):
            item = _resolved(item, document)
        for method in _METHODS:
            if isinstance(item.get(method), Mapping):
                yield _Operation(document, str(path), method, item, source)


@contextmanager
def _placed(where: str) -> Iterator[None]:
    """Errors say where they are."""
    try:
        yield
    except UnresolvedReference as error:
        raise ToolsError(f"{where}: $ref {error} points nowhere in it", "bundle it into one file") from None
    except ToolsError as error:
        raise ToolsError(f"{where}: {error.message}", error.hint) from None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _resolved(value: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A path item, parameter, body or response, wherever it stands; what stands beside a reference wins."""
    if not isinstance(value, Mapping) or "$ref" not in value:
        return _mapping(value)
    reference = str(value["$ref"])
    if goes_in_circles(reference, document):
        raise ToolsError(f"$ref {reference} leads only back to itself", "let it refer to a definition")
    beside = {k: v for k, v in value.items() if k != "$ref"}
    return {**_resolved(look_up(reference, document), document), **beside}


class _Operation:
    def __init__(
        self, document: Mapping[str, Any], path: str, method: str, item: Mapping[str, Any], source: str
    ) -> None:
        self.document, self.item, self.operation = document, item, item[method]
        self.path, self.method = path, method
        self.where = f"{source}, {method.upper()} {path}"

    def tool(self) -> ToolDefinition:
        with _placed(self.where):
            properties, required = self._arguments()
            parameters = without_null({"type": "object", "properties": properties, "required": required})
            return ToolDefinition(self._name(), self._description(), parameters, self._returns())

    def _name(self) -> str:
        name = self.operation.get("operationId") or f"{self.method} {self.path}"
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(name)).strip("_")[:64]
        return name if re.match("[A-Za-z_]", name) else f"_{name}"[:64]

    def _description(self) -> str:
        said = self.operation.get("summary") or self.operation.get("description") or ""
        first = re.split(r"\n\s*\n", str(said).strip())[0]
        return " ".join(first.split()) or f"{self.method.upper()} {self.path}"

    def _parameters(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        """By name and place; one of the operation wins over the path's. Those that the path alone names, too."""
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for holder in (self.item, self.operation):
            given = holder.get("parameters") or []
            if not isinstance(given, list):
                raise ToolsError("parameters is no list", "write - name: ... for each of them")
            for entry in given:
                parameter = _resolved(entry, self.document)
                if parameter.get("name") is None:
                    raise ToolsError(f"a parameter has no name: {entry!r}", "say name, in and schema of each")
                found[str(parameter["name"]), str(parameter.get("in", ""))] = parameter
        named = {name for name, place in found if place in ("path", "query")}
        for name in re.findall(r"\{([^{}]+)\}", self.path):
            if name not in named:
                found[name, "path"] = {}
        return found

    def _arguments(self) -> tuple[dict[str, Any], list[str]]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        for (name, place), parameter in self._parameters().items():
            if place not in ("path", "query"):
                continue
            name = f"{place}_{name}" if name in properties else name  # the same name in path and query
            content = _mapping(next(iter(_mapping(parameter.get("content")).values()), {}))
            schema = self._schema(parameter.get("schema") or content.get("schema") or {"type": "string"})
            about = " ".join(str(parameter.get("description") or "").split())
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
        body = _resolved(self.operation.get("requestBody"), self.document)
        must = bool(body.get("required"))
        given = _json_schema(body)
        if given is None:
            if not body.get("content"):
                return {}, ()
            about = " ".join(str(body.get("description") or "").split())
            text = {"type": "string"} | ({"description": about} if about else {})
            return {"body": text}, ("body",) if must else ()
        schema = with_alternatives(self._schema(given, unwanted="readOnly"))
        if schema.get("properties"):
            return schema["properties"], schema.get("required", ()) if must else ()
        return {"body": schema}, ("body",) if must else ()

    def _returns(self) -> dict[str, Any] | None:
        responses = {str(code): r for code, r in _mapping(self.operation.get("responses")).items()}
        for code in sorted(c for c in responses if c.startswith("2")):
            schema = _json_schema(_resolved(responses[code], self.document))
            if schema is not None:
                return self._schema(schema, deepest=_RETURNS_DEEPEST, unwanted="writeOnly")
        return None

    def _schema(self, schema: Any, *, deepest: int = 6, unwanted: str = "") -> dict[str, Any]:
        schema = _to_json_schema(inline(schema, self.document, deepest=deepest), unwanted)
        unread = (*_NOT_SCHEMA, "readOnly", "writeOnly")
        return dict(_mapping(strip(schema, lambda k: k in unread or k.startswith("x-"))))


def _json_schema(holder: Mapping[str, Any]) -> Any:
    """The schema of a body or response in JSON (or as a form, which has the same shape)."""
    content = {str(kind): _mapping(value) for kind, value in _mapping(holder.get("content")).items()}
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
        if isinstance(out.get("required"), list):
            out["required"] = [k for k in out["required"] if k not in hidden]
    return map_children(out, lambda sub, _: _to_json_schema(sub, unwanted))
