"""
Handlers without a kernel: make a call, ask the handlers, look at the verdict.

What it is not: a simulation of Linux.  The fakes keep the promises that the real listener and
target make (a contract suite runs on both); what a system call would have done, they do not know.

::

    from monitor.testing import call, decide

    async def test_secrets_are_refused():
        verdict = await decide([no_secrets], call("mkdir", pathname=b"/home/secret"))

        assert verdict == monitor.Deny(errno.EACCES)

``decide`` runs the real dispatch over a ``FakeListener``, so that racy allows, deadlines and
failing handlers come out as they would in earnest.  Everything waits on trio's clock alone: an
autojump clock works here, and must not be used with real processes.
"""

from monitor.testing.calls import Value, call, decide
from monitor.testing.listener import FakeListener, Injected, Response
from monitor.testing.memory import FakeMemory

__all__ = ["FakeListener", "FakeMemory", "Injected", "Response", "Value", "call", "decide"]
