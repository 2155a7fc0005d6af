"""python -m gossamer run: a program under switches that a seed chooses."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import argparse
import os
import runpy
import shlex
import subprocess
import sys
import traceback
from types import ModuleType, TracebackType

from .. import _race

HELP = "run a program with switches between goroutines that a seed chooses, to find races"
_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 64:
        raise argparse.ArgumentTypeError(f"a seed is 0 to 2**64-1, not {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"must be 1 to 1,000,000, not {text!r}")
    return int(text)


def configure(parser: argparse.ArgumentParser) -> None:
    """The options and what is run, which takes the rest."""
    parser.usage = f"{parser.prog} [option] ... (script.py | -m module | -c code) [arg] ..."
    parser.add_argument("--race-seed", type=_seed, metavar="N", help="the seed; without it a new one, which is told")
    parser.add_argument("--tries", type=_positive, metavar="N",
                        help="N seeds, from --race-seed or 0 on; ends at the first that fails")  # fmt: skip
    parser.add_argument("--every", type=_positive, metavar="K",
                        help="switch after K instructions, on average; else often or rarely, by the seed")  # fmt: skip
    parser.add_argument("--all", action="store_true",
                        help="switch in the standard library and in installed packages, too")  # fmt: skip
    parser.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="module", help="as of python itself")
    parser.add_argument("-c", dest="code", nargs=argparse.REMAINDER, metavar="code", help="as of python itself")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="script.py", help="and its arguments")
    parser.set_defaults(usage_error=parser.error)


# ---- the command line, again ----------------------------------------------------------------------
def _what(args: argparse.Namespace) -> list[str]:
    if args.module is not None:
        return ["-m", *args.module]
    return ["-c", *args.code] if args.code is not None else list(args.program)


def _again(args: argparse.Namespace, seed: int) -> list[str]:
    """The arguments that do the same once more."""
    line = ["run", "--race-seed", str(seed)]
    if args.every:
        line += ["--every", str(args.every)]
    return [*line, *(["--all"] if args.all else []), *_what(args)]


def _python() -> list[str]:
    """This interpreter with its options, up to "-m gossamer"."""
    return [sys.executable, *sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv) + 1]]


def _environment(seed: int) -> dict[str, str]:
    """What else would be another one each time: the order of sets, and what C or Lua in the process chooses."""
    hashes = os.environ.get("PYTHONHASHSEED", "random")
    if hashes == "random":
        hashes = str(seed % (1 << 32))
    return {**os.environ, "PYTHONHASHSEED": hashes, "GOSSAMER_SEED": str(seed), "GOMAXPROCS": "1"}


# ---- one seed, here ---------------------------------------------------------------------------------
def _run_script(path: str, rest: list[str]) -> None:
    sys.argv = [path, *rest]
    if not sys.flags.safe_path:
        sys.path[0] = os.path.dirname(os.path.realpath(path)) if os.path.isfile(path) else sys.path[0]
    runpy.run_path(path, run_name="__main__")


def _run_module(name: str, rest: list[str]) -> None:
    sys.argv = [name, *rest]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _run_code(code: str, rest: list[str]) -> None:
    sys.argv = ["-c", *rest]
    if not sys.flags.safe_path:
        sys.path[0] = ""
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    exec(compile(code, "<string>", "exec", dont_inherit=True), main.__dict__)


def _program(args: argparse.Namespace) -> None:
    name, *rest = _what(args)[args.module is not None or args.code is not None :]
    how = _run_module if args.module is not None else _run_code if args.code is not None else _run_script
    how(name, rest)


def _own_part(tb: TracebackType | None) -> TracebackType | None:
    """Without the frames that led to the program."""
    while tb and (file := tb.tb_frame.f_code.co_filename):
        if not file.startswith(_PACKAGE) and "runpy" not in file:
            break
        tb = tb.tb_next
    return tb


def _shown(error: BaseException) -> None:
    """As the interpreter shows it."""
    error.__traceback__ = _own_part(error.__traceback__)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except Exception:
        traceback.print_exception(error)


def _here(args: argparse.Namespace, seed: int) -> int:
    failed = f"race seed {seed}: python -m gossamer {shlex.join(_again(args, seed))}"
    try:
        with _race.seeded(seed, every=args.every, everything=args.all):
            _program(args)
    except _race.Unavailable:
        raise
    except SystemExit as e:
        if e.code not in (None, 0):
            print(failed, file=sys.stderr)
        raise
    except BaseException as e:
        _shown(e)
        print(failed, file=sys.stderr)
        return 130 if isinstance(e, KeyboardInterrupt) else 1
    return 0


# ---- many seeds, a process each -------------------------------------------------------------------
def _tries(args: argparse.Namespace) -> int:
    first = args.race_seed or 0
    for seed in range(first, first + args.tries):
        done = subprocess.run(
            [*_python(), *_again(args, seed)],
            env=_environment(seed),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            sys.stdout.buffer.write(done.stdout)
            sys.stdout.flush()
            how = f"exit status {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
            print(f"race: seed {seed} failed ({how}) after {seed - first} that passed", file=sys.stderr)
            return 1
    print(f"race: seeds {first} to {first + args.tries - 1} passed", file=sys.stderr)
    return 0


def run(args: argparse.Namespace) -> int:
    """The program's exit status; of many, 1 when one has failed."""
    if not _what(args)[args.module is not None or args.code is not None :]:
        args.usage_error("what shall be run?")
    _race.check()
    if args.module is None and args.code is None and not os.path.exists(args.program[0]):
        args.usage_error(f"can't open file {args.program[0]!r}")
    if args.tries:
        return _tries(args)
    seed = args.race_seed
    if seed is None:
        seed = _race.fresh_seed()
        print(f"race seed {seed}", file=sys.stderr)
    environment = _environment(seed)
    if not sys.flags.ignore_environment and environment != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [*_python(), *_again(args, seed)], environment)
    return _here(args, seed)
