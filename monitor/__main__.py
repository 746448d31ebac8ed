"""
``python -m monitor`` and the command ``seccomp-monitor``: hands over to ``cli``.

What it is not: a place for anything else; it imports nothing before it is called.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit."""
    try:
        from monitor.cli import main as run  # noqa: PLC0415  # only when it is called
    except KeyboardInterrupt:  # ^C while we are still being loaded
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
