"""The command line: reads what was typed, runs it, turns errors into one line and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from stellarrow import extras
from stellarrow.cli import standard_streams
from stellarrow.cli.output.said import say
from stellarrow.cli.query.interrupting import spare_imports, was_interrupted
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.net.redaction import redacted_text
from stellarrow.storage.os_errors import reason, remedy

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130

_RESUMED: Final = frozenset(("extract", "demo"))
_GOES_ON: Final = ": the same command line continues from what is done"


def main() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own lines of log, beside the error that we tell
    # Rows come and go by the megabyte: clearing pages of 2 MB for them took an eighth of an extract's time.
    os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
    standard_streams.prepare()
    spare_imports()
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    try:
        return _run(arguments)
    except (KeyboardInterrupt, click.Abort):
        return _interrupted(arguments)
    except Exception as error:
        if was_interrupted():  # and a library made an error of its own of it
            return _interrupted(arguments)
        return _ended(error, arguments)


def _run(arguments: Sequence[str]) -> int:
    from stellarrow.cli.app import stellarrow  # noqa: PLC0415  it may be interrupted, too

    code: Any = stellarrow.main(
        [argument for argument in arguments if argument != "--debug"],
        prog_name="stellarrow",
        standalone_mode=False,
    )
    sys.stdout.flush()
    return code if isinstance(code, int) else DONE


def _ended(error: Exception, arguments: Sequence[str]) -> int:
    """Tell what ended a command, and return its exit code; raise what is a fault of ours."""
    debug = "--debug" in arguments
    match error:
        case BrokenPipeError():
            # The reader of our output has gone, as in `| head`; keep Python from flushing into it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case OSError() if not debug:
            _tell(_refused(error))
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        case click.exceptions.NoArgsIsHelpError():
            say(error.ctx.get_help() if error.ctx else error.format_message())
            return DONE
        case ModuleNotFoundError() if not debug and (lacking := extras.explained("this command", error)):
            return _failed(lacking, arguments)
        case click.ClickException() | StellarrowError() if not debug:
            return _failed(error, arguments)
    raise error


def _interrupted(arguments: Sequence[str]) -> int:
    _tell("interrupted" + (_GOES_ON if _RESUMED.intersection(arguments[:1]) else ""))
    return INTERRUPTED


def _refused(error: OSError) -> str:
    """Say what the system refused, where nobody else has; what names no file is of our own output."""
    what = error.filename if isinstance(error.filename, str) else "the output cannot be written"
    return f"{what} ({reason(error)}): {remedy(error)}"


def _failed(error: click.ClickException | StellarrowError, arguments: Sequence[str]) -> int:
    if "--json" in arguments:
        say(json.dumps({"error": _fields(error)}), err=True)
    else:
        _tell(_message(error))
    return WRONG_USAGE if isinstance(error, click.UsageError | ConfigError) else FAILED


def _message(error: click.ClickException | StellarrowError) -> str:
    return redacted_text(_said(error)) if isinstance(error, click.ClickException) else str(error)


def _fields(error: click.ClickException | StellarrowError) -> dict[str, Any]:
    """Return an error as programs read it, with its place where it has one."""
    place = {name: getattr(error, name, None) for name in ("ledger", "path", "offset")}
    known = {name: value for name, value in place.items() if value is not None}
    return {"kind": type(error).__name__, "message": _message(error), **known}


def _said(error: click.ClickException) -> str:
    """Let click's own message end with what to do."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or ":" in message or message.endswith("?"):
        return message
    return f"{message.rstrip('.')}: see {context.command_path} --help"


def _tell(message: str) -> None:
    say("error: ", fg="red", bold=True, err=True, nl=False)
    say(" ".join(message.split()), err=True)
