"""What becomes of an exception that nobody collects: runtime.set_panic()."""
# SPDX-License-Identifier: Apache-2.0
# mypy: ignore-errors

from __future__ import annotations

import os
import sys
import traceback

_policy, _hook = "report", None


def _headline(g):
    name = f" [{g.name}]" if g.name else ""
    by = f" by goroutine {g.creator}" if g.creator else ""
    at = f" at {g.site}" if g.site else ""
    return f"goroutine {g.id}{name}: unhandled exception (created{by}{at})"


def _called_hook(g, error):
    """False: there is none, or it failed."""
    hook = _hook
    if hook is None:
        return False
    try:
        hook(g, error)
    except BaseException as e:
        _unraisable(e, hook)
        return False
    return True


def _unraisable(error, where):
    print(f"Exception ignored in: {where!r}", file=sys.stderr)
    traceback.print_exception(type(error), error, error.__traceback__)


def report_exception(g, error):
    if not _called_hook(g, error):
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        print(f"{_headline(g)}\n{''.join(lines)}", end="", file=sys.stderr)
    if _policy == "crash":
        _end_program()


def _end_program():
    """As Go ends: all stacks, exit code 2, and nobody's clean-up runs."""
    from ..runtime import stack

    print(f"\n{stack(all=True)}", end="", file=sys.stderr)
    for f in (sys.stdout, sys.stderr):
        try:
            f.flush()
        except Exception:
            pass
    os._exit(2)


def set_panic(policy, hook=None):
    """What becomes of an exception in a goroutine that nobody collects (see Goroutine). policy 'report', the
    default: the program goes on; 'crash', as in Go: it ends with exit code 2 and all stacks on stderr.
    hook(goroutine, exception) is called instead of the report to stderr."""
    global _policy, _hook
    if not isinstance(policy, str):
        raise TypeError(f"the policy must be a str, not {type(policy).__name__}")
    if policy not in ("report", "crash"):
        raise ValueError(f"the policy must be 'report' or 'crash', not '{policy}'")
    if hook is not None and not callable(hook):
        raise TypeError(f"the hook must be a callable or None, not {type(hook).__name__}")
    _policy, _hook = policy, hook


def _get_panic():
    return _policy, _hook
