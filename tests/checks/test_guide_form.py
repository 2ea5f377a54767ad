"""A checkpoint whose guide is of the first form: refused in one sentence by another config, taken with its options."""

from types import SimpleNamespace

import guided
import pytest
import tiny
import torch
from lgd_loops import FIRST_FORM

from sssd.checks.checkpoint import CheckpointGuard
from sssd.errors import UserError


@pytest.mark.parametrize('build', [guided.build, tiny.build_sed])
def test_the_form_of_a_guide_is_told(build):
    old = dict(guide=FIRST_FORM, shared_targets=True)
    first, default = (
        build(tiny.retinanet(), **(options if build is guided.build else dict(guidance=options)))
        for options in (old, {})
    )
    state = first.state_dict()
    guard = CheckpointGuard('run/iter_9.pth')
    with pytest.raises(
        UserError, match='its detector fits and its label side does not.*docs/sssd.md.*extract'
    ) as caught:
        guard.after_load_checkpoint(SimpleNamespace(model=default), dict(state_dict=state))
    assert '\n' not in str(caught.value)
    again = build(tiny.retinanet(), seed=1, **(old if build is guided.build else dict(guidance=old)))
    guard.after_load_checkpoint(SimpleNamespace(model=again), dict(state_dict=state))
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
