"""ioctl(2): requests by name or taken apart, and the arguments of the common ones."""

from __future__ import annotations

import struct

import pytest

from monitor import Arch
from monitor.notify.render import Look
from tests.notify.render.shown import NOWHERE, A, B, Line, shown

FIVE = struct.pack("<i", 5)
SETTINGS = struct.pack("<IIII", 0o2400, 0o5, 0o2277, 0o105073)
LONG = bytes(range(1, 121))


def interface(name: bytes, data: bytes = b"") -> bytes:
    return name.ljust(16, b"\0") + data.ljust(24, b"\0")


def asked(request: int, data: bytes = b"") -> tuple[tuple[int, int, int], dict[int, bytes]]:
    """Return the registers and the memory of a request."""
    return (3, request, A), {A: data} if data else {}


IN = struct.pack("<H", 2) + b"\0\0\x7f\0\0\1"

LINES: list[Line] = [
    ("ioctl", *asked(0x5421, FIVE), "ioctl(3, FIONBIO, [5])"),
    ("ioctl", (3, 0x5421, 0), {}, "ioctl(3, FIONBIO, NULL)"),
    ("ioctl", (3, 0x5421, NOWHERE), {}, "ioctl(3, FIONBIO, 0xdead0000)"),
    ("ioctl", (3, 0x1_0000_5421, A), {A: FIVE}, "ioctl(3, FIONBIO, [5])"),
    ("ioctl", *asked(0x541B), "ioctl(3, FIONREAD, 0x20000)"),
    ("ioctl", *asked(0x5411), "ioctl(3, TIOCOUTQ, 0x20000)"),
    ("ioctl", *asked(0x5450), "ioctl(3, FIONCLEX)"),
    ("ioctl", *asked(0x5413), "ioctl(3, TIOCGWINSZ, 0x20000)"),
    (
        "ioctl",
        *asked(0x5414, struct.pack("<HHHH", 24, 80, 0, 0)),
        "ioctl(3, TIOCSWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0})",
    ),
    ("ioctl", *asked(0x5401), "ioctl(3, TCGETS, 0x20000)"),
    (
        "ioctl",
        *asked(0x5402, SETTINGS + bytes(44)),
        (
            "ioctl(3, SNDCTL_TMR_START or TCSETS, {c_iflag=ICRNL|IXON, "
            "c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, c_cflag=B38400|CS8|CREAD|HUPCL, "
            "c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, ...})"
        ),
    ),
    (
        "ioctl",
        *asked(0x5404, b"\xff" * 60),
        (
            "ioctl(3, SNDCTL_TMR_CONTINUE or TCSETSF, "
            "{c_iflag=IGNBRK|BRKINT|IGNPAR|PARMRK|INPCK|ISTRIP|INLCR|IGNCR|ICRNL|IUCLC|IXON|IXANY|IXOFF|IMAX"
            "BEL|IUTF8|0xffff8000, c_oflag=NL1|CR3|XTABS|BS1|VT1|FF1|OPOST|OLCUC|ONLCR|OCRNL|ONOCR|ONLRET|OF"
            "ILL|OFDEL|0xffff0000, c_cflag=B4000000|B4000000<<IBSHIFT|CS8|CSTOPB|CREAD|PARENB|PARODD|HUPCL|C"
            "LOCAL|CMSPAR|CRTSCTS|0x2ff0e000, c_lflag=ISIG|ICANON|XCASE|ECHO|ECHOE|ECHOK|ECHONL|NOFLSH|IEXTE"
            "N|ECHOCTL|ECHOPRT|ECHOKE|FLUSHO|PENDIN|TOSTOP|EXTPROC|0xfffe2000, ...})"
        ),
    ),
    (
        "ioctl",
        *asked(0x5403, bytes(60)),
        (
            "ioctl(3, SNDCTL_TMR_STOP or TCSETSW, {c_iflag=, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|, "
            "c_cflag=B0|CS5|, c_lflag=, ...})"
        ),
    ),
    (
        "ioctl",
        *asked(0x402C542B, LONG),
        (
            "ioctl(3, TCSETS2, {c_iflag=IGNBRK|IUCLC|0x4030000, "
            "c_oflag=NL0|CR3|TAB0|BS0|VT0|FF0|OPOST|ONLCR|0x8070000, "
            "c_cflag=B1200|B2400<<IBSHIFT|CS5|PARODD|CLOCAL|0xc000000, "
            "c_lflag=ISIG|XCASE|ECHO|ECHOCTL|ECHOPRT|ECHOKE|EXTPROC|0x100e0000, ...})"
        ),
    ),
    (
        "ioctl",
        *asked(0x5406, struct.pack("<HHHH", 0o2400, 0o5, 0o2277, 0o105073) + bytes(10)),
        (
            "ioctl(3, TCSETA, {c_iflag=ICRNL|IXON, c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, "
            "c_cflag=B38400|CS8|CREAD|HUPCL, c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, "
            "...})"
        ),
    ),
    ("ioctl", *asked(0x5410, FIVE), "ioctl(3, TIOCSPGRP, [5])"),
    ("ioctl", *asked(0x5412, b"\n"), r'ioctl(3, TIOCSTI, "\n")'),
    ("ioctl", *asked(0x5418, struct.pack("<i", 6)), "ioctl(3, TIOCMSET, [TIOCM_DTR|TIOCM_RTS])"),
    ("ioctl", (3, 0x540B, 0), {}, "ioctl(3, TCFLSH, TCIFLUSH)"),
    ("ioctl", (3, 0x540B, 9), {}, "ioctl(3, TCFLSH, 0x9 /* TC??? */)"),
    ("ioctl", (3, 0x540A, 3), {}, "ioctl(3, TCXONC, TCION)"),
    ("ioctl", (3, 0x540E, 1), {}, "ioctl(3, TIOCSCTTY, 1)"),
    ("ioctl", (3, 0x5409, -1), {}, "ioctl(3, TCSBRK, -1)"),
    ("ioctl", *asked(0x80045430), "ioctl(3, TIOCGPTN, 0x20000)"),
    ("ioctl", *asked(0x40045431, FIVE), "ioctl(3, TIOCSPTLCK, [5])"),
    ("ioctl", (3, 0x40049409, 4), {}, "ioctl(3, BTRFS_IOC_CLONE or FICLONE, 4)"),
    (
        "ioctl",
        *asked(0x4020940D, struct.pack("<qQQQ", 4, 1, 2, 1 << 63)),
        (
            "ioctl(3, BTRFS_IOC_CLONE_RANGE or FICLONERANGE, {src_fd=4, src_offset=1, src_length=2, "
            "dest_offset=9223372036854775808})"
        ),
    ),
    (
        "ioctl",
        *asked(0xC0189436, struct.pack("<QQHHI", 1, 2, 9, 0, 0) + struct.pack("<qQQiI", 4, 5, 6, 7, 8) * 9),
        (
            "ioctl(3, BTRFS_IOC_FILE_EXTENT_SAME or FIDEDUPERANGE, {src_offset=1, src_length=2, "
            "dest_count=9, info=[{dest_fd=4, dest_offset=5}, {dest_fd=4, dest_offset=5}, ...]})"
        ),
    ),
    ("ioctl", *asked(0x40086602, struct.pack("<q", 0x11)), "ioctl(3, FS_IOC_SETFLAGS, [FS_SECRM_FL|FS_IMMUTABLE_FL])"),
    ("ioctl", *asked(0x80086601), "ioctl(3, FS_IOC_GETFLAGS, 0x20000)"),
    (
        "ioctl",
        *asked(0x401C5820, struct.pack("<IIIII8x", 1, 2, 3, 4, 5)),
        (
            "ioctl(3, FS_IOC_FSSETXATTR, {fsx_xflags=FS_XFLAG_REALTIME, fsx_extsize=2, fsx_projid=0x4, "
            "fsx_cowextsize=5})"
        ),
    ),
    (
        "ioctl",
        *asked(0xC020660B, struct.pack("<QQIIII", 1, 2, 3, 4, 5, 6)),
        (
            "ioctl(3, FS_IOC_FIEMAP, {fm_start=1, fm_length=2, fm_flags=FIEMAP_FLAG_SYNC|FIEMAP_FLAG_XATTR, "
            "fm_extent_count=5})"
        ),
    ),
    ("ioctl", *asked(0xC0185879, struct.pack("<QQQ", 1, 2, 3)), "ioctl(3, FITRIM, {start=0x1, len=2, minlen=3})"),
    ("ioctl", *asked(0xC0045877), "ioctl(3, FIFREEZE)"),
    ("ioctl", *asked(0x1277, struct.pack("<QQ", 5, 6)), "ioctl(3, BLKDISCARD, [5, 6])"),
    ("ioctl", *asked(0x125D, FIVE), "ioctl(3, BLKROSET, [5])"),
    ("ioctl", *asked(0x125F), "ioctl(3, BLKRRPART)"),
    ("ioctl", (3, 0x1262, 5), {}, "ioctl(3, BLKRASET, 5)"),
    ("ioctl", *asked(0x80081272), "ioctl(3, BLKGETSIZE64, 0x20000)"),
    ("ioctl", (3, 0x4C00, 5), {}, "ioctl(3, LOOP_SET_FD, 5)"),
    ("ioctl", *asked(0x4C82), "ioctl(3, LOOP_CTL_GET_FREE)"),
    (
        "ioctl",
        *asked(0x40085203, struct.pack("<ii", 8, 4) + b"seed"),
        'ioctl(3, RNDADDENTROPY, {entropy_count=8, buf_size=4, buf="seed"})',
    ),
    ("ioctl", (3, 0x2400, 0), {}, "ioctl(3, PERF_EVENT_IOC_ENABLE, 0)"),
    ("ioctl", (3, 0x2402, 5), {}, "ioctl(3, PERF_EVENT_IOC_REFRESH, 5)"),
    ("ioctl", *asked(0x40082404, struct.pack("<Q", 5)), "ioctl(3, PERF_EVENT_IOC_PERIOD, [5])"),
    (
        "ioctl",
        *asked(0xC018AA3F, struct.pack("<QQQ", 0xAA, 3, 0)),
        ("ioctl(3, UFFDIO_API, {api=0xaa, features=UFFD_FEATURE_PAGEFAULT_FLAG_WP|UFFD_FEATURE_EVENT_FORK})"),
    ),
    (
        "ioctl",
        *asked(0xC020AA00, struct.pack("<QQQQ", 4096, 8192, 1, 0)),
        ("ioctl(3, UFFDIO_REGISTER, {range={start=0x1000, len=0x2000}, mode=UFFDIO_REGISTER_MODE_MISSING})"),
    ),
    ("ioctl", *asked(0x8010AA02, struct.pack("<QQ", 4096, 8192)), "ioctl(3, UFFDIO_WAKE, {start=0x1000, len=0x2000})"),
    ("ioctl", *asked(0x40082102, struct.pack("<Q", 5)), "ioctl(3, SECCOMP_IOCTL_NOTIF_ID_VALID, [0x5])"),
    ("ioctl", *asked(0x8913, interface(b"eth0")), 'ioctl(3, SIOCGIFFLAGS, {ifr_name="eth0"})'),
    ("ioctl", *asked(0x8913, interface(b"e" * 16)), 'ioctl(3, SIOCGIFFLAGS, {ifr_name="eeeeeeeeeeeeeee"...})'),
    (
        "ioctl",
        *asked(0x8914, interface(b"eth0", struct.pack("<H", 0x1043))),
        ('ioctl(3, SIOCSIFFLAGS, {ifr_name="eth0", ifr_flags=IFF_UP|IFF_BROADCAST|IFF_RUNNING|IFF_MULTICAST})'),
    ),
    (
        "ioctl",
        *asked(0x8916, interface(b'a"\n', IN)),
        (
            r'ioctl(3, SIOCSIFADDR, {ifr_name="a\"\n", ifr_addr={sa_family=AF_INET, sin_port=htons(0), '
            'sin_addr=inet_addr("127.0.0.1")}})'
        ),
    ),
    (
        "ioctl",
        *asked(0x8918, interface(b"eth0", IN)),
        (
            'ioctl(3, SIOCSIFDSTADDR, {ifr_name="eth0", ifr_dstaddr={sa_family=AF_INET, sin_port=htons(0), '
            'sin_addr=inet_addr("127.0.0.1")}})'
        ),
    ),
    (
        "ioctl",
        *asked(0x891A, interface(b"eth0", IN)),
        (
            'ioctl(3, SIOCSIFBRDADDR, {ifr_name="eth0", ifr_broadaddr={sa_family=AF_INET, '
            'sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}})'
        ),
    ),
    (
        "ioctl",
        *asked(0x891C, interface(b"eth0", IN)),
        (
            'ioctl(3, SIOCSIFNETMASK, {ifr_name="eth0", ifr_netmask={sa_family=AF_INET, sin_port=htons(0), '
            'sin_addr=inet_addr("127.0.0.1")}})'
        ),
    ),
    (
        "ioctl",
        *asked(0x8922, interface(b"eth0", struct.pack("<i", 1500))),
        'ioctl(3, SIOCSIFMTU, {ifr_name="eth0", ifr_mtu=1500})',
    ),
    (
        "ioctl",
        *asked(0x8923, interface(b"eth0", b"lan0")),
        'ioctl(3, SIOCSIFNAME, {ifr_name="eth0", ifr_newname="lan0"})',
    ),
    (
        "ioctl",
        *asked(0x8924, interface(b"eth0", b"\1\0\1\2\3\4\5\6")),
        ('ioctl(3, SIOCSIFHWADDR, {ifr_name="eth0", ifr_hwaddr={sa_family=ARPHRD_ETHER, sa_data=01:02:03:04:05:06}})'),
    ),
    (
        "ioctl",
        *asked(0x8943, interface(b"eth0", struct.pack("<i", 100))),
        'ioctl(3, SIOCSIFTXQLEN, {ifr_name="eth0", ifr_qlen=100})',
    ),
    ("ioctl", *asked(0x8910, interface(b"", struct.pack("<i", 2))), "ioctl(3, SIOCGIFNAME, {ifr_ifindex=2})"),
    (
        "ioctl",
        *asked(0x8971, interface(b"eth0", struct.pack("<QQHBBB", 1, 2, 3, 4, 5, 6))),
        (
            'ioctl(3, SIOCSIFMAP, {ifr_name="eth0", ifr_map={mem_start=0x1, mem_end=0x2, base_addr=0x3, '
            "irq=0x4, dma=0x5, port=0x6}})"
        ),
    ),
    (
        "ioctl",
        *asked(0x8912, struct.pack("<ixxxxQ", 80, B)),
        "ioctl(3, SIOCGIFCONF, {ifc_len=80 /* 2 * sizeof(struct ifreq) */, ifc_buf=0x30000})",
    ),
    ("ioctl", *asked(0x8912, struct.pack("<ixxxxQ", 81, 0)), "ioctl(3, SIOCGIFCONF, {ifc_len=81, ifc_buf=NULL})"),
    ("ioctl", *asked(0x89A0, b"br0".ljust(16, b"\0")), 'ioctl(3, SIOCBRADDBR, "br0")'),
    ("ioctl", *asked(0x89A2, interface(b"br0", struct.pack("<i", 7777))), "ioctl(3, SIOCBRADDIF, {ifr_ifindex=7777})"),
    ("ioctl", (3, 0xAE00, 0), {}, "ioctl(3, KVM_GET_API_VERSION, 0)"),
    ("ioctl", *asked(0x5331), "ioctl(3, CDROM_GET_CAPABILITY, 0x20000)"),
    ("ioctl", *asked(0xDEADBEEF), "ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0xbe, 0xef, 0x1ead), 0x20000)"),
    ("ioctl", (3, 0, 0), {}, "ioctl(3, _IOC(_IOC_NONE, 0, 0, 0), 0)"),
    ("ioctl", *asked(0x12345678), "ioctl(3, _IOC(_IOC_NONE, 0x56, 0x78, 0x1234), 0x20000)"),
    ("ioctl", *asked(-1), "ioctl(3, _IOC(_IOC_READ|_IOC_WRITE, 0xff, 0xff, 0x3fff), 0x20000)"),
]

LINES_32: list[Line] = [
    (
        "ioctl",
        *asked(0x5402, SETTINGS + bytes(44)),
        (
            "ioctl(3, SNDCTL_TMR_START or TCSETS, {c_iflag=ICRNL|IXON, "
            "c_oflag=NL0|CR0|TAB0|BS0|VT0|FF0|OPOST|ONLCR, c_cflag=B38400|CS8|CREAD|HUPCL, "
            "c_lflag=ISIG|ICANON|ECHO|ECHOE|ECHOK|IEXTEN|ECHOCTL|ECHOKE, ...})"
        ),
    ),
    (
        "ioctl",
        *asked(0x8912, struct.pack("<iI", 64, B)),
        "ioctl(3, SIOCGIFCONF, {ifc_len=64 /* 2 * sizeof(struct ifreq) */, ifc_buf=0x30000})",
    ),
    (
        "ioctl",
        *asked(0x8914, interface(b"eth0", struct.pack("<H", 0x1043))),
        ('ioctl(3, SIOCSIFFLAGS, {ifr_name="eth0", ifr_flags=IFF_UP|IFF_BROADCAST|IFF_RUNNING|IFF_MULTICAST})'),
    ),
    (
        "ioctl",
        *asked(0x8971, interface(b"eth0", struct.pack("<IIHBBB", 1, 2, 3, 4, 5, 6))),
        (
            'ioctl(3, SIOCSIFMAP, {ifr_name="eth0", ifr_map={mem_start=0x1, mem_end=0x2, base_addr=0x3, '
            "irq=0x4, dma=0x5, port=0x6}})"
        ),
    ),
]


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES)
def test_a_request_is_shown_with_its_argument(name, registers, memory, line) -> None:
    assert shown(name, registers, memory) == line


@pytest.mark.parametrize(("name", "registers", "memory", "line"), LINES_32)
def test_a_request_of_a_32_bit_program_has_shorter_structs(name, registers, memory, line) -> None:
    assert shown(name, registers, memory, Arch.I386) == line


def test_ppc_puts_requests_together_in_another_way() -> None:
    """Three bits of direction, of which 1 is none, and thirteen of size (arch/powerpc/include/uapi/asm/ioctl.h)."""
    line = shown("ioctl", (3, 2 << 29 | 0x10 << 16 | 0xBE << 8 | 0xEF, A), {}, Arch.PPC64LE)

    assert line == "ioctl(3, _IOC(_IOC_READ, 0xbe, 0xef, 0x10), 0x20000)"


def test_a_number_is_in_the_order_of_the_machine() -> None:
    assert shown("ioctl", (3, 0x5421, A), {A: struct.pack(">i", 5)}, Arch.S390X) == "ioctl(3, FIONBIO, [5])"
    assert shown("ioctl", (3, 0x8914, A), {A: b"a".ljust(16, b"\0") + b"\0\1".ljust(24, b"\0")}, Arch.S390X) == (
        'ioctl(3, SIOCSIFFLAGS, {ifr_name="a", ifr_flags=IFF_UP})'
    )


def test_an_fd_in_a_request_is_shown_with_what_it_is_open_on() -> None:
    links = {"fd/3": b"/a", "fd/4": b"/b"}

    line = shown("ioctl", (3, 0x40049409, 4), look=Look(fd_paths=True), links=links)

    assert line == "ioctl(3</a>, BTRFS_IOC_CLONE or FICLONE, 4</b>)"
