"""
``python -m monitor`` and the command ``seccomp-monitor``: hands over to ``cli``.

What it is not: a place for anything else; it imports nothing before it is called.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit."""
    from monitor.cli import main as run  # noqa: PLC0415  # only when it is called

    run()


if __name__ == "__main__":
    main()
