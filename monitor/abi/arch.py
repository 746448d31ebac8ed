"""
``Arch``: an ABI by which a program calls the kernel, and how to tell it from the registers.

What it is not: the calls of that ABI (``syscalls``).  The facts are written out here,
not read from ``tables/``, because every import of the package pays for this module; a
test compares them with ``tables/syscalls.json``.

Why two facts name an ABI: ``seccomp_data.arch`` is the same for x86_64 and x32.  An x32
call has bit 30 of its number set (``__X32_SYSCALL_BIT``), so a filter that looks at the
arch alone takes x32 calls for x86_64 calls that do not exist, and lets them pass when
its default is to allow.
"""

from __future__ import annotations

import enum
import os
from typing import Final

from monitor.errors import KernelFeatureError

X32_BIT: Final = 0x40000000
"""Set in the number of every x32 call (``__X32_SYSCALL_BIT``, arch/x86/include/uapi/asm/unistd.h)."""

NO_CALL: Final = 0xFFFFFFFF
"""The number -1 as ``seccomp_data.nr`` shows it: no call at all, though bit 30 is set in it."""


class Arch(enum.Enum):
    """
    One of the nine ABIs the tables know.

    Attributes:
        table: its key in ``tables/*.json``.
        audit_value: ``AUDIT_ARCH_*``, what ``seccomp_data.arch`` holds.
        pointer_bits: the width of a pointer in the structs of a program, 32 or 64.
        register_bits: the width of an argument register; 64 for x32, whose pointers have 32.
        little_endian: the byte order.
        nr_bit: the bit that all its call numbers have set, or 0.
        machines: what uname(2) calls a machine whose own ABI this is; none for x32.

    Source: include/uapi/linux/audit.h, and arch/x86/include/uapi/asm/unistd.h for x32.
    """

    # Plain rows and not an attrs class of facts: building a class is dearer than all the rest of this module.
    # table, audit_value, pointer_bits, register_bits, little_endian, nr_bit, machines
    X86_64 = ("x86_64", 0xC000003E, 64, 64, True, 0, ("x86_64",))
    X32 = ("x32", 0xC000003E, 32, 64, True, X32_BIT, ())
    I386 = ("i386", 0x40000003, 32, 32, True, 0, ("i386", "i486", "i586", "i686"))
    AARCH64 = ("aarch64", 0xC00000B7, 64, 64, True, 0, ("aarch64",))
    ARM = ("arm", 0x40000028, 32, 32, True, 0, ("armv6l", "armv7l", "armv8l"))
    RISCV64 = ("riscv64", 0xC00000F3, 64, 64, True, 0, ("riscv64",))
    PPC64LE = ("ppc64le", 0xC0000015, 64, 64, True, 0, ("ppc64le",))
    S390X = ("s390x", 0x80000016, 64, 64, False, 0, ("s390x",))
    LOONGARCH64 = ("loongarch64", 0xC0000102, 64, 64, True, 0, ("loongarch64",))

    def __init__(
        self,
        table: str,
        audit_value: int,
        pointer_bits: int,
        register_bits: int,
        little_endian: bool,  # noqa: FBT001
        nr_bit: int,
        machines: tuple[str, ...],
    ) -> None:
        """Lay a row out as attributes, which cost less to read than its places in ``.value``."""
        self.table: Final = table
        self.audit_value: Final = audit_value
        self.pointer_bits: Final = pointer_bits
        self.register_bits: Final = register_bits
        self.little_endian: Final = little_endian
        self.nr_bit: Final = nr_bit
        self.machines: Final = machines

    # Each member exists once; Enum's own hash is a Python function, and caches ask for it at every call.
    __hash__ = object.__hash__

    @staticmethod
    def native() -> Arch:
        """
        Return the machine's own ABI.

        Raises:
            KernelFeatureError: the tables do not know this machine.
        """
        machine = os.uname().machine
        for arch in Arch:
            if machine in arch.machines:
                return arch
        known = ", ".join(arch.machines[0] for arch in Arch if arch.machines)
        feature, hint = f"machine {machine}", f"its system calls are not in the tables, which have {known}"
        raise KernelFeatureError(feature, hint)

    def family(self) -> frozenset[Arch]:
        """Return the ABIs that one kernel may run side by side with this one, and this one."""
        return next(family for family in _FAMILIES if self in family)

    @staticmethod
    def of_call(audit_value: int, nr: int) -> Arch | None:
        """
        Return the ABI of a call from the two fields of ``struct seccomp_data`` that tell it.

        None for an arch the tables do not know.  *nr* may be the signed or the unsigned
        reading of the field; -1 is no call and belongs to the plain ABI.
        """
        arch = _BY_AUDIT_VALUE.get(audit_value)
        if arch is Arch.X86_64 and nr & X32_BIT and nr & NO_CALL != NO_CALL:
            return Arch.X32
        return arch


_BY_AUDIT_VALUE: Final = {arch.audit_value: arch for arch in Arch if not arch.nr_bit}


_FAMILIES: Final = (
    frozenset({Arch.X86_64, Arch.X32, Arch.I386}),
    frozenset({Arch.AARCH64, Arch.ARM}),
    frozenset({Arch.RISCV64}),
    frozenset({Arch.PPC64LE}),
    frozenset({Arch.S390X}),
    frozenset({Arch.LOONGARCH64}),
)
