"""The commands of `python -m gossamer`, a module each: HELP, configure(parser) and run(args)."""
# SPDX-License-Identifier: Apache-2.0
