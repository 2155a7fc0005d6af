#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tries gossamer with libraries that nobody planned for: run.py [--python EXE] [--times N] [CASE ...]

Makes a virtual environment with this tree and requirements.txt in build/libraries-VERSION, then runs each case of cases.py
in a process of its own. By hand, not in CI: it installs some sixty packages. Prints a line for each case: how often it
went well, the worst delay of a ticker beside it, and what went wrong.
"""

import argparse
import ast
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LIMIT = 120


def names():
    tree = ast.parse((HERE / "cases.py").read_text())
    return [f.name for f in tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_") and not f.args.args]


def environment(python):
    version = subprocess.check_output(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True
    )
    venv = ROOT / "build" / f"libraries-{version.strip()}"
    subprocess.run([ROOT / "tools/venv", venv, python], check=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    return venv / "bin/python"


def attempt(python, case):
    """What went wrong, or None; and the ticker's worst delay."""
    command = [python, "-X", "faulthandler", HERE / "cases.py", case]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as e:
        return f"no end after {LIMIT} s\n{(e.stderr or b'').decode()}", 0.0
    if done.returncode or done.stderr:
        return f"exit {done.returncode}\n{done.stderr}", 0.0
    return None, float(done.stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--python", default=sys.executable, help="the interpreter to try it with")
    p.add_argument("--times", type=int, default=1, help="how often each case is run")
    p.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(names()))
    args = p.parse_args()
    if unknown := set(args.cases) - set(names()):
        p.error(f"no such case: {', '.join(sorted(unknown))}")
    python, failed = environment(args.python), 0
    for case in args.cases or names():
        tries = [attempt(python, case) for _ in range(args.times)]
        wrong = [w for w, _ in tries if w]
        failed += bool(wrong)
        print(
            f"{case:18} {len(tries) - len(wrong)} of {len(tries)}, delay {max(d for _, d in tries):.1f} ms",
            flush=True,
        )
        for w in wrong[:1]:
            print(w)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
