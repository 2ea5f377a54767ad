from sssd.cli.study import main
from sssd.errors import run_cli
raise SystemExit(run_cli(main))
