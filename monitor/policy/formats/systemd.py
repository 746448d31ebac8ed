"""
systemd's ``SystemCallFilter=`` and its relatives, in (``settings``) and out (``unit``).

What it is not: either of them; it is where callers find both.
"""

from __future__ import annotations

from monitor.policy.formats.settings import load
from monitor.policy.formats.unit import dump

__all__ = ["dump", "load"]
