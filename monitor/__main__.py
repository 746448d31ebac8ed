"""
``python -m monitor`` and the command ``seccomp-monitor``: hands over to ``cli``.

What it is not: a place for anything else; it imports nothing before it is called.
"""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line; its exit status."""
    gc.disable()  # what is imported stays: the collector would walk it for nothing, a tenth of the start; see cli
    try:
        from monitor.cli import main as run  # noqa: PLC0415  # only when it is called
    except KeyboardInterrupt:  # ^C while we are still being loaded: 128 + SIGINT, as a shell says it
        return 130
    return run()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # python -m puts the current directory first.  What is imported later, while a program runs that may write
        # there, is not looked for in it.
        del sys.path[0]
    sys.exit(main())
