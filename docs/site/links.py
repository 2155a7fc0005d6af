"""Links from a page to folders and pages of the repository that are not part of the site: they become their names.

(Links to other files, such as the C header, are downloads.)
"""
# SPDX-License-Identifier: Apache-2.0

import re
from pathlib import Path

LINK = re.compile(r"\[([^\]\n]+)\]\((\.\./[^)#\s]+)\)")


def outside(app, docname, source):
    page = Path(app.srcdir, docname)
    top = Path(app.srcdir).parent

    def named(link):
        target = (page.parent / link[2]).resolve()
        if target.is_relative_to(app.srcdir) or not (target.is_dir() or target.suffix == ".md"):
            return link[0]
        return f"{link[1]} (`{target.relative_to(top)}`)"

    source[0] = LINK.sub(named, source[0])


def setup(app):
    app.connect("source-read", outside)
    return {"parallel_read_safe": True}
