"""
Planted faults in what names the code that a call was made by.

What it is not: the machinery (``planting``, ``test_mutants``).
"""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

PLACES_MUTANTS: Final = (
    Mutant(
        "a file that has taken the place of the mapped one is read for names",
        "monitor/cli/mapped.py",
        "    if _is(fd, mapping):\n",
        "    if fd:\n",
        ("tests/cli/test_symbols.py::test_what_has_taken_the_files_place_is_not_read",),
    ),
    Mutant(
        "the name of a mapped file is followed where it leads now",
        "monitor/cli/mapped.py",
        "name), os.O_NOFOLLOW),",
        "name), 0),",
        ("tests/cli/test_symbols.py::test_what_has_taken_the_files_place_is_not_read",),
    ),
    Mutant(
        "a device is opened because a file of that name was mapped",
        "monitor/cli/mapped.py",
        "                if stat.S_ISREG(os.fstat(found).st_mode):\n",
        "                if found:\n",
        ("tests/cli/test_symbols.py::test_a_name_that_leads_to_no_file_is_not_opened",),
    ),
    Mutant(
        "whatever device a map of our own says is that of the mapped file",
        "monitor/cli/mapped.py",
        "    return any((one.device, one.inode) == (mapping.device, mapping.inode) for one in made)\n",
        "    return any(one.inode for one in made)\n",
        ("tests/cli/test_symbols.py::test_a_file_system_whose_device_stat_does_not_say_is_known_by_its_maps",),
    ),
    Mutant(
        "who reads a damaged file is waited for as long as it takes",
        "monitor/cli/symbolizer.py",
        "[], [], max(0.0, end - monotonic()))[0]:",
        "[], [], 300)[0]:",
        ("tests/cli/test_symbols.py::test_whatever_the_reader_dies_of_costs_one_file_its_names",),
    ),
    Mutant(
        "who reads a damaged file has all the memory of the machine",
        "monitor/cli/symbolizer.py",
        "    resource.setrlimit(resource.RLIMIT_AS, (most, most))\n",
        "",
        ("tests/cli/test_symbols.py::test_the_reader_has_no_more_memory_than_it_is_given",),
    ),
    Mutant(
        "a debugger with many threads leaves the reader no memory",
        "monitor/cli/symbolizer.py",
        "    room = _address_space() + MEMORY\n",
        "    room = MEMORY\n",
        ("tests/cli/test_symbols.py::test_the_reader_has_room_however_much_the_debugger_takes",),
    ),
    Mutant(
        "a file that a reader died of is read again and again",
        "monitor/cli/symbolizer.py",
        "            self._bad.add(key)\n",
        "            pass\n",
        ("tests/cli/test_symbols.py::test_whatever_the_reader_dies_of_costs_one_file_its_names",),
    ),
    Mutant(
        "who reads a damaged file has the control socket, on which calls are allowed",
        "monitor/cli/symbolizer.py",
        '    os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # the control socket, and the terminal\n',
        "",
        ("tests/cli/test_symbols.py::test_the_reader_has_none_of_the_debuggers_descriptors_and_ends_with_it",),
    ),
    Mutant(
        "the name of a function talks to the terminal",
        "monitor/cli/places.py",
        '    name = printable(found.symbol.name.decode("utf-8", "surrogateescape"))\n',
        '    name = found.symbol.name.decode("utf-8", "surrogateescape")\n',
        ("tests/cli/test_places.py::test_names_are_escaped",),
    ),
    Mutant(
        "a frame may lie where the last one does, or below it",
        "monitor/cli/places.py",
        "    if base is None or not stack < base + rules.offset < _MOST_ADDRESS:\n",
        "    if base is None:\n",
        ("tests/cli/test_places.py::test_a_frame_that_cannot_be_is_not_followed",),
    ),
    Mutant(
        "a program may have one file after another that readers die of",
        "monitor/cli/symbolizer.py",
        " or len(self._bad) >= MOST_DEATHS:",
        ":",
        ("tests/cli/test_symbols.py::test_after_so_many_files_to_die_of_none_is_read_any_more",),
    ),
    Mutant(
        "a program that leaves no room for processes ends who debugs it",
        "monitor/cli/symbolizer.py",
        "        except OSError:  # no process can be made, or no descriptor: next time perhaps\n",
        "        except ZeroDivisionError:\n",
        ("tests/cli/test_symbols.py::test_where_no_process_can_be_made_there_are_no_names_and_later_there_are",),
    ),
)
