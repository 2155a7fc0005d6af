"""Rules about contexts: who makes one ends it, and it is passed on as the first parameter."""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Iterator

from .source import FUNCTIONS, Function, Rule, Source, parameters

Place = tuple[ast.expr | ast.stmt, str]
_MAKERS = tuple(f"context.{name}" for name in ("with_cancel", "with_timeout", "with_deadline"))


def _is_context(source: Source, a: ast.arg) -> bool:
    if a.annotation is None:
        return a.arg == "ctx"
    return source.name(a.annotation) in ("context.Context", "Context")


def _own_context(source: Source, f: Function) -> str:
    """The name of the parameter that is one."""
    return next((a.arg for a in parameters(f) if _is_context(source, a)), "")


# ---- stored ---------------------------------------------------------------------------------------------
def _stored(source: Source) -> Iterator[Place]:
    for node in source.all(ast.Assign):
        f = source.function(node)
        if f is None or not isinstance(node.value, ast.Name) or node.value.id != _own_context(source, f):
            continue
        for t in node.targets:
            if isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) and t.value.id == "self":
                yield node, f"the caller's context is kept in {ast.unparse(t)}: give it to each method that needs it"


# ---- not first ----------------------------------------------------------------------------------------------
def _not_first(source: Source) -> Iterator[Place]:
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = [
        *source.all(ast.FunctionDef),
        *source.all(ast.AsyncFunctionDef),
    ]
    for f in functions:
        given = [*f.args.posonlyargs, *f.args.args]
        if given and given[0].arg in ("self", "cls"):
            given = given[1:]
        required = given[: len(given) - len(f.args.defaults)] if f.args.defaults else given
        for a in required[1:]:
            if _is_context(source, a) and not _is_context(source, required[0]):
                yield f, f"{f.name}() takes a context, {a.arg!r}, but not as its first parameter"


# ---- background() where there is a context --------------------------------------------------------------------
def _background(source: Source) -> Iterator[Place]:
    for call in source.all(ast.Call):
        if source.name(call.func) not in ("context.background", "context.todo"):
            continue
        for f in source.above(call):
            if isinstance(f, FUNCTIONS) and (name := _own_context(source, f)):
                here = f"{ast.unparse(call.func)}() where there is {name!r}, whose end it does not see"
                yield call, f"{here}: use that, or without_cancel({name})"
                break


# ---- never cancelled --------------------------------------------------------------------------------------------
def _only_looks(source: Source, use: ast.Name) -> bool:
    """It neither ends the context nor lets anybody else have it for that."""
    parent = next(source.above(use))
    if isinstance(parent, ast.Attribute):
        return parent.attr not in ("cancel", "__enter__", "__exit__")
    if isinstance(parent, ast.keyword):
        parent = next(source.above(parent))
        return isinstance(parent, ast.Call)
    if isinstance(parent, ast.Call) and use in parent.args:
        name = source.name(parent.func)
        return name in ("go", "recv") or name.startswith("context.with_")
    return False


def _never_cancelled(source: Source) -> Iterator[Place]:
    for node in source.all(ast.Assign):
        if not (isinstance(node.value, ast.Call) and source.name(node.value.func) in _MAKERS):
            continue
        target, scope = node.targets[0], source.scope(node)
        if len(node.targets) > 1 or not isinstance(target, ast.Name) or isinstance(scope, ast.Module):
            continue
        uses = [n for n in ast.walk(scope) if isinstance(n, ast.Name) and n.id == target.id and n is not target]
        if all(isinstance(u.ctx, ast.Load) and _only_looks(source, u) for u in uses):
            c = target.id
            yield node, f"{c} is never cancelled: with {ast.unparse(node.value)} as {c}, or {c}.cancel() at the end"


RULES = (
    Rule("GOS005", "a context that came as a parameter is kept in an object", _stored),
    Rule("GOS006", "a context that is not the first parameter", _not_first),
    Rule("GOS007", "background() where there is a context", _background),
    Rule("GOS008", "a context that nobody ends", _never_cancelled),
)
