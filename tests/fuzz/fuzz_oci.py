"""OCI and Docker profiles: any JSON, or nearly, to a policy that can be decided, written and read again."""

from __future__ import annotations

from monitor.abi.arch import Arch
from monitor.policy.formats import docker, oci
from tests.fuzz.frame import Fuzzer

ARGS = (0, 1, (1 << 64) - 1, 1 << 31, 2, 0)


def parse(data: bytes) -> None:
    loaded = docker.load(data, machine=Arch.X86_64)
    for nr in (0, 41, 56, 9999):
        loaded.policy.decide(Arch.X86_64, nr, ARGS)
    again = oci.load(oci.dump(loaded.policy, machine=Arch.X86_64).text.encode(), machine=Arch.X86_64)
    assert again.policy.default == loaded.policy.default


FUZZER = Fuzzer(
    parse,
    seeds=(
        (b'{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X32"],'
        b'"flags":["SECCOMP_FILTER_FLAG_LOG"],"listenerPath":"/run/a","listenerMetadata":"m","syscalls":[{"names":'
        b'["read","socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":40,"valueTwo":0,"op":"SCMP_CMP_NE"}]}]}'),
        (b'{"defaultAction":"SCMP_ACT_KILL","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":'
        b'["SCMP_ARCH_X86"]}],"syscalls":[{"name":"clone","action":"SCMP_ACT_ERRNO","errno":"ENOSYS","args":[{"index":0,'
        b'"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}],"comment":"x","includes":{"caps":["CAP_CHOWN"],'
        b'"minKernel":"4.8"},"excludes":{"arches":["s390"]}}]}'),
        b'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":null}',
    ),
    words=(
        b'"defaultAction":', b'"SCMP_ACT_NOTIFY"', b'"SCMP_ACT_TRACE"', b'"SCMP_CMP_GT"', b'"index":5,', b'"args":[{}]',
        b"null", b"true", b"-1", b"1e9", b"18446744073709551615", b"18446744073709551616", b"NaN", b"{}", b"[]",
        b"[" * 3000, b"9" * 5000, b"\xff", b"\0", b'"\\ud800"', b'"includes":', b'"minKernel":"0.0"',
        b'"names":["",""]',
    ),
)  # fmt: skip
