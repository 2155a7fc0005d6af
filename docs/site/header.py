"""The directive "header": a C header as a page, its comments as text, its functions as entries of the index.

The header's comments speak of the declarations below them, up to the next comment or empty line. (Doxygen, and so
Breathe, would give each to the first of these only.)
"""
# SPDX-License-Identifier: Apache-2.0

import re
from dataclasses import dataclass, field
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

SECTION = re.compile(r"-{3,} *(?P<title>[^-].*?) *-{3,}$")
FUNCTION = re.compile(r"[^{=]*?\b(?P<name>gos_\w+)\((?!\*).*\);$")


@dataclass
class Group:
    """Some declarations and the comment above them; a title begins a section."""

    title: str = ""
    text: str = ""
    declarations: list[str] = field(default_factory=list)


def plain(comment: str) -> str:
    return re.sub(r"\n[ \t]*\*?[ \t]?", "\n", comment.removeprefix("/*").removesuffix("*/")).strip()


TOKEN = re.compile(
    r"""
    (?P<comment> /\*.*?\*/ ) \n
    | (?P<empty> [ \t]*\n )
    | (?P<cpp> \# (?:[^\n]*\\\n)* [^\n]* ) \n
    | (?P<code> (?: [^{};] | \{ (?: [^{}] | \{[^{}]*\} )* \} )* ; (?:[ \t]*/\*[^\n]*\*/)? ) \n
    """,
    re.S | re.X,
)
CPLUSPLUS = re.compile(r"^#ifdef __cplusplus\n.*?^#endif\n", re.S | re.M)


def pieces(source: str):
    """Comments that begin a line, empty lines, lines of the preprocessor, and declarations with what is written behind
    them."""
    source = CPLUSPLUS.sub("", source)
    at = 0
    while m := TOKEN.match(source, at):
        at = m.end()
        yield m.lastgroup, m[m.lastgroup]
    if source[at:].strip():
        raise ValueError(f"not understood: {source[at : at + 80]!r}")


def groups(source: str) -> list[Group]:
    out = [Group()]
    for kind, text in pieces(source):
        if kind == "comment":
            text = plain(text)
            if text.startswith("cdef:"):
                continue
            first, _, rest = text.partition("\n")
            section = SECTION.match(first)
            if section:
                out.append(Group(title=section["title"], text=rest))
            else:
                out.append(Group(text=text))
        elif kind == "empty":
            out.append(Group())
        elif kind == "code":
            out[-1].declarations.append(text.strip())
        elif re.match(r"#define \w+[( ].", text) and not text.startswith("#define GOSSAMER_"):
            out[-1].declarations.append(text.strip())
    return [g for g in out if g.title or g.text or g.declarations]


def escape(text: str) -> str:
    text = re.sub(r"([\\*`|]|_\b)", r"\\\1", text)
    return re.sub(r"\b((?:gos|GOS|GOSSAMER)_\w+(?:\(\))?)", r"\\ ``\1``\\ ", text)


def split(declaration: str) -> tuple[str, str]:
    """The declaration in one line, and what is written behind it."""
    code, _, behind = declaration.partition(";")
    return " ".join(code.split()) + ";", plain(behind.strip()) if behind.strip() else ""


def lines_of(group: Group) -> list[str]:
    functions, notes, rest = [], [], []
    for d in group.declarations:
        code, note = split(d)
        m = FUNCTION.match(code) if not d.startswith("#") else None
        if m:
            functions.append(code.rstrip(";"))
            notes += [f"``{m['name']}()``: {escape(note)}"] if note else []
        else:
            rest.append(d)
    text = escape(group.text).split("\n") if group.text else []
    for note in notes:
        text += ["", note]
    other = [".. code-block:: c", "", *("   " + line for d in rest for line in d.split("\n")), ""] if rest else []
    entry = [f"{'.. c:function:: ' if i == 0 else ' ' * 16}{f}" for i, f in enumerate(functions)]
    if rest and rest[0] == group.declarations[0]:  # the comment is about these
        return [*text, "", *other, *entry, ""]
    if functions:
        text = ["   " + line for line in text]
    return [*entry, "", *text, "", *other]


class Header(SphinxDirective):
    required_arguments = 1
    has_content = False

    def run(self):
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        all_groups = groups(path.read_text())
        preface, out = all_groups[0], []
        out += self.parsed(escape(preface.text).split("\n"), path)
        section = None
        for group in all_groups[1:]:
            if group.title:
                section = self.section(group.title)
                out.append(section)
            parsed = self.parsed(lines_of(group), path)
            if section is None:
                out += parsed
            else:
                section += parsed
        return out

    def section(self, title):
        title, _, more = title.partition(": ")
        title = title[:1].upper() + title[1:] + (f": {more}" if more else "")
        node = nodes.section(ids=[nodes.make_id(title)], names=[nodes.fully_normalize_name(title)])
        node += nodes.title(title, title)
        self.state.document.note_implicit_target(node, node)
        return node

    def parsed(self, lines, path):
        node = nodes.Element()
        node.document = self.state.document
        text = StringList(lines, source=str(path))
        self.state.nested_parse(text, 0, node)
        return node.children


def setup(app):
    app.add_directive("header", Header)
    return {"parallel_read_safe": True}
