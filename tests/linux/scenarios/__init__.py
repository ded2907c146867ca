# SPDX-License-Identifier: BSD-2-Clause
"""Scenarios of the test bed, a module a subject. Each is a function of the bed: it returns (a note for the
reader, or "skip REASON"), or raises Failed."""


def suite():
    """A module's list of scenarios, and the decorator that adds to it: scenario(text, limit in s)."""
    found = []

    def scenario(text, limit=60):
        def add(function):
            found.append((text, limit, function))
            return function
        return add

    return found, scenario
