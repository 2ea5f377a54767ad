"""Several processes, with or without GPUs.

MMEngine's own start of a process group selects a CUDA device first, and its
Runner hands the model wrapper a device id; both fail on a machine that has no
GPU.  Here the group is started with gloo before the Runner is built, and the
wrapper is told that there is no device.
"""

import gc
import os
import re
import subprocess
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from mmengine.config import Config

from sssd.errors import LocalError, UserError

#: How several processes are started, for those who have the checkout's scripts and for those who have a wheel.
START = 'start with tools/dist_train.sh or tools/dist_test.sh, or with `torchrun --nproc-per-node N -m sssd train ...`'
NEEDED = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT')

#: What torchrun's variables are called by Slurm.
SLURM = dict(RANK='SLURM_PROCID', WORLD_SIZE='SLURM_NTASKS', LOCAL_RANK='SLURM_LOCALID')


@contextmanager
def process_group(cfg: Config, launcher: str):
    """Have the processes of ``launcher`` ready for a Runner; end their group afterwards.

    With GPUs, or with a single process, the start is MMEngine's.  The Runner should be a local
    variable of a function called inside: its wrapped model holds the group, and gloo's threads
    with it, which abort the process where the interpreter ends before them
    (https://github.com/pytorch/pytorch/pull/179291).

    Args:
        cfg: The config, changed in place when there is no GPU.
        launcher: The ``--launcher`` argument.
    """
    if launcher == 'none':
        _refuse_torchrun()
    elif launcher == 'pytorch':
        _require_torchrun()
    elif launcher == 'slurm':
        _take_from_slurm()
    if launcher != 'none' and not torch.cuda.is_available():
        use_cpu(cfg, launcher)
        timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        dist.init_process_group('gloo', timeout=None if timeout is None else timedelta(seconds=timeout))
    try:
        with hangs_explained():
            yield
    finally:
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()
            gc.collect()


@contextmanager
def hangs_explained():
    """Turn the end of a process group's patience into a sentence.

    Raises:
        LocalError: On each process that has waited for one that hangs.
    """
    try:
        yield
    except RuntimeError as error:
        if not re.search(r'timed? ?out', str(error), re.IGNORECASE) or not dist.is_initialized():
            raise
        raise LocalError(
            f'process {dist.get_rank()} has waited for another one for as long as env_cfg.dist_cfg.timeout says, in '
            'seconds: one hangs, or is far slower (look at its log); go on from the newest checkpoint '
            'with --resume.'
        ) from error


def use_cpu(cfg: Config, launcher: str) -> None:
    """Change a config so that its Runner works on CPU processes.

    Raises:
        UserError: For a launcher that only works with GPUs.
    """
    if launcher not in ('pytorch', 'slurm'):
        raise UserError(
            f'--launcher {launcher} needs GPUs and none is visible: on CPUs {START}, or with the slurm_*.sh scripts.'
        )
    cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
    wrapper = cfg.get('model_wrapper_cfg') or dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )
    cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)


def _refuse_torchrun():
    """Refuse several processes that know nothing of each other and write into one folder."""
    if 'TORCHELASTIC_RUN_ID' in os.environ and int(os.environ.get('WORLD_SIZE', '1')) > 1:
        raise UserError(
            'torchrun has started several processes, but without --launcher pytorch each would run alone: '
            'add it to the arguments.'
        )


def _require_torchrun():
    """Refuse a start by hand, and more local processes than GPUs."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        raise UserError(
            f'--launcher pytorch needs the environment variables of torchrun ({", ".join(missing)} missing): {START}.'
        )
    local_rank, gpus = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
    if torch.cuda.is_available() and local_rank >= gpus:
        raise UserError(
            f'process {local_rank} of this machine has no GPU of its own, as only {gpus} are visible: '
            f'start at most {gpus} processes, or none on GPUs with CUDA_VISIBLE_DEVICES=-1.'
        )


def _take_from_slurm():
    """Give the variables of torchrun the values that Slurm's have; MMEngine does the same, but later."""
    missing = [name for name in SLURM.values() if name not in os.environ]
    if missing:
        raise UserError(
            f'--launcher slurm needs the environment variables of srun ({", ".join(missing)} missing): '
            'start with tools/slurm_train.sh or tools/slurm_test.sh, or `srun ... python -m sssd train`.'
        )
    os.environ.update({name: os.environ[theirs] for name, theirs in SLURM.items()})
    if 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_host(os.environ.get('SLURM_NODELIST', ''))
    os.environ.setdefault('MASTER_PORT', '29500')


def _first_host(nodes):
    """The first host of Slurm's list of nodes."""
    try:
        hosts = subprocess.run(['scontrol', 'show', 'hostnames', nodes], capture_output=True, text=True, check=True)
        return hosts.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise UserError(
            f'--launcher slurm cannot tell the first host of SLURM_NODELIST={nodes!r} with scontrol: set '
            'MASTER_ADDR to the address of the first node.'
        ) from error
