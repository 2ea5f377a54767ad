#!/usr/bin/env python3
"""Draw training curves: the same as ``sssd curves``."""

import sys

from sssd.cli.curves import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
