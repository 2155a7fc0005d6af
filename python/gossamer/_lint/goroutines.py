"""Rules about starting goroutines and waiting for them."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import COMPREHENSIONS, FUNCTIONS, LOOPS, Function, Rule, Source, Start, calls, own, parameters

Place = tuple[ast.expr | ast.stmt, str]


# ---- go(f()) ----------------------------------------------------------------------------------------
_TEXTS = (ast.Constant, ast.JoinedStr, ast.BinOp, ast.Compare)
_NO_FUNCTION = (*_TEXTS, ast.List, ast.Dict, ast.Set, ast.Tuple, *COMPREHENSIONS)


def _gives_no_function(source: Source, call: ast.Call) -> bool:
    """What it returns can surely not be called."""
    if source.name(call.func) in ("sleep", "time.sleep", "select"):
        return True
    if isinstance(call.func, ast.Name) and call.func.id == "print":
        return True
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("send", "try_send"):
        return True
    f = source.defined(call.func)
    if f is None or f.decorator_list:
        return False
    returned = [n.value for n in own(f) if isinstance(n, ast.Return) and n.value]
    return isinstance(f, ast.AsyncFunctionDef) or all(isinstance(v, _NO_FUNCTION) for v in returned)


def _called_too_early(source: Source) -> Iterator[Place]:
    for start in source.starts:
        call = start.function
        if isinstance(call, ast.Call) and _gives_no_function(source, call):
            f, *rest = (ast.unparse(x) for x in (call.func, *call.args, *call.keywords))
            yield call, f"{f}() is called here, not in the goroutine: go({', '.join([f, *rest])})"


# ---- go(async function) -----------------------------------------------------------------------------
def _coroutine(source: Source) -> Iterator[Place]:
    for start in source.starts:
        f = source.body_of(start)
        if isinstance(f, ast.AsyncFunctionDef):
            coroutine = f"{f.name} is an async function, whose coroutine nobody awaits"
            yield start.node, f"{coroutine}: go(aio.run, {f.name}()), or def"


# ---- loop variables -----------------------------------------------------------------------------------
def _bound(target: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _reads(f: Function) -> set[str]:
    """Free variables, looked up when it runs."""
    inside = [n for part in (f.body if isinstance(f.body, list) else [f.body]) for n in ast.walk(part)]
    names = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    inner = {a.arg for n in [f, *inside] if isinstance(n, FUNCTIONS) for a in parameters(n)}
    return names - stored - inner


def _loop(source: Source, start: Start) -> tuple[ast.AST, set[str]] | None:
    """The innermost loop around it in the same function, and the names it binds."""
    below: ast.AST = start.node
    for node in source.above(start.node):
        if isinstance(node, FUNCTIONS) or isinstance(node, (ast.With, ast.AsyncWith)):
            return None  # a with block may wait for it: an errgroup does
        if isinstance(node, (ast.For, ast.AsyncFor)) and below in node.body:
            return node, _bound(node.target)
        if isinstance(node, COMPREHENSIONS):
            return node, {name for g in node.generators for name in _bound(g.target)}
        if isinstance(node, ast.While):
            return None
        below = node
    return None


def _is_inside(source: Source, node: ast.AST, outer: ast.AST) -> bool:
    return outer in source.above(node)


def _loop_variable(source: Source) -> Iterator[Place]:
    for start in source.starts:
        f, loop = source.body_of(start), _loop(source, start)
        if f is None or loop is None or not _is_inside(source, f, loop[0]) and f is not start.node:
            continue
        if any(calls(own(loop[0]), "join", "wait", "recv", "recv_ok")):
            continue  # it may end before the next turn
        for name in sorted(_reads(f) & loop[1]):
            late = f"the goroutine reads {name!r} when it runs, which may be in a later turn of the loop"
            yield start.node, f"{late}: pass it, go(f, {name})"


# ---- sleeping until they are done ------------------------------------------------------------------------
_WAITS = ("join", "wait", "recv", "recv_ok", "exception", "lock")
_ENDS = ("close", "cancel", "interrupt", "stop", "shutdown", "set")
_INSTEAD = "a sleep does not wait for goroutines: join() them, or use a WaitGroup or an errgroup"


def _slept(source: Source, statements: list[ast.stmt]) -> Iterator[Place]:
    started = False
    for i, statement in enumerate(statements):
        inside = [statement, *own(statement)]
        if started and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            after = [n for s in statements[i:] for n in [s, *own(s)]]
            goes_on = any(isinstance(n, (*LOOPS, ast.With)) for n in after)
            if source.name(statement.value.func) in ("sleep", "time.sleep") and not goes_on:
                if not any(calls(after, *_WAITS, *_ENDS)) and not any(source.name(n) == "select" for n in after):
                    yield statement, _INSTEAD
        for start in source.starts:
            started |= start.node in inside


def _sleep_as_wait(source: Source) -> Iterator[Place]:
    blocks = [source.tree.body]
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef) and node.name == "main":
            blocks.append(node.body)
        elif isinstance(node, ast.If) and source.function(node) is None:
            blocks.append(node.body)
    for block in blocks:
        yield from _slept(source, block)


RULES = (
    Rule("GOS001", "go(f()) calls f at once and starts what it returns", _called_too_early),
    Rule("GOS002", "an async function started as a goroutine", _coroutine),
    Rule("GOS003", "a goroutine reads a loop's variable, which may have gone on", _loop_variable),
    Rule("GOS004", "main sleeps so that goroutines have time to end", _sleep_as_wait),
)
