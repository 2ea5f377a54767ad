"""Command: report all that is wrong with the data of a config."""

import contextlib
import json
import sys
from collections.abc import Sequence

from mmengine.registry import init_default_scope
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from sssd.checks.data import examine
from sssd.checks.decode import decode_all
from sssd.checks.findings import LEVELS, Finding, Findings, number_of, shown
from sssd.cli._config import config_of, merge_options
from sssd.cli._parser import parse
from sssd.errors import UserError

#: Exit status where there is an error.
UNSOUND = 1
STYLES = dict(error='bold red', warning='yellow', note='cyan')


def main(argv: Sequence[str] | None = None) -> int:
    """Examine and report; returns the exit status."""
    args = parse('doctor', argv)
    for name in ('workers', 'timeout'):
        value = getattr(args, name)
        if value is not None and value <= 0:
            raise UserError(f'--{name} is {value:g}, but must be above 0.')
    with contextlib.redirect_stdout(sys.stderr):  # of all that is not the report
        cfg = config_of(args.config)
        merge_options(cfg, args.cfg_options, args.config)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        run = examine(cfg, parts_of(cfg), thorough=True)
        if not run.findings.lines and not run.findings.found:
            raise UserError(
                f'{args.config} has no train_dataloader, val_dataloader or test_dataloader: name another one.'
            )
        if args.decode:
            decode_all(run, args.workers, args.timeout)
    if args.json:
        print(json.dumps(dict(config=args.config, **run.findings.as_dict()), indent=1))
    else:
        show(Console(), args.config, run.findings)
    return UNSOUND if run.findings.of('error') else 0


def parts_of(cfg) -> list[str]:
    """The dataloaders to look at: not that of the test where it is that of the validation."""
    same = cfg.get('test_dataloader') == cfg.get('val_dataloader') and cfg.get('test_evaluator') == cfg.get(
        'val_evaluator'
    )
    return ['train', 'val'] if same else ['train', 'val', 'test']


def show(console: Console, config: str, findings: Findings) -> None:
    """Print the report: the data, errors first, and how many there are of each."""
    console.print(Text(f'{config}', 'bold'), soft_wrap=True)
    for line in findings.lines:
        console.print(Text(f'  {shown(line)}'), soft_wrap=True)
    for level in LEVELS:
        found = findings.of(level)
        if found:
            console.print()
            console.print(Text(number_of(len(found), level), STYLES[level]))
        for finding in found:
            if console.is_terminal:
                console.print(Padding(told(finding), (0, 0, 0, 2)))
            else:
                console.print(Text('  ') + told(finding), soft_wrap=True)
    counts = ', '.join(number_of(len(findings.of(level)), level) for level in LEVELS)
    verdict = 'mend the errors before training' if findings.of('error') else 'nothing stands against training'
    console.print()
    console.print(Text(f'{counts}: {verdict}', 'bold'))


def told(finding: Finding) -> Text:
    """A finding as a line."""
    return Text.assemble((f'{finding.kind}: ', STYLES[finding.level]), shown(finding.text))
