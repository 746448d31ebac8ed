"""
The file systems of what never had a name: pipes, sockets, memfds, epoll and its like.

What it is not: a list of file systems; the kernel mounts these for itself, and their numbers are asked for.
"""

from __future__ import annotations

import os
import select
import socket


def anonymous_devices() -> frozenset[int]:
    """Return the devices on which pipes, sockets, memfds and the like are, and nothing that has a name."""
    near, far = socket.socketpair()
    fds = [*os.pipe(), os.memfd_create(""), near.detach(), far.detach(), _anonymous_inode()]
    try:
        found = {os.fstat(fd).st_dev for fd in fds}
    finally:
        for fd in fds:
            os.close(fd)
    return frozenset(os.major(device) << 32 | os.minor(device) for device in found)


def _anonymous_inode() -> int:
    """Return an fd of the file system of epoll, eventfd, signalfd and their like."""
    epoll = select.epoll()
    try:
        return os.dup(epoll.fileno())
    finally:
        epoll.close()
