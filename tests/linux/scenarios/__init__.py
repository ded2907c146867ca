# SPDX-License-Identifier: BSD-2-Clause
"""Scenarios of the test bed, a module a subject. Each is a function of the bed: it returns (a note for the
reader, or "skip REASON"), or raises Failed."""


SMP = "guests of several processors often fall over in the emulated machine"
NEW = "not yet seen to pass in a whole run on this emulator"
LONG = "takes minutes in the emulated machine"


def suite():
    """A module's list of scenarios, and the decorator that adds to it: scenario(text, limit in s, why
    `make check` leaves it to `make linux-test`)."""
    found = []

    def scenario(text, limit=60, later=None):
        def add(function):
            found.append((text, limit, later, function))
            return function
        return add

    return found, scenario
