"""What each command takes, one light module a command: ``HELP``, ``DESCRIPTION`` and ``add_arguments``.

``sssd.cli.CMD`` works; ``sssd.cli.arguments.CMD`` is read before, for the parser of all commands, and imports the
standard library and other light modules alone. A module whose command needs neither PyTorch nor OpenMMLab's packages
says ``NEEDS_STACK = False``.
"""
