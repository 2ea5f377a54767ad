"""Another optimizer where a run goes on: refused if it is of another kind, and its other values are told."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.optim import SGD, Adam, Adamax, AdamW, RAdam

from sssd.checkpoints.optimizers import OptimizerHook, refuse_other_kind, value_differences
from sssd.errors import UserError


def parameters(number=3):
    return [torch.nn.Parameter(torch.zeros(2)) for _ in range(number)]


def saved(optimizer):
    """Its groups of parameters as a checkpoint has them."""
    return optimizer.state_dict()['param_groups']


@pytest.mark.parametrize(
    'old, new, said',
    [
        (SGD, AdamW, r'AdamW, is not .* lacks amsgrad, betas, eps and has dampening, momentum, nesterov: take that'),
        (AdamW, SGD, 'SGD, is not the kind .* which lacks dampening, momentum, nesterov and has amsgrad, betas, eps'),
        (Adam, Adamax, 'which has amsgrad: take that one, or to train .* load_from=FILE'),
    ],
)
def test_another_kind_is_refused(old, new, said):
    groups = saved(old(parameters(), lr=0.1))
    with pytest.raises(UserError, match=said):
        refuse_other_kind(groups, new(parameters(), lr=0.1))


@pytest.mark.parametrize('several', [False, True])
def test_kinds_whose_groups_look_alike_are_told_by_their_names(several):
    """Which are in the checkpoint."""

    def run(kind):
        wrapped = OptimWrapper(kind(parameters(), lr=0.1, betas=(0.9, 0.99)))
        return SimpleNamespace(
            optim_wrapper=OptimWrapperDict(first=OptimWrapper(SGD(parameters(), lr=0.1)), second=wrapped)
            if several
            else wrapped,
            param_schedulers=[],
            _resume=True,
        )

    old = run(RAdam)
    checkpoint = dict(optimizer=old.optim_wrapper.state_dict())
    hook = OptimizerHook()
    hook.before_save_checkpoint(old, checkpoint)
    hook.after_load_checkpoint(run(RAdam), checkpoint)
    with pytest.raises(
        UserError, match='Adam, is not the kind that the checkpoint was trained with, which is RAdam: take'
    ):
        hook.after_load_checkpoint(run(Adam), checkpoint)


def test_parameters_in_other_groups_are_refused():
    three = parameters()
    groups = saved(SGD([dict(params=three[:1]), dict(params=three[1:])], lr=0.1))
    for other in (three, [dict(params=three[:2]), dict(params=three[2:])]):
        with pytest.raises(UserError, match=r'in other groups \(optim_wrapper.paramwise_cfg\)'):
            refuse_other_kind(groups, SGD(other, lr=0.1))


def test_the_same_kind_goes_on():
    """Whatever schedulers keep in its groups, and of whatever version of PyTorch."""
    for kind in (SGD, Adam, AdamW):
        group = saved(kind(parameters(), lr=0.1))[0]
        old = {name: value for name, value in group.items() if name not in ('decoupled_weight_decay', 'fused')}
        refuse_other_kind([dict(old, initial_lr=0.1, max_lr=1.0)], kind(parameters(), lr=0.1))
    refuse_other_kind([dict(group, momentum=0.9, initial_momentum=0.9)], AdamW(parameters()))


def test_values_are_told_but_those_of_a_schedule():
    old, new = saved(SGD(parameters(), lr=0.1, momentum=0.9)), SGD(parameters(), lr=0.2, weight_decay=0.5).param_groups
    assert value_differences(old, new, {'lr'}) == ['momentum: 0.9 -> 0', 'weight_decay: 0 -> 0.5']
    assert value_differences(old, new, {'lr', 'momentum'}) == ['weight_decay: 0 -> 0.5']
    old, new = saved(Adam(parameters(), betas=(0.9, 0.99))), AdamW(parameters(), betas=[0.8, 0.99]).param_groups
    told = value_differences(old, new, set())
    assert told == [
        'betas: (0.9, 0.99) -> (0.8, 0.99)',
        'decoupled_weight_decay: False -> True',
        'weight_decay: 0 -> 0.01',
    ]
    assert not any('betas' in text for text in value_differences(old, new, {'momentum'}))
    assert value_differences(old, saved(Adam(parameters(), betas=[0.9, 0.99])), set()) == []
