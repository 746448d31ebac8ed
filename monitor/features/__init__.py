"""
What this kernel and this user allow: each feature really tried in a child, never guessed.

What it is not: imported by ``import monitor``; it is for ``seccomp-monitor doctor``, and for whoever
wants to know before he begins.
"""

from monitor.features.abilities import ABILITIES
from monitor.features.catalogue import Group
from monitor.features.probing import Feature, State, capabilities, lacking, probe, probe_all, require

__all__ = ["ABILITIES", "Feature", "Group", "State", "capabilities", "lacking", "probe", "probe_all", "require"]
