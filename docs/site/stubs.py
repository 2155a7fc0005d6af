"""What autodoc shows of the Python modules: docstrings of the code, signatures of the stubs beside it.

The docstrings are plain text, not reStructuredText. Indented lines are code; calls are set as code.
"""
# SPDX-License-Identifier: Apache-2.0

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import gossamer
from sphinx.util.docutils import SphinxDirective

PACKAGE = Path(gossamer.__file__).parent


class Stub:
    """One .pyi file: the functions and classes in it, and the names it takes from others."""

    def __init__(self, module: str) -> None:
        name = module.removeprefix("gossamer").lstrip(".") or "__init__"
        path = PACKAGE / f"{name}.pyi"
        self.names: dict[str, list[ast.stmt]] = {}
        for node in ast.parse(path.read_text()).body if path.exists() else []:
            for name in names_of(node):
                self.names.setdefault(name, []).append(node)


def names_of(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.ImportFrom(module=str()) if node.level:
            return [a.asname or a.name for a in node.names]
    return []


stub = functools.cache(Stub)


def find(module: str, name: str) -> list[ast.stmt]:
    """The definitions of a name, wherever they are imported from; several for overloads."""
    found = stub(module).names.get(name, [])
    if found and isinstance(found[0], ast.ImportFrom):
        alias = next(a for a in found[0].names if (a.asname or a.name) == name)
        return find(f"gossamer.{found[0].module}", alias.name)
    return found


def members(module: str, name: str, member: str) -> list[ast.FunctionDef]:
    """The definitions of a method, of the class or the first base that has it."""
    for node in find(module, name):
        if isinstance(node, ast.AnnAssign):
            return members("gossamer._gossamer", ast.unparse(node.annotation), member)
        if not isinstance(node, ast.ClassDef):
            continue
        own = [n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == member]
        for base in node.bases if not own else ():
            bare = base.value if isinstance(base, ast.Subscript) else base
            own = own or members("gossamer._gossamer", ast.unparse(bare), member)
        if own:
            return own
    return []


def without_self(args: ast.arguments) -> ast.arguments:
    every = args.posonlyargs or args.args
    if every and every[0].arg in ("self", "cls"):
        del every[0]
    return args


def text_of(node: ast.FunctionDef, method: bool) -> tuple[str, str]:
    node = ast.parse(ast.unparse(node)).body[0]  # a copy
    assert isinstance(node, ast.FunctionDef)
    args = ast.unparse(without_self(node.args) if method else node.args)
    result = ast.unparse(node.returns) if node.returns else ""
    plain = functools.partial(re.sub, r"\b_([A-Z])(_co|_contra)?\b", r"\1")
    return f"({plain(args)})", plain(result)


def signature(app, what, name, obj, options, args, returns):
    module, path = name, []
    while module not in sys.modules:
        module, _, last = module.rpartition(".")
        path.insert(0, last)
    if what in ("class", "exception"):
        found = members(module, path[0], "__init__") or members(module, path[0], "__new__")
        return (text_of(found[-1], True)[0], None) if found else None
    if what not in ("function", "method") or args is None:
        return None
    found = members(module, *path) if len(path) == 2 else find(module, path[0])
    return text_of(found[-1], len(path) == 2) if found else None


CALL = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*\([^()]*\)")


def prose(line: str) -> str:
    """Escapes what reStructuredText would take for markup; calls become code."""
    out, at = [], 0
    for m in CALL.finditer(line):
        out += [escape(line[at : m.start()]), "``", m[0], "``\\ "]
        at = m.end()
    return "".join([*out, escape(line[at:])])


def escape(text: str) -> str:
    return re.sub(r"([\\*`|]|_\b)", r"\\\1", text)


def docstring(app, what, name, obj, options, lines):
    lines[:] = marked_up(lines)


def marked_up(lines: list[str]) -> list[str]:
    out: list[str] = []
    code = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not code:
            out += ["", ".. code-block:: python", ""]
        if not indented and line and code:
            out.append("")
        code = indented or (code and not line)
        out.append(line if indented else prose(line))
    return [*out, ""]


class Callable(SphinxDirective):
    """callable:: gossamer go [using]: an object that is called like a function, or a method of it."""

    required_arguments = 2
    optional_arguments = 1

    def run(self):
        module, name, *method = self.arguments
        obj = getattr(importlib.import_module(module), name)
        args, result = text_of(members(module, name, *(method or ["__call__"]))[-1], True)
        doc = inspect.getdoc(getattr(obj, method[0]) if method else obj) or ""
        head = f".. py:function:: {'.'.join([name, *method])}{args} -> {result}"
        lines = doc.split("\n")
        if "--" in lines:  # above it stands the signature
            del lines[: lines.index("--") + 1]
        return self.parse_text_to_nodes("\n".join([head, "", *("   " + line for line in marked_up(lines))]))


def setup(app):
    app.add_directive("callable", Callable)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring)
    return {"parallel_read_safe": True}
