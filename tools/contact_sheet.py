#!/usr/bin/env python3
"""Show detections side by side: the same as ``sssd contact-sheet``."""

import sys

from sssd.cli.contact_sheet import main
from sssd.errors import run_cli

if __name__ == '__main__':
    sys.exit(run_cli(main))
