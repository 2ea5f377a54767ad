"""The EMA teacher of Eq. 4 over the weights of a backbone: time beside copies of the same bytes.

``memcpy`` moves as many bytes as Eq. 4, which reads two arrays and writes one where a copy reads one and writes one:
its buffers are half as large again as the weights. ``copy`` is one of the weights' size. ``loop`` is Eq. 4 tensor by
tensor over two state_dicts, ``teacher`` what EMATeacherHook does, ``swa`` PyTorch's AveragedModel with its averaging
of many tensors at once.

    python benchmarks/ema.py [--device cuda]
"""

import copy
import sys
from collections.abc import Sequence

import _timing as timing
import torch
from mmdet.models.backbones import ResNet
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sssd.errors import run_cli
from sssd.hooks.ema_teacher import average

ALPHA = 0.99


def pair(depth: int, device: str) -> tuple[nn.Module, nn.Module]:
    """Student and teacher of a ResNet, the teacher's weights moved."""
    student = ResNet(depth).to(device)
    teacher = copy.deepcopy(student).requires_grad_(False)
    with torch.no_grad():
        for value in teacher.parameters():
            value.add_(0.01 * torch.randn_like(value))
    return student, teacher


@torch.no_grad()
def loop(teacher: nn.Module, student: nn.Module) -> None:
    """Eq. 4 tensor by tensor."""
    state = student.state_dict()
    for name, value in teacher.state_dict().items():
        if value.is_floating_point():
            value.lerp_(state[name], 1 - ALPHA)
        else:
            value.copy_(state[name])


def case(depth: int, device: str) -> timing.Case:
    """All ways for one ResNet; each has a teacher of its own, equal at the start."""
    student, teacher = pair(depth, device)
    teachers = {name: copy.deepcopy(teacher) for name in ('loop', 'teacher')}
    swa = AveragedModel(teacher, multi_avg_fn=get_ema_multi_avg_fn(ALPHA), use_buffers=True)
    swa.n_averaged += 1  # the first update of it copies
    size = sum(value.numel() * value.element_size() for value in student.state_dict().values())
    source, target = (torch.randn(3 * size // 8, device=device) for _ in range(2))
    weights = size // 4

    def state(model: nn.Module) -> dict[str, Tensor]:
        return {name: value for name, value in model.state_dict().items() if value.is_floating_point()}

    def by_memcpy():
        target.copy_(source)
        return {}

    def by_copy():
        target[:weights].copy_(source[:weights])
        return {}

    def by_loop():
        loop(teachers['loop'], student)
        return {}

    def by_teacher():
        average(teachers['teacher'], student, ALPHA)
        return {}

    def by_swa():
        swa.update_parameters(student)
        return {}

    by_loop(), by_teacher(), by_swa()
    timing.agreed(
        timing.Case(
            f'EMA of ResNet-{depth}',
            dict(
                loop=lambda: state(teachers['loop']),
                teacher=lambda: state(teachers['teacher']),
                swa=lambda: state(swa.module),
            ),
            tolerance=1e-6,
        )
    )
    calls = dict(memcpy=by_memcpy, copy=by_copy, loop=by_loop, teacher=by_teacher, swa=by_swa)
    facts = dict(mib=round(size / 2**20, 1), tensors=len(student.state_dict()))
    return timing.Case(f'EMA of ResNet-{depth}', calls, compared=(), facts=facts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    args = timing.parser(__doc__, 'ema').parse_args(argv)
    torch.manual_seed(args.seed)
    depths = (18,) if args.quick else (18, 50, 101)
    timing.write(args, 'ema', [timing.measured(case(depth, args.device), args) for depth in depths], argv)
    return 0


if __name__ == '__main__':
    sys.exit(run_cli(main))
