"""Every error a user can meet, in one tree; each says what happened and what to do.

    AutoLoRAError             exit code 1: could not
    ├── UsageError            exit code 2: wrong usage
    │   ├── ConfigError       a setting outside its range, or unknown
    │   └── ToolsError        the tools file, or one tool in it
    ├── MissingPartError      a package, program or file this needs is not there
    ├── ModelError            the model file or folder cannot be used
    ├── OutputError           the output folder cannot be written, or holds a run
    ├── DataError             examples could not be written or do not fit
    ├── TrainingError         training could not go on
    ├── ExportError           the adapter could not become a GGUF
    ├── ServerError           llama.cpp did not start, died or answered with an error
    └── MismatchError         trainer and server disagree; nothing is trained on that

The command line prints `str(error)` as one sentence, the hint below it, and no traceback.
"""

from __future__ import annotations


class AutoLoRAError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what happened, one sentence.
        hint: what the user can do about it, one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(AutoLoRAError):
    """The command or call cannot mean anything: wrong flags, values or files."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown or outside its range; names field, value and range."""


class ToolsError(UsageError):
    """The tools file is unreadable, or a tool in it is not a valid definition."""


class MissingPartError(AutoLoRAError):
    """A package, program or file that this step needs is not there."""


class ModelError(AutoLoRAError):
    """The model file or folder is missing, damaged or of an unsupported kind."""


class OutputError(AutoLoRAError):
    """The output folder cannot be written, is full, or already holds a run."""


class DataError(AutoLoRAError):
    """Examples could not be written, read or fitted into the sequence length."""


class TrainingError(AutoLoRAError):
    """Training could not go on (out of memory, loss not finite, ...)."""


class ExportError(AutoLoRAError):
    """The adapter could not be written as GGUF."""


class ServerError(AutoLoRAError):
    """llama.cpp did not start, died, or answered a request with an error."""


class MismatchError(AutoLoRAError):
    """Trainer and server disagree about tokens, weights or scale."""
