# SPDX-License-Identifier: GPL-2.0-or-later
"""The exceptions that cosim raises for what a user can mend."""


class ConfigurationError(Exception):
    """What a user asked for cannot be run; the message holds every problem found, one a line.

    It is raised on all ranks together, before NEST starts, and shown once without a traceback.
    """
