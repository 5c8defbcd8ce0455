"""The run folder: what lies where, and writes that a kill cannot leave half done.

OUTPUT/
  run.json  data/{validation,test}.jsonl  logs/
  iteration_N/  final_adapter/
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from auto_lora._errors import DataError, OutputError


def write_text(path: str | Path, text: str) -> Path:
    """Writes a whole file or nothing: temporary file in the same folder, fsync, rename.

    Raises:
        OutputError: the folder cannot be written or is full.
    """
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Like `write_text`, for bytes."""
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(
            f"{path} cannot be written: {error.strerror or error}",
            "check the folder's permissions and the free space, or choose another with --output",
        ) from None
    return path


def dumps(value: Any) -> str:
    """JSON on one line with readable non-ASCII text: the form in which models see it."""
    return json.dumps(value, ensure_ascii=False)


def write_json(path: str | Path, value: Any) -> Path:
    return write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[Any]) -> Path:
    return write_text(path, "".join(dumps(row) + "\n" for row in rows))


def read_json(path: str | Path) -> Any:
    """Raises DataError when the file is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", "run again with --overwrite") from None


def read_jsonl(path: str | Path) -> Iterator[Any]:
    """Yields each line's value; raises DataError naming the line that is not JSON."""
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except ValueError as error:
                        raise DataError(f"{path}, line {number} is not JSON: {error}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
