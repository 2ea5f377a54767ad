"""Would one pass of backbone and neck over labelled and strong images together pay?  Against one pass for each.

two    forward and backward over the labelled images, then over as many strong ones; gradients added up
one    the same images in one batch
step   SED's step on them, of which the saving would be a part (not compared)

    python benchmarks/one_pass.py
"""

import copy
import sys
from collections.abc import Sequence

import _timing as timing
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from step import batch, step
from torch import Tensor

from sssd.errors import run_cli
from sssd.registry import MODELS

CONFIGS = dict(
    retinanet_r18='configs/sed/retinanet_r18_fpn_sed_180k_coco-10p.py',
    retinanet_mobilenetv2='configs/photos/retinanet_aquarium_sed.py',
)


def case(name: str, images: int, size: tuple[int, int], device: str) -> timing.Case:
    """One detector, with as many labelled as strong images."""
    config = Config.fromfile(CONFIGS[name]).model
    config.detector.backbone.init_cfg = None
    sed = MODELS.build(copy.deepcopy(config)).to(device).train()
    sed.lambda_s = sed.lambda_d = 1.0
    inputs, samples = batch(size, device)
    inputs = {branch: value.repeat(images, 1, 1, 1) for branch, value in inputs.items()}
    samples = {branch: copy.deepcopy(value * images) for branch, value in samples.items()}
    trained = {key: value for key, value in sed.student.named_parameters() if value.requires_grad}
    given = [torch.randn_like(level) for level in sed.student.extract_feat(inputs['sup'])]

    def gradients(pictures: Tensor, times: int) -> dict[str, Tensor]:
        """Of the features' product with given maps."""
        feats = sed.student.extract_feat(pictures)
        maps = [level.repeat(times, 1, 1, 1) for level in given]
        found = torch.autograd.grad(feats, list(trained.values()), maps, allow_unused=True)
        return {key: value for key, value in zip(trained, found) if value is not None}

    def two() -> dict[str, Tensor]:
        found = gradients(inputs['sup'], 1)
        for key, value in gradients(inputs['unsup_student'], 1).items():
            found[key].add_(value)
        return found

    return timing.Case(
        f'{name} {images}+{images}',
        dict(
            two=two,
            one=lambda: gradients(torch.cat([inputs['sup'], inputs['unsup_student']]), 2),
            step=lambda: step(sed, lambda: sed.loss(inputs, samples), 'sup_', 0, False),
        ),
        tolerance=1e-4,
        compared=('one',),
        facts=dict(detector=name, images=[images, images], size=list(size)),
    )


def row_of(made: timing.Case, args) -> dict:
    """A case, measured, with what one pass would save of a step."""
    row = timing.measured(made, args)
    ratios = {way: call['cpu']['over_baseline'] for way, call in row['calls'].items()}
    row['saved_of_step'] = round((1 - ratios['one']) / ratios['step'], 4)
    print(f'{made.name}: one pass would save {100 * row["saved_of_step"]:.1f} % of a step', flush=True)
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write."""
    args = timing.parser(__doc__, 'one_pass').parse_args(argv)
    init_default_scope('mmdet')
    MMLogger.get_instance('one_pass', log_level='ERROR')  # or every weight that is initialised is listed
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    size, numbers = ((64, 128), (1,)) if args.quick else ((256, 320), (1, 4))
    rows = [row_of(case(name, number, size, args.device), args) for name in CONFIGS for number in numbers]
    timing.write(args, 'one_pass', rows, argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
