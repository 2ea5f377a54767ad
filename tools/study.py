#!/usr/bin/env python3
"""Run a study: the same as ``sssd study``."""

import sys

from sssd.cli.study import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
