"""The run folder: what lies where, and writes that a kill cannot leave half done.

OUTPUT/
  run.json  data/{validation,test}.jsonl, {base,own}_answers.json  logs/server_*.log
  iteration_N/  final_adapter/
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from auto_lora._errors import DataError, OutputError, UsageError
from auto_lora._settings import flags, split_mix

# Settings of one call, which run.json does not hold.
_OF_THE_CALL = (
    "output_dir", "num_iterations", "port", "parallel_requests", "request_timeout", "llama_cpp_url",
)  # fmt: skip
# Settings that a resumed run may change: nothing that it trains or asks depends on them, and the judge is asked last.
FREE = (*_OF_THE_CALL, "judge_url", "judge_model")
_OF_DATA = frozenset(f.name for f in flags() if f.metadata["group"] == "data") | {"seed"}
# What a run writes outside its own folders `iteration_N` and `final_adapter`; its own description goes last.
_DATA = ("train.jsonl", "validation.jsonl", "test.jsonl", "own_answers.json", "base_answers.json")
_FILES = ("base.gguf", "chat_template.jinja", "run.json")


def holds_run(directory: Path) -> bool:
    """Whether a folder holds a run, or data from `--generate`: its run.json has settings and tools."""
    try:
        run = read_json(directory / "run.json")
    except DataError:
        return False
    return isinstance(run, dict) and run.keys() >= {"settings", "tools"}


def in_the_way(directory: Path) -> Path | None:
    """Something in a folder that a run would take for its own or write over, None where there is nothing."""
    return next((path for path in _written(directory) if path.exists()), None)


def clear_run(directory: Path) -> None:
    """Removes what a run wrote, and nothing else; a folder that holds no run keeps all it has.

    Raises:
        OutputError: something there cannot be removed.
    """
    if not holds_run(directory):
        return
    for path in _written(directory):
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path} cannot be deleted: {error.strerror or error}", "choose another folder with --output"
            ) from None
    for name in ("data", "logs"):
        with contextlib.suppress(OSError):  # there is something else in it
            (directory / name).rmdir()


def is_cleared(path: Path, directory: Path) -> bool:
    """Whether `clear_run` of the folder would remove `path`."""
    path = path.resolve()
    return any(part in (path, *path.parents) for part in _written(directory.resolve()))


def _written(directory: Path) -> list[Path]:
    rounds = [
        path for path in directory.glob("iteration_*") if path.name.removeprefix("iteration_").isdigit()
    ]
    data = [directory / "data" / name for name in _DATA]
    logs = directory.glob("logs/server_*.log")
    return [directory / "final_adapter", *rounds, *data, *logs, *(directory / name for name in _FILES)]


def check_resumed(output: Path, settings: Mapping[str, Any], tools: Sequence[Any]) -> None:
    """Raises UsageError when the run in a folder has other settings or tools than these, or had other data in its files."""
    before = read_json(output / "run.json")
    # What --generate wrote is data alone: the training may be any.
    compared = settings.keys() - FREE if before.get("decided") else _OF_DATA
    changed = {k for k in compared if before["settings"].get(k) != settings[k]}
    changed |= {"tools"} if before["tools"] != tools else set()
    if changed:
        raise UsageError(
            f"the run in {output} has another {', '.join(sorted(changed))}",
            "give the same settings to --resume, or start anew with another --output, or here with --overwrite",
        )
    kept = before.get("files", {})
    for name, digest in _digests(settings).items():
        if kept.get(name, digest) != digest:
            raise UsageError(
                f"{settings[name]} was changed since the run in {output} read it",
                "put it back to --resume, or start anew with another --output, or here with --overwrite",
            )


def _digests(settings: Mapping[str, Any]) -> dict[str, str]:
    """Setting to SHA-256, of the user's files that a run reads once and then no more."""
    files = {
        "test_file": settings["test_file"],
        "seed_prompts": settings["seed_prompts"],
        "mix": split_mix(settings["mix"])[0] if settings["mix"] else None,
    }
    return {name: sha256(path) for name, path in files.items() if path and os.path.isfile(path)}


def sha256(path: str | Path) -> str:
    """A file's hash in hex, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def remember_run(
    output: Path,
    version: str,
    settings: Mapping[str, Any],
    tools: Sequence[Any],
    decided: Mapping[str, Any],
    *,
    resume: bool,
) -> dict[str, Any]:
    """Writes run.json: version, settings, tools, and the hashes of the user's files.

    Args:
        decided: settings as this machine understands "auto"; {} of data alone.

    Returns what the run goes by: `decided`, or what the run that is resumed had decided.

    Raises:
        UsageError: the run that is to be resumed has other settings or tools.
    """
    path = output / "run.json"
    kept = {k: v for k, v in settings.items() if k not in _OF_THE_CALL}
    holds = dict(decided)
    if resume and path.is_file():
        check_resumed(output, settings, tools)
        holds |= read_json(path).get("decided", {})
    files = _digests(settings)
    write_json(path, {"version": version, "settings": kept, "decided": holds, "files": files, "tools": tools})
    return holds


def settings_beside(folder: str | Path) -> dict[str, Any]:
    """The settings of the run that an adapter folder lies in, but for the files it read; {} where there is no run.

    Raises:
        DataError: run.json is there and holds no settings.
    """
    path = Path(folder).resolve().parent / "run.json"
    if not path.is_file():
        return {}
    run = read_json(path)
    if not isinstance(run, dict) or not isinstance(run.get("settings"), dict):
        raise DataError(
            f"{path} holds no settings", "move the adapter folder elsewhere to score it by itself"
        )
    return {
        k: v for k, v in run["settings"].items() if k not in ("tools", "test_file", "seed_prompts", "mix")
    }


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


def loads(text: str) -> Any:
    """A foreign text's JSON, if it can be written again.

    Raises:
        ValueError: it is no JSON, is nested too deeply, or holds NaN, an infinite number or half a surrogate pair.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


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
