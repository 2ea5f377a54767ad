"""Command: show the detections of some runs on the same images."""

from collections.abc import Sequence
from pathlib import Path

from sssd.checkpoints.files import newest_checkpoint
from sssd.cli._parser import parse
from sssd.cli._report import check_picture
from sssd.cli._subject import check_numbers
from sssd.cli.curves import split_names
from sssd.errors import UserError
from sssd.report.contact_sheet import contact_sheet


def main(argv: Sequence[str] | None = None) -> None:
    """Write the contact sheet of the runs in some work directories."""
    args = parse('contact-sheet', argv)
    check_numbers(args)
    check_picture(Path(args.out))
    models = {name: find_model(Path(path)) for name, path in split_names(args.runs).items()}
    print(
        contact_sheet(
            models, args.out, num_images=args.num_images, seed=args.seed, score_thr=args.score_thr, device=args.device
        )
    )


def find_model(work_dir: Path) -> tuple[Path, Path]:
    """The config that a run left in its work directory, and its checkpoint.

    Raises:
        UserError: If there is none, or no single one.
    """
    configs = sorted(work_dir.glob('*.py'))
    checkpoint = newest_checkpoint(work_dir, say=print)
    if len(configs) != 1 or checkpoint is None:
        raise UserError(
            f'{work_dir} does not hold one config and a checkpoint: name the work directory of a run that was trained'
        )
    return configs[0], checkpoint
