"""
Which calls can be done for a target, and by what function: a table.

What it is not: any of them (``files``, ``metadata``, ``names``, ``changing``, ``attributes``, ``watching``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from monitor.broker import attributes, changing, files, metadata, names, watching
from monitor.broker.acting import Acting
from monitor.broker.listing import list_directory
from monitor.broker.where import go_there
from monitor.notify.decode import Call
from monitor.notify.emulation import Emulated

Act: TypeAlias = Callable[[Acting, Call, int], Emulated]


class Family(NamedTuple):
    """
    How a call is done.

    Attributes:
        act: who does it; the register it is given is *register*.
        register: that of its path, of the old one where it has two; of the fd, where it has none.
        second: that of the new path; -1: there is none.
    """

    act: Act
    register: int
    second: int = -1

    @property
    def registers(self) -> tuple[int, ...]:
        """Those of all that is looked up, in the order in which the kernel does so."""
        return (self.register,) if self.second < 0 else (self.register, self.second)


LISTINGS: Final = frozenset({"getdents", "getdents64"})

HELD: Final[Mapping[str, str]] = {
    "fstat": "stat",
    "fstatfs": "stat",
    "fchmod": "chmod",
    "fchown": "chown",
    "fsetxattr": "xattr-set",
    "fremovexattr": "xattr-set",
    "ftruncate": "truncate",
}
"""
Calls that have an fd and no path, and the class of access that they ask for.

An ``O_PATH`` fd may be of what may not be looked at; and one that only reads is enough to change a mode.
"""

FAMILIES: Final[Mapping[str, Family]] = {
    "open": Family(files.open_file, 0),
    "creat": Family(files.open_file, 0),
    "openat": Family(files.open_file, 1),
    "openat2": Family(files.open_file, 1),
    "stat": Family(metadata.stat_file, 0),
    "lstat": Family(metadata.stat_file, 0),
    "newfstatat": Family(metadata.stat_file, 1),
    "fstat": Family(metadata.stat_file, 0),
    "statx": Family(metadata.statx_file, 1),
    "statfs": Family(metadata.statfs_file, 0),
    "fstatfs": Family(metadata.statfs_file, 0),
    "access": Family(metadata.access_file, 0),
    "faccessat": Family(metadata.access_file, 1),
    "faccessat2": Family(metadata.access_file, 1),
    "readlink": Family(metadata.readlink_file, 0),
    "readlinkat": Family(metadata.readlink_file, 1),
    "getxattr": Family(attributes.getxattr_file, 0),
    "lgetxattr": Family(attributes.getxattr_file, 0),
    "getxattrat": Family(attributes.getxattr_file, 1),
    "listxattr": Family(attributes.listxattr_file, 0),
    "llistxattr": Family(attributes.listxattr_file, 0),
    "listxattrat": Family(attributes.listxattr_file, 1),
    "file_getattr": Family(attributes.file_getattr_file, 1),
    "chdir": Family(go_there, 0),
    "getdents": Family(list_directory, 0),
    "getdents64": Family(list_directory, 0),
    "mkdir": Family(names.make_directory_at, 0),
    "mkdirat": Family(names.make_directory_at, 1),
    "mknod": Family(names.make_node_at, 0),
    "mknodat": Family(names.make_node_at, 1),
    "symlink": Family(names.make_symlink_at, 1),
    "symlinkat": Family(names.make_symlink_at, 2),
    "unlink": Family(names.remove_name_at, 0),
    "unlinkat": Family(names.remove_name_at, 1),
    "rmdir": Family(names.remove_name_at, 0),
    "link": Family(names.make_link_at, 0, 1),
    "linkat": Family(names.make_link_at, 1, 3),
    "rename": Family(names.rename_at, 0, 1),
    "renameat": Family(names.rename_at, 1, 3),
    "renameat2": Family(names.rename_at, 1, 3),
    "chmod": Family(changing.change_mode_of, 0),
    "fchmodat": Family(changing.change_mode_of, 1),
    "fchmodat2": Family(changing.change_mode_of, 1),
    "fchmod": Family(changing.change_held_mode, 0),
    "chown": Family(changing.change_owner_of, 0),
    "lchown": Family(changing.change_owner_of, 0),
    "fchownat": Family(changing.change_owner_of, 1),
    "fchown": Family(changing.change_held_owner, 0),
    "utime": Family(changing.change_times_of, 0),
    "utimes": Family(changing.change_times_of, 0),
    "futimesat": Family(changing.change_times_of, 1),
    "utimensat": Family(changing.change_times_of, 1),
    "truncate": Family(changing.change_size_of, 0),
    "ftruncate": Family(changing.change_held_size, 0),
    "setxattr": Family(attributes.setxattr_file, 0),
    "lsetxattr": Family(attributes.setxattr_file, 0),
    "fsetxattr": Family(attributes.setxattr_file, 0),
    "setxattrat": Family(attributes.setxattr_file, 1),
    "removexattr": Family(attributes.removexattr_file, 0),
    "lremovexattr": Family(attributes.removexattr_file, 0),
    "fremovexattr": Family(attributes.removexattr_file, 0),
    "removexattrat": Family(attributes.removexattr_file, 1),
    "file_setattr": Family(attributes.file_setattr_file, 1),
    "inotify_add_watch": Family(watching.watch_file, 1),
    "fanotify_mark": Family(watching.mark_file, 4),
}
"""The calls that are done for a target, of the machine's own ABI."""
