"""
The shape of what each family of calls says about its own: printers and selectors by call.

What it is not: the families, or the place where they come together (``plan``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from monitor.notify.render.kinds import Printer
from monitor.notify.render.scene import Scene

Selector: TypeAlias = Callable[[Scene], Sequence[str]]
"""Says which arguments a call has this time, by name, in the order in which strace shows them."""

Multiplexer: TypeAlias = Callable[[Scene], tuple[str, tuple[int, ...]] | None]
"""Says which call is behind a call, and with which six registers; None: the call itself is shown."""


def printers(*rows: tuple[str, str, Printer]) -> Mapping[tuple[str, str], Printer]:
    """Return (call, argument) -> printer, from rows of (calls separated by blanks, argument, printer)."""
    return MappingProxyType({(call, argument): printer for calls, argument, printer in rows for call in calls.split()})


def selectors(*rows: tuple[str, Selector]) -> Mapping[str, Selector]:
    """Return call -> selector, from rows of (calls separated by blanks, selector)."""
    return MappingProxyType({call: selector for calls, selector in rows for call in calls.split()})
