#!/usr/bin/env python3
"""Make the toy data set: the same as ``sssd toy``."""

import sys

from sssd.cli.toy import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
