"""Parsing, exit codes and the one sentence a failure gets."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, NoReturn

from napari_emseg import __version__
from napari_emseg.cli.output import dump_json, say, write
from napari_emseg.cli.progress import TerminalProgress
from napari_emseg.errors import InputError
from napari_emseg.progress import Cancelled

DONE, OUR_FAULT, USERS_FAULT, STOPPED = 0, 1, 2, 130

COMMANDS: dict[str, tuple[str, str]] = {
    "info": ("napari_emseg.cli.info", "say what is in a file"),
    "models": ("napari_emseg.cli.models", "list the trained networks, bring one in or out"),
    "doctor": ("napari_emseg.cli.doctor", "check the installation and run a self-test"),
    "sections": ("napari_emseg.cli.sections", "find misaligned, blank and blurred sections"),
    "stack": ("napari_emseg.cli.stack", "learn how much each of several models counts"),
    "predict": ("napari_emseg.cli.predict", "raw sections to boundary map"),
    "fuse": ("napari_emseg.cli.fuse", "several boundary maps to one"),
    "postprocess": ("napari_emseg.cli.postprocess", "mend, calibrate or filter a boundary map"),
    "segment": ("napari_emseg.cli.segment", "boundary map to labels"),
    "proofread": ("napari_emseg.cli.proofread", "make logged corrections again"),
    "meshes": ("napari_emseg.cli.meshes", "surfaces and skeletons of segments, as files"),
    "evaluate": ("napari_emseg.cli.evaluate", "score labels against ground truth"),
    "tune": ("napari_emseg.cli.tune", "find the h that scores best"),
    "submit": ("napari_emseg.cli.submit", "write a result as a challenge wants it"),
    "train": ("napari_emseg.cli.train", "train a network on your own sections"),
    "run": ("napari_emseg.cli.run", "repeat a recipe on another file"),
    "gui": ("napari_emseg.cli.gui", "open napari with the plugin"),
}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message[0].upper()}{message[1:]}; see '{self.prog} --help'.")


class _Compact(argparse.HelpFormatter):
    """Lists the commands without a line that says COMMAND: all has to fit one screen."""

    def _format_action(self, action: argparse.Action) -> str:
        text = super()._format_action(action)
        return text.partition("\n")[2] if action.dest == "command" else text


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Make the parser; only the arguments of `command` are filled in, to start fast."""
    parser = _Parser(
        prog="emseg",
        usage="emseg [--version] COMMAND ...",
        allow_abbrev=False,
        description="From electron-microscopy stacks to neurons. 'emseg COMMAND --help' says more.",
        formatter_class=_Compact,
        add_help=False,  # the description and the usage name all there is besides commands
    )
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    version = f"emseg {__version__}"
    parser.add_argument("--version", action="version", version=version, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, prog="emseg")
    for name, (module, summary) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,  # or --h would be --help
        )
        if name == command:
            import_module(module).add_arguments(sub)
            sub.add_argument("--json", action="store_true", help="One JSON object on stdout")
            sub.add_argument("--quiet", action="store_true", help="No progress")
            sub.add_argument("--debug", action="store_true", help="Show tracebacks")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``emseg``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name, by default those of the process.

    Returns
    -------
    int
        0 done; 2 the input is at fault (one sentence on stderr); 1 our fault;
        130 stopped.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        with warnings.catch_warnings():
            if not debug:
                warnings.simplefilter("ignore")
            return _run(arguments)
    except InputError as error:
        return _fail(USERS_FAULT, " ".join(str(error).split()), debug)
    except (KeyboardInterrupt, Cancelled):
        return _fail(STOPPED, "Stopped.", debug)
    except BrokenPipeError:
        # The reader of our output went away (`emseg ... | head`); that is no failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except MemoryError:
        sentence = "The volume needs more memory than there is: cut it into smaller ones."
        return _fail(USERS_FAULT, sentence, debug)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        what = f"{type(error).__name__}: {first_line}".rstrip(": ")
        return _fail(OUR_FAULT, f"emseg failed ({what}); --debug shows where.", debug)


def _run(arguments: list[str]) -> int:
    command = next((a for a in arguments if not a.startswith("-")), None)
    if command is not None and command not in COMMANDS:
        raise InputError(f"There is no command '{command}'; choose one of: {', '.join(COMMANDS)}.")
    if not arguments:
        write(build_parser().format_help())
        return DONE
    args, unknown = build_parser(command).parse_known_args(arguments)
    if unknown:
        raise InputError(
            f"'emseg {args.command}' has no argument {' '.join(unknown)}; "
            f"see 'emseg {args.command} --help'."
        )
    module: Any = import_module(COMMANDS[args.command][0])
    progress = TerminalProgress(sys.stderr, quiet=args.quiet)
    with _TerminateAsInterrupt(), _log_to_stderr(quiet=args.quiet):
        try:
            report = module.run(args, progress)
        finally:
            progress.close()
    exit_code = int(report.pop("exit_code", DONE))
    for note in report.get("notes", ()):
        say(f"note: {note}")
    if args.json:
        write(dump_json(report))
    elif text := module.describe(report):
        write(text)
    return exit_code


def _fail(code: int, sentence: str, debug: bool) -> int:
    if debug:
        traceback.print_exc(file=sys.stderr)
    say(f"emseg: {sentence}")
    return code


@contextmanager
def _log_to_stderr(*, quiet: bool) -> Iterator[None]:
    """Show what the package logs as notes."""
    # Zarr leaves tasks behind when a chunk cannot be read; the failure itself is told.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    logger, before = logging.getLogger("napari_emseg"), logging.getLogger("napari_emseg").level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("note: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _TerminateAsInterrupt:
    """Let a polite kill clean up as Ctrl-C does."""

    def __enter__(self) -> None:
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGTERM, self._raise)

    def __exit__(self, *_: object) -> None:
        if self._is_main:
            signal.signal(signal.SIGTERM, self._before)

    @staticmethod
    def _raise(*_: object) -> NoReturn:
        raise KeyboardInterrupt
