"""Rules about locks and wait groups: what is done must be undone when something raises."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import Function, Rule, Source, calls, own

Place = tuple[ast.expr | ast.stmt, str]
_PAIRS = {"lock": "unlock", "rlock": "runlock"}


def _object(call: ast.Call) -> ast.expr:
    assert isinstance(call.func, ast.Attribute)
    return call.func.value


def _in_finally(source: Source, node: ast.AST) -> bool:
    """It is reached however the block before it ends."""
    below = node
    for above in source.above(node):
        if isinstance(above, ast.Try) and below in above.finalbody:
            return True
        below = above
    return False


# ---- lock() without with -----------------------------------------------------------------------------------
def _unsafe_lock(source: Source) -> Iterator[Place]:
    for call in calls(source.nodes, *_PAIRS):
        assert isinstance(call.func, ast.Attribute)
        lock = _object(call)
        if source.kind(lock) not in ("sync.Mutex", "sync.RWMutex"):
            continue
        text, undo = ast.unparse(lock), _PAIRS[call.func.attr]
        undone = [c for c in calls(own(source.scope(call)), undo) if ast.unparse(_object(c)) == text]
        if undone and not any(_in_finally(source, c) for c in undone):
            how = text if undo == "unlock" else f"{text}.reader"
            yield call, f"{text} stays locked when something raises before {undo}(): with {how}:"


# ---- WaitGroup.add() in the goroutine ------------------------------------------------------------------------
def _bodies(source: Source) -> Iterator[Function]:
    seen = set()
    for start in source.starts:
        f = source.body_of(start)
        if f is not None and f not in seen:
            seen.add(f)
            yield f


def _wait_group_calls(source: Source, f: Function, method: str) -> Iterator[ast.Call]:
    for call in calls(own(f), method):
        if source.kind(_object(call)) == "sync.WaitGroup":
            yield call


def _late_add(source: Source) -> Iterator[Place]:
    for f in _bodies(source):
        inside = set(own(f))
        if any(start.node in inside for start in source.starts):
            continue  # it counts those that it starts
        for call in _wait_group_calls(source, f, "add"):
            wg = ast.unparse(_object(call))
            late = f"wait() may be over before the goroutine comes to {wg}.add()"
            yield call, f"{late}: call it before go(), or use {wg}.go(f)"


# ---- WaitGroup.done() that is not reached ----------------------------------------------------------------------
def _lost_done(source: Source) -> Iterator[Place]:
    for f in _bodies(source):
        for call in _wait_group_calls(source, f, "done"):
            if isinstance(f, ast.Lambda) or _in_finally(source, call) or _is_first(source, f, call):
                continue
            wg = ast.unparse(_object(call))
            lost = f"wait() waits for ever when the goroutine raises before {wg}.done()"
            yield call, f"{lost}: try/finally, or {wg}.go(f)"


def _is_first(source: Source, f: Function, call: ast.Call) -> bool:
    return isinstance(f.body, list) and call in set(ast.walk(f.body[0]))


RULES = (
    Rule("GOS009", "lock() whose unlock() an exception skips", _unsafe_lock),
    Rule("GOS010", "WaitGroup.add() inside the goroutine it counts", _late_add),
    Rule("GOS011", "WaitGroup.done() that an exception skips", _lost_done),
)
