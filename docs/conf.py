"""How the pages of this folder become a site: tools/docs builds it."""
# SPDX-License-Identifier: Apache-2.0

import sys
from pathlib import Path

import gossamer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "site"))

project = "gossamer"
version = release = gossamer.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "stubs", "header", "links"]
exclude_patterns = ["site"]
highlight_language = "none"
smartquotes = False
nitpicky = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 100
c_maximum_signature_line_length = 110

html_theme = "furo"
html_title = f"gossamer {version}"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False

# The pages are read in the repository too, where a table of contents is noise: index.md has links, the site's own
# contents are added here. A new page needs no entry.
CONTENTS = """

```{toctree}
:hidden:
:glob:
:caption: Everything

install
support
diagnosis
freeze
*
decisions/README
```

```{toctree}
:hidden:
:caption: Python

python/index
```

```{toctree}
:hidden:
:glob:
:caption: C

c/api
c/*
```

```{toctree}
:hidden:
:glob:
:caption: Lua

lua/*
```
"""


def add_contents(app, docname, source):
    if docname == "index":
        source[0] += CONTENTS
    elif docname == "decisions/README":
        source[0] += "\n\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n"


def setup(app):
    app.connect("source-read", add_contents)
