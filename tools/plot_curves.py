#!/usr/bin/env python3
"""Draw training curves: `python tools/plot_curves.py NAME=WORK_DIR ...`."""

import sys

from sssd.cli.curves import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
