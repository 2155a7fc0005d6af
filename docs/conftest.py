"""Runs the Python examples of these pages: what a page shows as output is what its code printed.

Blocks marked "python" are run, those of a page one after another in one namespace. A "text" block right below is what
they write to stdout and stderr, with "..." for anything; one without such a block writes nothing. Blocks marked "py"
belong to other libraries, and are only shown.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import doctest
import io
import re

from gossamer import leakcheck
from sybil import Sybil
from sybil.parsers.myst import CodeBlockParser

OUTPUT = re.compile(r"\s*(?::::+\s*)?```text\n(.*?)^```", re.M | re.S)
checker = doctest.OutputChecker()


class Examples(CodeBlockParser):
    language = "python"

    def evaluate(self, example):
        page = example.document
        above = "\n" * (example.line + example.parsed.line_offset)  # for tracebacks
        code = compile(above + example.parsed, page.path, "exec", dont_inherit=True)
        after = OUTPUT.match(page.text, example.region.end)
        want = after[1] if after else ""
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.redirect_stderr(written):
            exec(code, page.namespace)
        got = written.getvalue()
        if checker.check_output(want, got, doctest.ELLIPSIS):
            return None
        return checker.output_difference(doctest.Example("", want), got, doctest.ELLIPSIS)


def end(namespace):
    namespace.clear()
    leakcheck.check()


pytest_collect_file = Sybil(parsers=[Examples()], pattern="*.md", teardown=end).pytest()
