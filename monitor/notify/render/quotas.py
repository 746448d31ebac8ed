"""
Disk quotas: quotactl(2), whose command says which of the other arguments there are.

What it is not: the answers of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from monitor.abi.constants import names
from monitor.abi.words import word
from monitor.notify.render.kinds import Printer, hidden, path, pointed
from monitor.notify.render.layout import Layout
from monitor.notify.render.scene import Scene
from monitor.notify.render.table import Selector, printers, selectors
from monitor.notify.render.text import hexadecimal, structure

_TYPE_BITS: Final = 8
"""Below the command there is the type of the quota (include/uapi/linux/quota.h, QCMD)."""


def _command(scene: Scene) -> str:
    value = scene.bits(scene.signature.index_of("op")) >> _TYPE_BITS
    return names("quota", scene.arch).get(value, "")


def _operation(scene: Scene, index: int) -> str:
    value = scene.bits(index)
    kind = word("quota_type", value & ((1 << _TYPE_BITS) - 1), scene.arch)
    return f"QCMD({word('quota', value >> _TYPE_BITS, scene.arch)}, {kind})"


def _shown(scene: Scene) -> Sequence[str]:
    shown = [argument.name for argument in scene.signature.arguments]
    for name in _LEFT_OUT.get(_command(scene), ()):
        shown.remove(name)
    return shown


_LEFT_OUT: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "Q_SYNC": ("id", "addr"),
        "Q_QUOTAOFF": ("id", "addr"),
        "Q_XQUOTASYNC": ("id", "addr"),
        "Q_GETFMT": ("id",),
        "Q_GETINFO": ("id",),
        "Q_SETINFO": ("id",),
        "Q_XQUOTAON": ("id",),
        "Q_XQUOTAOFF": ("id",),
        "Q_XQUOTARM": ("id",),
        "Q_XGETQSTAT": ("id",),
        "Q_XGETQSTATV": ("id",),
    }
)
"""Command -> what it has no use for."""


def _id(scene: Scene, index: int) -> str:
    value = scene.bits(index) % (1 << 32)
    if _command(scene) == "Q_QUOTAON":
        return word("quota_format", value, scene.arch)
    return "-1" if value == (1 << 32) - 1 else str(value)


def _address(scene: Scene, index: int) -> str:
    return _READERS.get(_command(scene), hidden)(scene, index)


_QUOTA: Final = Layout(
    "Q:dqb_bhardlimit Q:dqb_bsoftlimit Q:dqb_curspace Q:dqb_ihardlimit Q:dqb_isoftlimit Q:dqb_curinodes "
    "Q:dqb_btime Q:dqb_itime I:dqb_valid"
)
_QUOTA_SHOWN: Final = 6


def _quota(scene: Scene, start: int) -> str:
    fields = list(scene.struct(start, _QUOTA).items())[:_QUOTA_SHOWN]
    return structure(((name, str(value)) for name, value in fields), cut=True)


_INFO: Final = Layout("Q:dqi_bgrace Q:dqi_igrace I:dqi_flags I:dqi_valid")


def _info(scene: Scene, start: int) -> str:
    fields = scene.struct(start, _INFO)
    return structure(
        [
            ("dqi_bgrace", str(fields["dqi_bgrace"])),
            ("dqi_igrace", str(fields["dqi_igrace"])),
            ("dqi_flags", word("quota_info", fields["dqi_flags"], scene.arch)),
            ("dqi_valid", word("quota_info_valid", fields["dqi_valid"], scene.arch)),
        ]
    )


_LIMITS: Final = Layout(
    "b:d_version b:d_flags H:d_fieldmask I:d_id Q:d_blk_hardlimit Q:d_blk_softlimit Q:d_ino_hardlimit "
    "Q:d_ino_softlimit Q:d_bcount Q:d_icount"
)
_LIMITS_SIZE: Final = 112
"""struct fs_disk_quota (include/uapi/linux/dqblk_xfs.h), of which the beginning is shown."""


def _limits(scene: Scene, start: int) -> str:
    fields = _LIMITS.read(scene.read(start, _LIMITS_SIZE), scene.arch)
    special = {
        "d_flags": word("xfs_quota_owner", fields["d_flags"] % (1 << 8), scene.arch),
        "d_fieldmask": hexadecimal(fields["d_fieldmask"]),
    }
    return structure(((name, special.get(name, str(value))) for name, value in fields.items()), cut=True)


def _flag_word(group: str) -> Printer:
    return pointed(lambda scene, start: f"[{word(group, scene.integer(start), scene.arch)}]")


_READERS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "Q_QUOTAON": path,
        "Q_SETQUOTA": pointed(_quota),
        "Q_SETINFO": pointed(_info),
        "Q_XSETQLIM": pointed(_limits),
        "Q_XQUOTAON": _flag_word("xfs_quota"),
        "Q_XQUOTAOFF": _flag_word("xfs_quota"),
        "Q_XQUOTARM": _flag_word("xfs_quota_owner"),
    }
)
"""Command -> what its last argument points to."""

ARGUMENTS: Final[Mapping[tuple[str, str], Printer]] = printers(
    ("quotactl quotactl_fd", "op", _operation),
    ("quotactl quotactl_fd", "id", _id),
    ("quotactl quotactl_fd", "addr", _address),
)

SHOWN: Final[Mapping[str, Selector]] = selectors(("quotactl quotactl_fd", _shown))
