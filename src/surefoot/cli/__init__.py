"""The command line: one file per noun, and a few for what they share.

`root` knows the commands by name and imports one when it is used, so that `--help` and completion are quick.
`options` gives each command its settings and its `Output`; `failures` is the one place where an error becomes
words and an exit code. Answers go to stdout, everything else to stderr.
"""

import sys

from .failures import quiet_the_rest, wants
from .root import root


def main() -> None:
    """The process `surefoot`: ends with the command's exit code."""
    quiet_the_rest(debug=wants(sys.argv[1:], "--debug"))
    root()


__all__ = ["main", "root"]
