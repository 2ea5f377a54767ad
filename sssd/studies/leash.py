"""Run a command that gets SIGTERM when the process that starts it is gone, however that ended (on Linux).

``python -I -S leash.py PARENT COMMAND ...``: a program of its own, which becomes the command, as what is to be set has
to be set in the new process, where a parent with threads may not run Python before the command is there.
"""

import os
import signal
import sys

#: ``PR_SET_PDEATHSIG`` of Linux's prctl.
SET_SIGNAL_OF_PARENTS_DEATH = 1


def main() -> None:
    """Become the command."""
    parent, *words = sys.argv[1:]
    try:
        import ctypes

        ctypes.CDLL(None).prctl(SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGTERM, 0, 0, 0)
    except (ImportError, OSError, AttributeError):  # then it outlives its parent, and holds its folder
        pass
    if os.getppid() != int(parent):  # it was gone before
        sys.exit(128 + signal.SIGTERM)
    os.execvp(words[0], words)


if __name__ == '__main__':
    main()
