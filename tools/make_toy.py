from sssd.cli.toy import main
from sssd.errors import run_cli
raise SystemExit(run_cli(main))
