"""The images' health check: sssd imports, and mmcv's compiled operators compute.

It leaves the GPU alone, whose memory belongs to the training that it watches; ``--gpu`` checks the operators there.
"""

import sys


def kept(device):
    """The boxes that mmcv's nms keeps of three, two of which overlap.

    Args:
        device: Where to compute, such as ``cpu`` or ``cuda``.
    """
    import torch
    from mmcv.ops import nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]], device=device)
    return nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)[1].tolist()


def main(arguments):
    """Check, and print what was found.

    Args:
        arguments: ``['--gpu']`` to check the GPU.

    Returns:
        The exit status: 0, or 1 when the container cannot do its work.
    """
    import torch

    import sssd  # checks the whole stack

    device = 'cuda' if '--gpu' in arguments else 'cpu'
    if device == 'cuda' and not torch.cuda.is_available():
        print('unhealthy: no GPU is visible; start the container with GPUs (--gpus all).', file=sys.stderr)
        return 1
    found = kept(device)
    if found != [0, 2]:
        print(
            f"unhealthy: mmcv's nms kept {found} instead of [0, 2] on {device}; build the image again.", file=sys.stderr
        )
        return 1
    print(f'healthy: sssd {getattr(sssd, "__version__", "")}, torch {torch.__version__}, mmcv operators on {device}')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
