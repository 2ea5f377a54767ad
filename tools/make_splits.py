#!/usr/bin/env python3
"""Split a COCO data set: the same as ``sssd split``."""

import sys

from sssd.cli.split import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
