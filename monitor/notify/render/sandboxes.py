"""
What a process gives up: seccomp filters and landlock rules.

What it is not: capabilities (``credentials``) or namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, hexed, number
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import address, structure

# ---- seccomp ----

_PROGRAM: Final = Layout("H:len P:filter")


def filter_program(scene: Scene, start: int) -> str:
    """Write a struct sock_fprog; the instructions would be a page."""
    fields = scene.struct(start, _PROGRAM)
    return structure([("len", str(fields["len"])), ("filter", address(fields["filter"]))])


def _operation(scene: Scene) -> str:
    return names("seccomp_op", scene.arch).get(scene.bits(0), "")


def _seccomp_flags(scene: Scene, index: int) -> str:
    return number(scene, index) if _operation(scene) == "SECCOMP_SET_MODE_FILTER" else hexed(scene, index)


def _seccomp_args(scene: Scene, index: int) -> str:
    start, operation = scene.pointer(index), _operation(scene)
    if not start:
        return "NULL"
    if operation == "SECCOMP_SET_MODE_FILTER":
        return filter_program(scene, start)
    if operation == "SECCOMP_GET_ACTION_AVAIL":
        return f"[{word('seccomp_action', scene.integer(start), scene.arch)}]"
    return address(start)


# ---- landlock ----

_RULES: Final = (
    ("handled_access_fs", "landlock_access_fs"),
    ("handled_access_net", "landlock_access_net"),
    ("scoped", "landlock_scope"),
)
_RULESET: Final = Layout("Q:handled_access_fs Q:handled_access_net Q:scoped")


def _ruleset(scene: Scene, index: int) -> str:
    start, size = scene.pointer(index), scene.get("size")
    known = min(size, _RULESET.size(scene.arch)) // 8 * 8
    if not start or not known:
        return address(start)
    fields = _RULESET.read(scene.read(start, known), scene.arch)
    shown = [(name, word(group, fields[name], scene.arch)) for name, group in _RULES if name in fields]
    return structure(shown, cut=size > known)


_PATH_RULE: Final = Layout("Q:allowed_access")
_PORT_RULE: Final = Layout("Q:allowed_access Q:port")


def _rule(scene: Scene, index: int) -> str:
    start = scene.pointer(index)
    kind = names("landlock_rule", scene.arch).get(scene.get("rule_type"))
    if not start or kind is None:
        return address(start)
    if kind == "LANDLOCK_RULE_NET_PORT":
        fields = scene.struct(start, _PORT_RULE)
        allowed = word("landlock_access_net", fields["allowed_access"], scene.arch)
        return structure([("allowed_access", allowed), ("port", str(fields["port"]))])
    size = _PATH_RULE.size(scene.arch)
    data = scene.read(start, size + 4)  # packed: the fd stands right behind the rights
    allowed = word("landlock_access_fs", _PATH_RULE.read(data, scene.arch)["allowed_access"], scene.arch)
    parent = scene.fd(int.from_bytes(data[size:], scene.order, signed=True))
    return structure([("allowed_access", allowed), ("parent_fd", parent)])


ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("seccomp", "flags", _seccomp_flags),
    ("seccomp", "args", _seccomp_args),
    ("landlock_create_ruleset", "attr", _ruleset),
    ("landlock_add_rule", "rule_attr", _rule),
)

SHOWN: Final[Mapping[str, Selector]] = selectors()
