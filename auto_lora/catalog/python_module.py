"""Tools from a Python module: its annotated functions with docstrings.

Types become JSON Schema through pydantic's `TypeAdapter` (so dataclasses, TypedDict, Enum, Literal,
Annotated and pydantic models work), docstrings (Google, NumPy, Sphinx, Epydoc) descriptions through
`docstring_parser`. The module is run, as importing it would.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Annotated, Any

from auto_lora._errors import MissingPartError, ToolsError
from auto_lora.catalog.definition import ToolDefinition
from auto_lora.catalog.schemas import inline, strip, without_null

_NAME = "auto_lora_tools_module"
_CONSTANTS = (str, bytes, int, float, list, tuple, dict, set, frozenset, type(None))


def tools_of_module(path: Path) -> list[ToolDefinition]:
    """One tool for each function in `__all__`; without that, for each public function with a docstring.

    Raises:
        ToolsError: the module cannot be run, or a function is not fully annotated or not describable
            in JSON; names the function and the parameter.
        MissingPartError: pydantic or docstring_parser is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("pydantic", "docstring_parser")):
        raise MissingPartError(
            f"reading tools from {path} takes the packages pydantic and docstring_parser",
            "pip install pydantic docstring-parser",
        )
    with _loaded(path) as module:
        return [_tool(name, function, path) for name, function in _functions(module, path)]


@contextmanager
def _loaded(path: Path) -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location(_NAME, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and forward references look their module up; siblings are imported as they are by a script.
    sys.modules[_NAME] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        try:
            with redirect_stdout(sys.stderr):  # what it prints must not stand before --json
                spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:  # whatever the user's own code raises
            where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise ToolsError(
                f"{path}{where} cannot be imported: {type(error).__name__}: {error}",
                "it is run to read its functions; try: python " + str(path),
            ) from None
        yield module
    finally:
        sys.path.remove(str(path.resolve().parent))
        del sys.modules[_NAME]


def _functions(module: ModuleType, path: Path) -> list[tuple[str, Callable[..., Any]]]:
    named = getattr(module, "__all__", None)
    if named is None:
        own = [(n, f) for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == _NAME]
        return [(n, f) for n, f in own if not n.startswith("_") and inspect.getdoc(f)]
    if not isinstance(named, (list, tuple)) or not all(isinstance(n, str) for n in named):
        raise ToolsError(f"{path}: __all__ is {named!r}, no list of names", "mend __all__")
    missing = [n for n in named if not hasattr(module, n)]
    if missing:
        raise ToolsError(f"{path}: __all__ names {missing[0]!r}, which is not there", "mend __all__")
    found = [(n, getattr(module, n)) for n in named]
    for name, thing in found:
        # Classes, modules and constants are no tools; what else is no function may have been meant as one.
        if not isinstance(thing, (FunctionType, type, ModuleType, *_CONSTANTS)):
            raise ToolsError(
                f"{path}: __all__ names {name!r}, which is no function but of type {type(thing).__name__}",
                "write a function for it, or leave it out of __all__",
            )
    return [(name, thing) for name, thing in found if inspect.isfunction(thing)]


def _tool(name: str, function: Callable[..., Any], path: Path) -> ToolDefinition:
    import docstring_parser
    from pydantic.fields import FieldInfo

    where = f'{path}, function "{name}"'
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise ToolsError(
            f"{where}: an annotation cannot be resolved: {error}", "import what it names"
        ) from None
    doc = docstring_parser.parse(inspect.getdoc(function) or "")
    about = {p.arg_name: " ".join((p.description or "").split()) for p in doc.params}
    properties: dict[str, Any] = {}
    required = []
    for key, parameter in inspect.signature(function).parameters.items():
        place = f"{where}, parameter {key!r}"
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ToolsError(f"{place}: a call has named arguments only", "name each parameter")
        if key not in hints:
            raise ToolsError(f"{place} has no annotation", "say its type, as in: city: str")
        default, hint = parameter.default, hints[key]
        if isinstance(default, FieldInfo):  # as FastAPI and FastMCP write them
            hint, needed = Annotated[hint, default], default.is_required()
            default = default.get_default(call_default_factory=False)
        else:
            needed = default is parameter.empty
        schema = _schema(hint, place)
        if needed:
            required.append(key)
        else:
            schema |= _default(default)
        if about.get(key):
            schema = {**schema, "description": about[key]}
        properties[key] = schema
    returns = hints.get("return")
    result = None if returns in (None, type(None), Any) else _schema(returns, f"{where}, result")
    parts = (doc.short_description, doc.long_description)
    description = " ".join(" ".join(part.split()) for part in parts if part)
    parameters = without_null({"type": "object", "properties": properties, "required": required})
    try:
        return ToolDefinition(name, description, parameters, result)
    except ToolsError as error:
        raise ToolsError(f"{path}: {error.message}", error.hint) from None


def _schema(annotation: Any, place: str) -> dict[str, Any]:
    from pydantic import PydanticUserError, TypeAdapter

    try:
        schema = TypeAdapter(annotation).json_schema()
    except (PydanticUserError, TypeError, NameError) as error:
        reason = str(error).splitlines()[0]
        raise ToolsError(f"{place}: {annotation!r} has no JSON form: {reason}", "use JSON's types") from None
    return strip(inline(schema, schema), lambda keyword: keyword == "title")


def _default(value: Any) -> dict[str, Any]:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        plain = to_jsonable_python(value)
        json.dumps(plain, allow_nan=False)
    except (PydanticSerializationError, ValueError):  # no JSON form; NaN or infinite
        return {}
    return {} if plain is None else {"default": plain}
