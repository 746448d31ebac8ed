"""
Calls of the family ``queues``: what strace 6.1 wrote when a program made them.

What it is not: by heart.  Each line was made in a process whose filter refuses every call, so that
what strace shows is what was asked for; those of s390x say the same from big-endian memory.
"""

# ruff: noqa: E501  # a line of strace's is as long as it is

from __future__ import annotations

import pytest

from monitor import testing
from monitor.abi.arch import Arch
from tests.notify.render.packed import u16, u32, u64

X64 = Arch.X86_64
X86 = Arch.I386
S390 = Arch.S390X

CASES = [
    (
        X86,
        "ipc",
        {"call": 1, "first": 1, "second": 1, "third": 1, "ptr": u64(1, 2, 3, 4) + bytes(100), "fifth": 0},
        "semop(1, [{sem_num=1, sem_op=0, sem_flg=0}], 1)",
    ),
    (
        X86,
        "ipc",
        {"call": 4, "first": 1, "second": 1, "third": 1, "ptr": u64(1, 2, 3, 4) + bytes(100), "fifth": 0},
        "semtimedop(1, [{sem_num=1, sem_op=0, sem_flg=0}], 1, NULL)",
    ),
    (
        X86,
        "ipc",
        {"call": 11, "first": 1, "second": 1, "third": 1, "ptr": u64(1, 2, 3, 4) + bytes(100), "fifth": 0},
        'msgsnd(1, {mtype=1, mtext="\\0"}, 1, 0x1 /* MSG_??? */)',
    ),
    (
        X86,
        "ipc",
        {"call": 22, "first": 1, "second": 1, "third": 1, "ptr": u64(1, 2, 3, 4) + bytes(100), "fifth": 0},
        "shmdt(0x102000)",
    ),
    (
        X86,
        "ipc",
        {"call": 3, "first": 1, "second": 2, "third": 12, "ptr": u32(0x102000) + bytes(200)},
        "semctl(1, 2, GETVAL, [0x102000])",
    ),
    (
        X86,
        "ipc",
        {"call": 99, "first": 16, "second": 17, "third": 18, "ptr": 0, "fifth": 20},
        "ipc(99, 0x10, 0x11, 0x12, 0, 0x14)",
    ),
    (
        X64,
        "mq_getsetattr",
        {"mqdes": 3, "newattr": u64(1, 2, 3, 4), "oldattr": 5},
        "mq_getsetattr(3, {mq_flags=0x1 /* O_??? */, mq_maxmsg=2, mq_msgsize=3, mq_curmsgs=4}, 0x5)",
    ),
    (
        S390,
        "mq_getsetattr",
        {"mqdes": 3, "newattr": u64(1, 2, 3, 4, order="big"), "oldattr": 5},
        "mq_getsetattr(3, {mq_flags=0x1 /* O_??? */, mq_maxmsg=2, mq_msgsize=3, mq_curmsgs=4}, 0x5)",
    ),
    (X64, "mq_getsetattr", {"mqdes": 3, "newattr": 0, "oldattr": 0}, "mq_getsetattr(3, NULL, NULL)"),
    (
        X86,
        "mq_getsetattr",
        {"mqdes": 3, "newattr": u64(1, 2, 3, 4), "oldattr": 5},
        "mq_getsetattr(3, {mq_flags=0x1 /* O_??? */, mq_maxmsg=0, mq_msgsize=2, mq_curmsgs=0}, 0x5)",
    ),
    (
        X64,
        "mq_open",
        {"name": b"/queue", "oflag": 0, "mode": 384, "attr": u64(0x800, 2, 3, 4)},
        'mq_open("/queue", O_RDONLY)',
    ),
    (
        S390,
        "mq_open",
        {"name": b"/queue", "oflag": 0, "mode": 384, "attr": u64(0x800, 2, 3, 4, order="big")},
        'mq_open("/queue", O_RDONLY)',
    ),
    (
        X64,
        "mq_open",
        {"name": b"/queue", "oflag": 1, "mode": 384, "attr": u64(0x800, 2, 3, 4)},
        'mq_open("/queue", O_WRONLY)',
    ),
    (
        S390,
        "mq_open",
        {"name": b"/queue", "oflag": 1, "mode": 384, "attr": u64(0x800, 2, 3, 4, order="big")},
        'mq_open("/queue", O_WRONLY)',
    ),
    (
        X64,
        "mq_open",
        {"name": b"/queue", "oflag": 66, "mode": 384, "attr": u64(0x800, 2, 3, 4)},
        'mq_open("/queue", O_RDWR|O_CREAT, 0600, {mq_flags=0x800, mq_maxmsg=2, mq_msgsize=3, mq_curmsgs=4})',
    ),
    (
        X64,
        "mq_open",
        {"name": b"x", "oflag": 64, "mode": 0xFFF, "attr": 0},
        'mq_open("x", O_RDONLY|O_CREAT, 07777, NULL)',
    ),
    (
        X86,
        "mq_open",
        {
            "name": b"/queue/queue/queue/queue/queue/queue/queue/queue/queue",
            "oflag": 0,
            "mode": 0,
            "attr": u32(0x800, 2, -3, 4),
        },
        'mq_open("/queue/queue/queue/queue/queue/queue/queue/queue/queue", O_RDONLY)',
    ),
    (
        X86,
        "mq_open",
        {
            "name": b"/queue/queue/queue/queue/queue/queue/queue/queue/queue",
            "oflag": 66,
            "mode": 0,
            "attr": u32(0x800, 2, -3, 4),
        },
        'mq_open("/queue/queue/queue/queue/queue/queue/queue/queue/queue", O_RDWR|O_CREAT, 000, {mq_flags=0x800, mq_maxmsg=2, mq_msgsize=-3, mq_curmsgs=4})',
    ),
    (X64, "mq_unlink", {"name": b"q" * 50}, 'mq_unlink("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")'),
    (X86, "mq_unlink", {"name": b"q" * 50}, 'mq_unlink("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")'),
    (
        X64,
        "msgctl",
        {"msqid": -1, "cmd": 0, "buf": u32(1, 2, -1, 4, 5, 0x8180) + bytes(400)},
        "msgctl(-1, IPC_RMID, 0x102000)",
    ),
    (
        S390,
        "msgctl",
        {"msqid": -1, "cmd": 0, "buf": u32(1, 2, -1, 4, 5, 0x8180, order="big") + bytes(400)},
        "msgctl(-1, IPC_RMID, 0x102000)",
    ),
    (
        X64,
        "msgctl",
        {"msqid": -1, "cmd": 1, "buf": u32(1, 2, -1, 4, 5, 0x8180) + bytes(400)},
        "msgctl(-1, IPC_SET, {msg_perm={uid=2, gid=-1, mode=0100600}, msg_qbytes=0})",
    ),
    (
        S390,
        "msgctl",
        {"msqid": -1, "cmd": 1, "buf": u32(1, 2, -1, 4, 5, 0x8180, order="big") + bytes(400)},
        "msgctl(-1, IPC_SET, {msg_perm={uid=2, gid=-1, mode=0100600}, msg_qbytes=0})",
    ),
    (
        X64,
        "msgctl",
        {"msqid": -1, "cmd": 256, "buf": u32(1, 2, -1, 4, 5, 0x8180) + bytes(400)},
        "msgctl(-1, IPC_64|IPC_RMID, 0x102000)",
    ),
    (X64, "msgctl", {"msqid": 1, "cmd": 1, "buf": 16}, "msgctl(1, IPC_SET, 0x10)"),
    (
        X86,
        "msgctl",
        {"msqid": -1, "cmd": 1, "buf": u32(1, 2, -1, 4, 5, 0x8180) + bytes(400)},
        "msgctl(-1, IPC_SET, {msg_perm={uid=2, gid=-1, mode=0100600}, msg_qbytes=0})",
    ),
    (
        X86,
        "msgctl",
        {"msqid": -1, "cmd": 256, "buf": u32(1, 2, -1, 4, 5, 0x8180) + bytes(400)},
        "msgctl(-1, IPC_64|IPC_RMID, 0x102000)",
    ),
    (X64, "msgget", {"key": 0, "msgflg": 0}, "msgget(IPC_PRIVATE, 000)"),
    (X64, "msgget", {"key": 0, "msgflg": 896}, "msgget(IPC_PRIVATE, IPC_CREAT|0600)"),
    (X64, "msgget", {"key": 0, "msgflg": 0x7FF}, "msgget(IPC_PRIVATE, IPC_CREAT|IPC_EXCL|0777)"),
    (X64, "msgget", {"key": 0, "msgflg": 0xE00}, "msgget(IPC_PRIVATE, IPC_CREAT|IPC_EXCL|IPC_NOWAIT|000)"),
    (X86, "msgget", {"key": 0, "msgflg": 0}, "msgget(IPC_PRIVATE, 000)"),
    (X86, "msgget", {"key": 0, "msgflg": 0x54000A00}, "msgget(IPC_PRIVATE, IPC_CREAT|IPC_NOWAIT|0x54000000|000)"),
    (
        X64,
        "msgrcv",
        {"msqid": 1, "msgp": 16, "msgsz": 5, "msgtyp": -1, "msgflg": 0x7800},
        "msgrcv(1, 0x10, 5, -1, MSG_NOERROR|MSG_EXCEPT|MSG_COPY|IPC_NOWAIT)",
    ),
    (
        X64,
        "msgsnd",
        {
            "msqid": 1,
            "msgp": u64(5)
            + b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "msgsz": 5,
            "msgflg": 0x800,
        },
        'msgsnd(1, {mtype=5, mtext="abcab"}, 5, IPC_NOWAIT)',
    ),
    (
        S390,
        "msgsnd",
        {
            "msqid": 1,
            "msgp": u64(5, order="big")
            + b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "msgsz": 5,
            "msgflg": 0x800,
        },
        'msgsnd(1, {mtype=5, mtext="abcab"}, 5, IPC_NOWAIT)',
    ),
    (
        X64,
        "msgsnd",
        {
            "msqid": 1,
            "msgp": u32(-5, -1)
            + b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "msgsz": 50,
            "msgflg": -1,
        },
        'msgsnd(1, {mtype=-5, mtext="abcabcabcabcabcabcabcabcabcabcab"...}, 50, MSG_NOERROR|MSG_EXCEPT|MSG_COPY|IPC_NOWAIT|0xffff87ff)',
    ),
    (X64, "msgsnd", {"msqid": 1, "msgp": 0, "msgsz": 50, "msgflg": 1}, "msgsnd(1, NULL, 50, 0x1 /* MSG_??? */)"),
    (
        X86,
        "msgsnd",
        {
            "msqid": 1,
            "msgp": u64(5)
            + b"abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc",
            "msgsz": 5,
            "msgflg": 0x800,
        },
        'msgsnd(1, {mtype=5, mtext="\\0\\0\\0\\0a"}, 5, IPC_NOWAIT)',
    ),
    (
        X86,
        "msgsnd",
        {"msqid": 1, "msgp": 16, "msgsz": -1, "msgflg": 1},
        "msgsnd(1, 0x10, 4294967295, 0x1 /* MSG_??? */)",
    ),
    (
        X64,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 1, "arg": u32(1, 2, -1, 4, 5, 384) + bytes(400)},
        "semctl(1, 2, IPC_SET, {sem_perm={uid=2, gid=-1, mode=0600}})",
    ),
    (
        S390,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 1, "arg": u32(1, 2, -1, 4, 5, 384, order="big") + bytes(400)},
        "semctl(1, 2, IPC_SET, {sem_perm={uid=2, gid=-1, mode=0600}})",
    ),
    (
        X64,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 267, "arg": u32(1, 2, -1, 4, 5, 384) + bytes(400)},
        "semctl(1, 2, IPC_64|GETPID, 0x102000)",
    ),
    (
        S390,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 267, "arg": u32(1, 2, -1, 4, 5, 384, order="big") + bytes(400)},
        "semctl(1, 2, IPC_64|GETPID, 0x102000)",
    ),
    (X64, "semctl", {"semid": 1, "semnum": 2, "cmd": 16, "arg": 5}, "semctl(1, 2, SETVAL, 0x5)"),
    (X64, "semctl", {"semid": 1, "semnum": 2, "cmd": 1, "arg": 0}, "semctl(1, 2, IPC_SET, NULL)"),
    (
        X86,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 11, "arg": u32(1, 2, -1, 4, 5, 384) + bytes(400)},
        "semctl(1, 2, GETPID, 0x102000)",
    ),
    (
        X86,
        "semctl",
        {"semid": 1, "semnum": 2, "cmd": 267, "arg": u32(1, 2, -1, 4, 5, 384) + bytes(400)},
        "semctl(1, 2, IPC_64|GETPID, 0x102000)",
    ),
    (X64, "semget", {"key": 5, "nsems": -1, "semflg": 0}, "semget(0x5, -1, 000)"),
    (X64, "semget", {"key": 5, "nsems": -1, "semflg": 896}, "semget(0x5, -1, IPC_CREAT|0600)"),
    (X64, "semget", {"key": 5, "nsems": -1, "semflg": 0x7FF}, "semget(0x5, -1, IPC_CREAT|IPC_EXCL|0777)"),
    (X64, "semget", {"key": 5, "nsems": -1, "semflg": 0xE00}, "semget(0x5, -1, IPC_CREAT|IPC_EXCL|IPC_NOWAIT|000)"),
    (X86, "semget", {"key": 5, "nsems": -1, "semflg": 0}, "semget(0x5, -1, 000)"),
    (
        X86,
        "semget",
        {"key": 5, "nsems": -1, "semflg": 0x54000A00},
        "semget(0x5, -1, IPC_CREAT|IPC_NOWAIT|0x54000000|000)",
    ),
    (
        X64,
        "semop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 0},
        "semop(1, [], 0)",
    ),
    (
        X64,
        "semop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 1},
        "semop(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}], 1)",
    ),
    (
        X64,
        "semop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 3},
        "semop(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}, {sem_num=1, sem_op=1, sem_flg=0}, {sem_num=2, sem_op=0, sem_flg=SEM_UNDO|0x234}], 3)",
    ),
    (
        X64,
        "semtimedop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 0, "timeout": u64(1, 2)},
        "semtimedop(1, [], 0, {tv_sec=1, tv_nsec=2})",
    ),
    (
        S390,
        "semtimedop",
        {
            "semid": 1,
            "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234, order="big")) * 15,
            "nsops": 0,
            "timeout": u64(1, 2, order="big"),
        },
        "semtimedop(1, [], 0, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X64,
        "semtimedop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 1, "timeout": u64(1, 2)},
        "semtimedop(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}], 1, {tv_sec=1, tv_nsec=2})",
    ),
    (
        S390,
        "semtimedop",
        {
            "semid": 1,
            "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234, order="big")) * 15,
            "nsops": 1,
            "timeout": u64(1, 2, order="big"),
        },
        "semtimedop(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}], 1, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X64,
        "semtimedop",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 3, "timeout": u64(1, 2)},
        "semtimedop(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}, {sem_num=1, sem_op=1, sem_flg=0}, {sem_num=2, sem_op=0, sem_flg=SEM_UNDO|0x234}], 3, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X86,
        "semtimedop_time64",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 0, "timeout": u64(1, 2)},
        "semtimedop_time64(1, [], 0, {tv_sec=1, tv_nsec=2})",
    ),
    (
        X86,
        "semtimedop_time64",
        {"semid": 1, "sops": (u16(0, -1, 0x1800, 1, 1, 0, 2, 0, 0x1234)) * 15, "nsops": 1, "timeout": u64(1, 2)},
        "semtimedop_time64(1, [{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO|IPC_NOWAIT}], 1, {tv_sec=1, tv_nsec=2})",
    ),
    (X64, "shmat", {"shmid": 1, "shmaddr": 0, "shmflg": 0}, "shmat(1, NULL, 0)"),
    (X64, "shmat", {"shmid": 1, "shmaddr": 0, "shmflg": 0x1000}, "shmat(1, NULL, SHM_RDONLY)"),
    (
        X64,
        "shmat",
        {"shmid": 1, "shmaddr": 0, "shmflg": 0xF000},
        "shmat(1, NULL, SHM_RDONLY|SHM_RND|SHM_REMAP|SHM_EXEC)",
    ),
    (
        X64,
        "shmat",
        {"shmid": 1, "shmaddr": 0, "shmflg": -1},
        "shmat(1, NULL, SHM_RDONLY|SHM_RND|SHM_REMAP|SHM_EXEC|0xffff0fff)",
    ),
    (
        X64,
        "shmctl",
        {"shmid": 1, "cmd": 0, "buf": u32(1, 2, 3, 4, 5, 384) + bytes(400)},
        "shmctl(1, IPC_RMID, 0x102000)",
    ),
    (
        S390,
        "shmctl",
        {"shmid": 1, "cmd": 0, "buf": u32(1, 2, 3, 4, 5, 384, order="big") + bytes(400)},
        "shmctl(1, IPC_RMID, 0x102000)",
    ),
    (
        X64,
        "shmctl",
        {"shmid": 1, "cmd": 1, "buf": u32(1, 2, 3, 4, 5, 384) + bytes(400)},
        "shmctl(1, IPC_SET, {shm_perm={uid=2, gid=3, mode=0600}})",
    ),
    (
        S390,
        "shmctl",
        {"shmid": 1, "cmd": 1, "buf": u32(1, 2, 3, 4, 5, 384, order="big") + bytes(400)},
        "shmctl(1, IPC_SET, {shm_perm={uid=2, gid=3, mode=0600}})",
    ),
    (
        X64,
        "shmctl",
        {"shmid": 1, "cmd": 256, "buf": u32(1, 2, 3, 4, 5, 384) + bytes(400)},
        "shmctl(1, IPC_64|IPC_RMID, 0x102000)",
    ),
    (X64, "shmctl", {"shmid": 1, "cmd": 0, "buf": 0}, "shmctl(1, IPC_RMID, NULL)"),
    (
        X86,
        "shmctl",
        {"shmid": 1, "cmd": 1, "buf": u32(1, 2, 3, 4, 5, 384) + bytes(400)},
        "shmctl(1, IPC_SET, {shm_perm={uid=2, gid=3, mode=0600}})",
    ),
    (
        X86,
        "shmctl",
        {"shmid": 1, "cmd": 256, "buf": u32(1, 2, 3, 4, 5, 384) + bytes(400)},
        "shmctl(1, IPC_64|IPC_RMID, 0x102000)",
    ),
    (X64, "shmdt", {"shmaddr": 5}, "shmdt(0x5)"),
    (X64, "shmget", {"key": -1, "size": 0x1000, "shmflg": 0}, "shmget(0xffffffff, 4096, 000)"),
    (X64, "shmget", {"key": -1, "size": 0x1000, "shmflg": 896}, "shmget(0xffffffff, 4096, IPC_CREAT|0600)"),
    (X64, "shmget", {"key": -1, "size": 0x1000, "shmflg": 0x7FF}, "shmget(0xffffffff, 4096, IPC_CREAT|IPC_EXCL|0777)"),
    (
        X64,
        "shmget",
        {"key": -1, "size": 0x1000, "shmflg": 0x54000000},
        "shmget(0xffffffff, 4096, 21<<SHM_HUGE_SHIFT|000)",
    ),
    (X86, "shmget", {"key": -1, "size": 0x1000, "shmflg": 0}, "shmget(0xffffffff, 4096, 000)"),
    (
        X86,
        "shmget",
        {"key": -1, "size": 0x1000, "shmflg": 0xE00},
        "shmget(0xffffffff, 4096, IPC_CREAT|IPC_EXCL|SHM_HUGETLB|000)",
    ),
]


@pytest.mark.parametrize(("arch", "name", "arguments", "expected"), CASES)
def test_queues_are_written_as_strace_writes_them(arch, name, arguments, expected):
    assert str(testing.call(name, arch, **arguments)) == expected
