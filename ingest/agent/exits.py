"""What the commands end with."""

from enum import IntEnum


class Exit(IntEnum):
    """With several slides the largest counts, except that an interruption is one.

    DONE: every slide is on the platform, nothing is wrong. REFUSED: a slide was refused, is not whole or cannot be
    read; a person has to do something. USAGE: the command or the configuration is wrong. UNREACHABLE: the server could
    not be reached, or could not take the slide. KEY_REFUSED: the key is not accepted. INTERRUPTED: by Ctrl-C.
    """

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    KEY_REFUSED = 4
    INTERRUPTED = 130
