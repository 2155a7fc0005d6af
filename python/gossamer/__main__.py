"""python -m gossamer COMMAND: each is a module of gossamer._commands, imported when it is asked for."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import importlib
import sys

COMMANDS = ("ps", "run", "lint", "bench")


def main(argv: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m gossamer")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    asked = next((a for a in argv if not a.startswith("-")), None)
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        module = importlib.import_module(f"gossamer._commands.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    try:
        status: int = args.run(args)
    except (OSError, RuntimeError, ValueError) as e:
        print(f"{parser.prog}: {e}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
