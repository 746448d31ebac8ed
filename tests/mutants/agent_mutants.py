"""
Faults in how an agent chooses: names that are believed, sources that say more than they may, settings that open.

What it is not: their planting (``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

CHOOSING: Final = ("tests/agent/test_choosing.py",)
METADATA: Final = ("tests/agent/test_metadata.py",)
CONFIGURATION: Final = ("tests/agent/test_configuration.py",)
NOTIFYING: Final = ("tests/agent/test_notifying.py",)
PROFILE: Final = ("tests/policy/test_notified.py",)

AGENT: Final = "tests/agent/test_agent.py"

AGENT_MUTANTS: Final = (
    Mutant(
        "a container that calls all the time has the loop for itself",
        "monitor/notify/others.py",
        "        return answered % TURN == 0 and any(",
        "        return answered % 1000 == 0 and any(",
        (f"{AGENT}::test_who_calls_without_a_pause_leaves_others_their_turns",),
    ),
    Mutant(
        "a handler that calls sys.exit() ends the agent",
        "monitor/agent/agent.py",
        "        except* SystemExit as group:\n",
        "        except* ZeroDivisionError as group:\n",
        (f"{AGENT}::test_a_handler_that_ends_its_program_ends_one_containers_supervision",),
    ),
    Mutant(
        "an annotation picks any policy",
        "monitor/agent/choosing.py",
        "where, self.annotation_picks.__contains__)",
        "where, self.policies.__contains__)",
        CHOOSING,
    ),
    Mutant(
        "the metadata's list is not looked at",
        "monitor/agent/choosing.py",
        "lambda one: picks is None or one in picks)",
        "lambda one: True)",
        CHOOSING,
    ),
    Mutant(
        "who names no policy is given one that somebody else may have",
        "monitor/agent/choosing.py",
        "        if name not in self.policies:\n            return self._default(",
        "        if name not in self.policies:\n"
        "            return self._named(next(reversed(self.policies)), where) or self._default(",
        CHOOSING,
    ),
    Mutant(
        "metadata that cannot be read says nothing",
        "monitor/agent/choosing.py",
        '            return self._default(f"listenerMetadata cannot be read: {error}")\n',
        "            return None\n",
        CHOOSING,
    ),
    Mutant(
        "an empty name is none",
        "monitor/agent/choosing.py",
        "return None if name is None else self._picked(name, where, self",
        "return None if not name else self._picked(name, where, self",
        CHOOSING,
    ),
    Mutant(
        "without a default nothing is refused",
        "monitor/agent/choosing.py",
        'Policy("none", action.Deny(FAILURE.errno))',
        'Policy("none", action.Allow())',
        CHOOSING,
    ),
    Mutant(
        "the sources are asked in an order of our own",
        "monitor/agent/choosing.py",
        "        for source in self.sources:\n",
        "        for source in sorted(self.sources, key=SOURCES.index):\n",
        CHOOSING,
    ),
    Mutant(
        "one of the names is enough for a rule",
        "monitor/agent/choosing.py",
        "all(said[key] and fnmatchcase(said[key], pattern) for key, pattern in self.names.items())",
        "any(said[key] and fnmatchcase(said[key], pattern) for key, pattern in self.names.items())",
        CHOOSING,
    ),
    Mutant(
        "a name that is not known fits",
        "monitor/agent/choosing.py",
        "all(said[key] and fnmatchcase(",
        "all(fnmatchcase(",
        CHOOSING,
    ),
    Mutant(
        "a path that leads up is compared as it is written",
        "monitor/agent/choosing.py",
        """and ".." not in said.split("/") and""",
        "and",
        CHOOSING,
    ),
    Mutant(
        "a path with a NUL is a path",
        "monitor/agent/choosing.py",
        """ and "\\0" not in said\n""",
        "\n",
        CHOOSING,
    ),
    Mutant(
        "a cgroup has to be text",
        "monitor/agent/choosing.py",
        "one.covers(os.fsencode(where[key]))",
        "one.covers(where[key].encode())",
        CHOOSING,
    ),
    Mutant(
        "a user namespace that is not known is none",
        "monitor/agent/choosing.py",
        "self.user_namespace in (None, facts.in_user_namespace)",
        "self.user_namespace in (None, bool(facts.in_user_namespace))",
        CHOOSING,
    ),
    Mutant(
        "a hostile name is shown as it is",
        "monitor/agent/choosing.py",
        '    return ascii(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")\n',
        '    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}..."\n',
        CHOOSING,
    ),
    Mutant(
        "a name is shown however long it is",
        "monitor/agent/choosing.py",
        '    return ascii(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}...")\n',
        "    return ascii(name)\n",
        CHOOSING,
    ),
    Mutant(
        "the last of two keys counts",
        "monitor/agent/metadata.py",
        "    if key in found:\n",
        "    if key in found and found[key] == value:\n",
        METADATA,
    ),
    Mutant(
        "metadata may be as long as it likes",
        "monitor/agent/metadata.py",
        "    if len(metadata) > _LONGEST:\n",
        "    if len(metadata) > 1 << 30:\n",
        METADATA,
    ),
    Mutant(
        "what is nested too deeply ends the agent",
        "monitor/agent/metadata.py",
        "    except RecursionError:\n",
        "    except MemoryError:\n",
        METADATA,
    ),
    Mutant(
        "a key in a key's value is a key",
        "monitor/agent/metadata.py",
        'key, is_given, value = word.partition("=")',
        'key, is_given, value = word.rpartition("=")',
        METADATA,
    ),
    Mutant(
        "the first annotation counts, whoever wrote it",
        "monitor/agent/metadata.py",
        'return said.pop() if len(said) == 1 else ""',
        'return next((annotations[key] for key in keys if key in annotations), "")',
        METADATA,
    ),
    Mutant(
        "continue is for any policy",
        "monitor/agent/configuration.py",
        "            if observe:\n",
        "            if True:\n",
        CONFIGURATION,
    ),
    Mutant(
        "a rule about every container is one",
        "monitor/agent/configuration.py",
        "        if not names and not paths and shape.user_namespace is None:\n",
        "        if False:\n",
        CONFIGURATION,
    ),
    Mutant(
        "what is wrong is read as far as it goes",
        "monitor/agent/configuration.py",
        "    if errors:\n        raise ConfigurationError(errors)\n",
        "    if len(errors) > 99:\n        raise ConfigurationError(errors)\n",
        CONFIGURATION,
    ),
    Mutant(
        "a file may be called anything",
        "monitor/agent/configuration.py",
        "            if NAME.fullmatch(name) is None:\n",
        "            if NAME.search(name) is None:\n",
        CONFIGURATION,
    ),
    Mutant(
        "the manager's socket is left for children",
        "monitor/agent/notifying.py",
        'environment.pop("NOTIFY_SOCKET", "")',
        'environment.get("NOTIFY_SOCKET", "")',
        NOTIFYING,
    ),
    Mutant(
        "a manager that does not read holds the agent up",
        "monitor/agent/notifying.py",
        "sending.setblocking(False)",
        "sending.setblocking(True)",
        NOTIFYING,
    ),
    Mutant(
        "another's watchdog is ours",
        "monitor/agent/notifying.py",
        ' and pid in {"", str(os.getpid())}',
        "",
        NOTIFYING,
    ),
    Mutant(
        "what is to be logged runs unseen",
        "monitor/policy/formats/notified.py",
        "        case Ask() | Handle() | Log():\n            return Ask()\n",
        "        case Ask() | Handle():\n            return Ask()\n        case Log():\n            return Allow()\n",
        PROFILE,
    ),
    Mutant(
        "a call that runtimes do not notify is let run",
        "monitor/policy/formats/notified.py",
        "        case Ask(errno):\n            return Deny(errno)\n",
        "        case Ask():\n            return Allow()\n",
        PROFILE,
    ),
    Mutant(
        "what does the same stays open",
        "monitor/policy/formats/notified.py",
        "    found = {sibling for name in ruled for sibling in SIBLINGS[name]}\n",
        "    found = set[str]()\n",
        PROFILE,
    ),
    Mutant(
        "rings stay open",
        "monitor/policy/formats/notified.py",
        "        found.update(RINGS)\n",
        "        pass\n",
        PROFILE,
    ),
)
