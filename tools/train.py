#!/usr/bin/env python3
"""Train a detector: the same as ``sssd train``."""

import sys

from sssd.cli.train import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
