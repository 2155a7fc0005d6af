"""A file as the rules see it: who a name is, which functions become goroutines, what a variable holds.

Names are those of the package's modules: both gossamer.Mutex and gossamer.sync.Mutex are "sync.Mutex".
"""
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_N = TypeVar("_N", bound=ast.AST)

# What the package itself offers from its modules.
_HOME = {"Mutex": "sync.Mutex", "WaitGroup": "sync.WaitGroup", "Once": "sync.Once"}
_STAR = ("go", "sleep", "after_func", "context", "sync", "errgroup", "runtime", "Chan", "Mutex", "WaitGroup", "select")


class Rule(NamedTuple):
    """find gives the places, and what is said about each."""

    code: str
    says: str
    find: Callable[[Source], Iterable[tuple[ast.expr | ast.stmt, str]]]


class Start(NamedTuple):
    """A goroutine is started: by a call, or by a function's decorator (then function is that one)."""

    node: ast.Call | ast.FunctionDef | ast.AsyncFunctionDef
    function: ast.expr | None
    args: list[ast.expr]


def own(node: ast.AST) -> Iterator[ast.AST]:
    """What is in it, without what functions and classes inside hold."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield from own(child)


def calls(nodes: Iterable[ast.AST], *methods: str) -> Iterator[ast.Call]:
    """The calls of such methods, of whatever object."""
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            yield node


def parameters(function: Function) -> list[ast.arg]:
    """All of them."""
    a = function.args
    return [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]


def _pairs(target: ast.expr, value: ast.expr | None) -> list[tuple[ast.expr, ast.expr | None]]:
    """What is assigned to what; None: unknown."""
    if not isinstance(target, ast.Tuple):
        return [(target, value)]
    if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(t, None) for t in target.elts]


class Source:
    """A parsed file."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes = list(ast.walk(tree))
        self._parent = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._names: dict[str, str] = {}
        self.uses_gossamer = False
        for node in self.nodes:
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
        self._kinds = self._find_kinds()
        self.starts = list(self._find_starts())

    def all(self, kind: type[_N]) -> Iterator[_N]:
        """The nodes of a kind."""
        return (node for node in self.nodes if isinstance(node, kind))

    # ---- names --------------------------------------------------------------------------------
    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.uses_gossamer |= alias.name.partition(".")[0] == "gossamer"
            if alias.asname:
                self._names[alias.asname] = alias.name
            else:
                top = alias.name.partition(".")[0]
                self._names[top] = top

    def _import_from(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            return
        ours = node.module.partition(".")[0] == "gossamer"
        self.uses_gossamer |= ours
        for alias in node.names:
            if alias.name != "*":
                self._names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif node.module == "gossamer":
                self._names.update({name: f"gossamer.{name}" for name in _STAR})

    def name(self, node: ast.AST | None) -> str:
        """"go", "context.with_cancel", "time.sleep"; "" of what was not imported."""
        if isinstance(node, ast.Attribute):
            base = self._full(node.value)
            full = f"{base}.{node.attr}" if base else ""
        else:
            full = self._full(node)
        if full.startswith("gossamer."):
            full = full.removeprefix("gossamer.")
            return _HOME.get(full, full)
        return full if full.startswith("time.") else ""

    def _full(self, node: ast.AST | None) -> str:
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute) and (base := self._full(node.value)):
            return f"{base}.{node.attr}"
        return ""

    # ---- the tree -----------------------------------------------------------------------------
    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Its parent, and so on."""
        while node in self._parent:
            node = self._parent[node]
            yield node

    def function(self, node: ast.AST) -> Function | None:
        """The innermost one around it."""
        return next((n for n in self.above(node) if isinstance(n, FUNCTIONS)), None)

    def scope(self, node: ast.AST) -> Function | ast.Module:
        """That, or the module."""
        return self.function(node) or self.tree

    def defined(self, node: ast.expr | None) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """The function of this file that a name means where it stands, if there is one only."""
        if not isinstance(node, ast.Name):
            return None
        for place in [*(n for n in self.above(node) if isinstance(n, FUNCTIONS)), self.tree]:
            found = [
                n
                for n in own(place)
                if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
                and n.name == node.id
                and not isinstance(self._parent[n], ast.ClassDef)
            ]
            if found:
                return found[0] if len(found) == 1 else None
            if isinstance(place, FUNCTIONS) and node.id in {a.arg for a in parameters(place)}:
                return None
        return None

    # ---- goroutines ---------------------------------------------------------------------------
    def _starts_one(self, func: ast.expr) -> bool:
        """Is it go, go.using(...), a wait group's or an errgroup's go?"""
        if isinstance(func, ast.Call):
            return self.name(func.func) == "go.using"
        if isinstance(func, ast.Attribute) and func.attr in ("go", "try_go"):
            return self.name(func) == "go" or not self._full(func)
        return self.name(func) == "go"

    def _find_starts(self) -> Iterator[Start]:
        for node in self.nodes:
            if isinstance(node, ast.Call) and node.args and self._starts_one(node.func):
                yield Start(node, node.args[0], node.args[1:])
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                if any(self._starts_one(d) for d in node.decorator_list):
                    yield Start(node, None, [])

    def body_of(self, start: Start) -> Function | None:
        """The function that the goroutine runs, where this file has it."""
        if not isinstance(start.node, ast.Call):
            return start.node
        if isinstance(start.function, ast.Lambda):
            return start.function
        return self.defined(start.function)

    # ---- what a variable holds ------------------------------------------------------------------
    def _find_kinds(self) -> dict[str, str]:
        """Of variables and attributes that are assigned one kind of thing in the whole file."""
        kinds: dict[str, set[str]] = {}
        for node in self.nodes:
            if isinstance(node, ast.arg):
                kinds.setdefault(node.arg, set()).add(self.name(node.annotation))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for t, value in _pairs(target, node.value):
                        made = value.func if isinstance(value, ast.Call) else None
                        kinds.setdefault(ast.unparse(t), set()).add(self.name(made))
        return {name: next(iter(k)) for name, k in kinds.items() if len(k) == 1}

    def kind(self, node: ast.AST) -> str:
        """"sync.Mutex" and the like."""
        return self._kinds.get(ast.unparse(node), "")
