"""
The base set: what ``[files]`` allows beside its lists, because nearly every program needs it.

What it is not: a place for programs and what belongs to them (``/usr/bin``, ``/usr/lib/python3``,
``/etc/gitconfig``), for what tells who lives on the machine (``/etc/passwd``), or for what programs
ask for and do without (``/proc/filesystems``, ``/sys/devices/system/cpu/online``): a policy that
wants those says so.

Found with strace(1) on Debian 12: ls, bash, Python with ssl, zoneinfo and getaddrinfo, git, curl,
perl, gcc, iconv, ssh, script; and for musl in its sources (ldso/dynlink.c, src/time/__tz.c).

``/proc/self`` is written as it is here.  A canonical name has the number of the process in its
place; whoever resolves names judges the target's own directory below ``/proc`` under the name
``/proc/self``, and nobody else's.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from monitor.origin import Origin
from monitor.policy.access import READ

OWN_PROCESS: Final = b"/proc/self"
"""The name under which the target's own directory below ``/proc`` is judged, whatever its number."""

USING: Final = READ | {"write", "create", "truncate"}
"""What a device is allowed: ``open(O_WRONLY|O_CREAT|O_TRUNC)``, as shells do for ``>``, and no change of the name."""


_FILE: Final = "base set"


def is_base(origin: Origin) -> bool:
    """Whether what stands at *origin* was written by nobody: it is part of the base set."""
    return origin.file == _FILE


class Part(NamedTuple):
    """
    Names with one reason.

    Attributes:
        name: what reports call it.
        use: whether it may be read, or used as a device.
        paths: patterns.
        reason: who needs it.
    """

    name: str
    use: Literal["read", "use"]
    paths: tuple[str, ...]
    reason: str

    @property
    def access(self) -> frozenset[str]:
        """The classes that are allowed."""
        return USING if self.use == "use" else READ

    @property
    def origin(self) -> Origin:
        """Where it was written: here."""
        return Origin(_FILE, key=self.name)


BASE_SET: Final = (
    Part(
        "devices",
        "use",
        ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
        "every shell, every test, and whoever seeds a generator",
    ),
    # A pattern for the terminals and not /dev/pts itself: ttyname(3) reads /proc/self/fd, and lists nothing.
    Part("terminals", "use", ("/dev/tty", "/dev/ptmx", "/dev/pts/*"), "prompts for passwords, editors, script(1)"),
    Part("own process", "read", ("/proc/self",), "where the program lies, which fds are open, its memory map"),
    Part(
        "loader",
        "read",
        ("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/ld-musl-*.path"),
        "ld.so(8) reads them before anything else; that of musl, the last one",
    ),
    Part(
        "libraries",
        "read",
        (
            "/lib*/**/*.so", "/lib*/**/*.so.*", "/usr/lib*/**/*.so", "/usr/lib*/**/*.so.*",
            "/usr/local/lib/**/*.so", "/usr/local/lib/**/*.so.*",
        ),
        "what the loader loads, itself among it; by their names, so that nothing else of these directories is read",
    ),
    Part(
        "locale",
        "read",
        ("/usr/lib/locale", "/usr/share/locale", "/etc/locale.alias"),
        "setlocale(3), gettext(3); without them programs are in C",
    ),
    Part(
        "character sets",
        "read",
        ("/usr/lib*/gconv/gconv-modules*", "/usr/lib/*/gconv/gconv-modules*"),
        "iconv(3), which setlocale(3) uses: the list of modules; those are libraries",
    ),
    Part("time zone", "read", ("/etc/localtime", "/usr/share/zoneinfo"), "localtime(3), Python's zoneinfo"),
    Part(
        "certificates",
        "read",
        (
            "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf",
            "/usr/lib/ssl/certs", "/usr/lib/ssl/cert.pem", "/usr/lib/ssl/openssl.cnf",
            "/usr/share/ca-certificates", "/usr/local/share/ca-certificates",
        ),
        "OpenSSL and GnuTLS; the private keys beside them stay closed",
    ),
    Part(
        "resolver",
        "read",
        (
            "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf",
            "/etc/services", "/etc/protocols",
        ),
        "getaddrinfo(3); without services(5) it knows no port by its name, and fails",
    ),
)  # fmt: skip
"""In the order in which the rules stand, which is behind all others."""
