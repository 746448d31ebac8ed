"""
Profiles of other programs, to policies and back: what can be said in both is said exactly, the rest is named.

What it is not: our own language (``text``).  A foreign policy is exact: each errno in it was written
by somebody, and none is put in the place of another.

The modules: ``oci`` (the runtime specification), ``docker`` (its superset with conditions on the
host), ``spo`` (a Kubernetes resource), ``systemd`` (unit settings).  Beneath them: ``profile`` reads
the JSON of the first three, ``scmp`` says what libseccomp makes of such rules, ``regions`` asks of any
policy what it says about one call.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Final

from attrs import field, frozen

from monitor.errors import PolicyError
from monitor.origin import NOWHERE, Origin
from monitor.policy.model import Policy

MAX_SIZE: Final = 16 << 20
"""Of a file, in bytes: far more than any profile has."""


class Kind(enum.Enum):
    """What a finding is about."""

    LOST = "lost"
    """The result means something else than the source."""
    UNKNOWN_CALL = "unknown-call"
    """Likewise, since a call is named that no table has."""
    NOTE = "note"
    """It means the same, and there is something worth knowing."""


@frozen
class FormatFinding:
    """Something that one of two formats cannot say, or that its programs read otherwise than its author may think."""

    message: str
    origin: Origin = NOWHERE
    kind: Kind = field(default=Kind.LOST, kw_only=True)

    @property
    def lost(self) -> bool:
        """Whether the result means something else than the source."""
        return self.kind is not Kind.NOTE

    def __str__(self) -> str:
        """Return the place and the message."""
        return f"{self.origin}: {self.message}"


@frozen
class Listener:
    """Whom an OCI profile names as the one to ask: ``listenerPath`` and ``listenerMetadata``."""

    path: str
    metadata: str = ""


@frozen
class Loaded:
    """
    A foreign profile as a policy.

    Attributes:
        policy: what it says.
        findings: what it says that a policy cannot, in the order of the source.
        listener: for its own runtime, whom to ask; whoever supervises here answers himself.
        flags: ``SECCOMP_FILTER_FLAG_*`` with which its own runtime installs the filter.
    """

    policy: Policy
    findings: tuple[FormatFinding, ...] = ()
    listener: Listener | None = None
    flags: tuple[str, ...] = ()


@frozen
class Dumped:
    """
    A policy in a foreign format.

    Attributes:
        text: the file.
        findings: what the policy says that the format cannot; where one of them is ``lost``, *text* is the stricter.
    """

    text: str
    findings: tuple[FormatFinding, ...] = ()


def content(source: Path | str | bytes) -> tuple[str, Origin]:
    """
    Return the text of *source*, a path or the bytes themselves, and what to call it.

    Raises:
        PolicyError: it cannot be read, is no UTF-8, or is longer than ``MAX_SIZE``.
    """
    if isinstance(source, bytes):
        origin, data = NOWHERE, source
    else:
        origin = Origin(str(source))
        try:
            with Path(source).open("rb") as file:
                data = file.read(MAX_SIZE + 1)
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise PolicyError(message, origin) from None
        except ValueError as error:  # a path with a NUL in it
            message = f"is no path: {error}"
            raise PolicyError(message, origin) from None
    if len(data) > MAX_SIZE:
        message = f"longer than {MAX_SIZE} bytes"
        raise PolicyError(message, origin)
    try:
        return data.decode(), origin
    except UnicodeDecodeError as error:
        message = f"no UTF-8 at byte {error.start}"
        raise PolicyError(message, origin) from None
