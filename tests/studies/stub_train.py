"""Stands for `sssd train`: takes its arguments and leaves what it leaves.

It "trains" train_cfg.max_iters iterations, one checkpoint and one evaluation
each; `stub.fail_at=N` fails in iteration N (after the checkpoint of N - 1),
unless it resumes.  AP grows with the iteration, the seed and `stub.bonus`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import torch
from mmengine.config import DictAction

# The package without what its __init__ imports (mmdet, seconds of it): configs alone are read here.
sys.modules['sssd'] = types.ModuleType('sssd')
sys.modules['sssd'].__path__ = [str(Path(__file__).parents[2] / 'sssd')]

from sssd.places import read_config  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('--work-dir', type=Path)
parser.add_argument('--resume', type=Path)
parser.add_argument('--launcher')
parser.add_argument('--logger')
parser.add_argument('--cfg-options', nargs='+', action=DictAction)
args = parser.parse_args()

if os.environ.get('RANK', '0') != '0':
    raise SystemExit

config = read_config(args.config)
config.merge_from_dict(args.cfg_options)
first = int(args.resume.stem.split('_')[1]) if args.resume else 0
if config.get('load_from') and not Path(config.load_from).is_file():
    raise SystemExit(f'no such checkpoint: {config.load_from}')
starts = len(list(args.work_dir.glob('start*')))
log = args.work_dir / f'start{starts}' / 'vis_data' / 'scalars.json'
log.parent.mkdir(parents=True)
(args.work_dir / 'arguments.txt').open('a').write(
    f'resume={args.resume and args.resume.name} load_from={config.get("load_from")}\n'
)
(args.work_dir / 'place.json').write_text(
    json.dumps({key: os.environ.get(key) for key in ('CUDA_VISIBLE_DEVICES', 'OMP_NUM_THREADS', 'WORLD_SIZE')})
)
if config.stub.get('sleep'):
    worker = subprocess.Popen(['sleep', str(config.stub.sleep)])
    (args.work_dir / 'pids').write_text(f'{os.getpid()} {worker.pid}')
    time.sleep(config.stub.sleep)
for step in range(first + 1, config.train_cfg.max_iters + 1):
    if step == config.stub.fail_at and not args.resume:
        raise RuntimeError('the stub fails as asked')
    ap = (step + config.randomness.seed + config.stub.bonus) / 100
    checkpoint = args.work_dir / f'iter_{step}.pth'
    torch.save(
        dict(meta=dict(iter=step, epoch=0), message_hub={}, optimizer={}, state_dict=dict(weight=torch.zeros(1))),
        checkpoint,
    )
    with log.open('a') as handle:
        handle.write(json.dumps({'loss': 0.5, 'lr': 0.1, 'time': 0.01, 'iter': step, 'step': step}) + '\n')
        if config.stub.evaluates:
            handle.write(
                json.dumps(
                    {
                        'teacher/coco/bbox_mAP': ap + 0.01,
                        'teacher/coco/bbox_mAP_50': ap + 0.2,
                        'student/coco/bbox_mAP': ap,
                        'student/coco/bbox_mAP_s': -1.0,
                        'step': 0,
                    }
                )
                + '\n'
            )
