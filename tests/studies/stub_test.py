"""Stands for `sssd test`: AP is 10, 20 with --tta, plus a hundredth of the image's size; each call is written down."""
import argparse
import json
import os
from pathlib import Path

from mmengine.config import DictAction

from sssd.places import read_config

parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('checkpoint', type=Path)
parser.add_argument('--work-dir', type=Path)
parser.add_argument('--tta', action='store_true')
parser.add_argument('--cfg-options', nargs='+', action=DictAction)
args = parser.parse_args()

config = read_config(args.config)
config.merge_from_dict(args.cfg_options)
if not args.checkpoint.is_file() or Path('break').is_file():
    raise SystemExit('the stub fails as asked')
starts = len(list(args.work_dir.glob('start*')))
place = args.work_dir / f'start{starts}'
place.mkdir(parents=True)
size = config.test_dataloader.dataset.pipeline[1].scale[0]
ap = (20 if args.tta else 10) + size / 100
(place / 'start.json').write_text(json.dumps({'coco/bbox_mAP': ap / 100, 'coco/bbox_mAP_s': -1.0, 'time': 0.5}))
with open('tests.txt', 'a') as handle:
    handle.write(f'{args.checkpoint} {args.work_dir.name} {os.environ.get("SED_BASE", "")}\n')
