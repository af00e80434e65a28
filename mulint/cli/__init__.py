"""The command line: one file a command, loaded only when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from mulint import __version__

COMMANDS = {
    "check": "Find departures from μP without running any code.",
    "fix": "Rewrite code into μP, or repair it.",
    "trace": "Build a model at several widths and measure it.",
    "transfer": "Sweep learning rates over widths and see whether the best one moves.",
    "init": "Write a configuration from what the code shows.",
    "config": "Print the configuration that is in force.",
    "explain": "Print a rule's page.",
    "rules": "List all rules.",
}

EXIT_CLEAN, EXIT_FINDINGS, EXIT_ERROR = 0, 1, 2


class CannotRun(click.ClickException):
    """A command could not do its work; one line that says why and what to do."""

    exit_code = EXIT_ERROR


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all; see ``write_bytes``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a device or a pipe as it comes.

    Raises:
        CannotRun: it cannot be written.
    """
    path = path.resolve()
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CannotRun(f"{path}: {error.strerror}; choose a folder that exists and may be written") from None


class Commands(click.Group):
    """Imports a command's module when the command is asked for, so that ``--help`` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mulint.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mulint")
def group() -> None:
    """Find, measure and repair departures from the Maximal Update Parametrization (μP)."""


def main() -> None:
    """Run the command line; anything that is not a finding exits with 2 and one line."""
    try:
        group.main(prog_name="mulint", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(EXIT_CLEAN)
    except click.ClickException as error:
        click.echo(f"mulint: {error.format_message()}", err=True)
        sys.exit(EXIT_ERROR)
    except (click.Abort, KeyboardInterrupt):
        click.echo("mulint: interrupted", err=True)
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        # Whoever read the output has gone; point it nowhere so that closing it at exit cannot fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except Exception as error:
        if "--verbose" in sys.argv:
            raise
        detail = f"{type(error).__name__}: {error}"
        click.echo(f"mulint: internal error: {detail}; please report it (--verbose shows where)", err=True)
        sys.exit(EXIT_ERROR)
