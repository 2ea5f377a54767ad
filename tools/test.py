#!/usr/bin/env python3
"""Evaluate a checkpoint: the same as ``sssd test``."""

import sys

from sssd.cli.test import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
