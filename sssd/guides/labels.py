"""The labels of a batch as padded tensors, and the descriptor of every box (LGD; SSSD, Sec. 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sssd.errors import UserError

#: Class of a slot that has none: the context box, the empty descriptor, padding.
NO_CLASS = -1


@dataclass(frozen=True)
class BoxLabels:
    """Boxes of n images in m slots each; an image without boxes has one empty slot that counts.

    Attributes:
        boxes: (n, m, 4), x1 y1 x2 y2 in pixels of the batch; zeros in slots without a box.
        classes: (n, m), :data:`NO_CLASS` in slots without a class.
        valid: (n, m), which slots are no padding; at least one for each image, and the first ones.
        sizes: (n, 2), width and height in pixels that boxes are relative to: of the images, without padding, unless
            :meth:`in_batch` has changed them.
        counts: Boxes of every image, which the host knows.
        context: Whether the first slot of every image is the context box.
    """

    boxes: Tensor
    classes: Tensor
    valid: Tensor
    sizes: Tensor
    counts: tuple[int, ...]
    context: bool = False

    @property
    def slots(self) -> Tensor:
        """Where the valid slots lie in a row of all n m, (T,); known without looking at ``valid``."""
        size = self.boxes.shape[1]
        valid = [count + 1 if self.context else max(count, 1) for count in self.counts]
        places = [image * size + slot for image, count in enumerate(valid) for slot in range(count)]
        return host_tensor(places, self.boxes.device)

    def with_context(self) -> 'BoxLabels':
        """The same with a slot more, before the others: all of ``sizes`` as a box without class.

        An image without boxes then needs no empty slot.
        """
        whole = torch.cat([torch.zeros_like(self.sizes), self.sizes], dim=1)[:, None]
        first = self.classes.new_full((len(self.classes), 1), NO_CLASS)
        return BoxLabels(
            torch.cat([whole, self.boxes], dim=1),
            torch.cat([first, self.classes], dim=1),
            torch.cat([first == NO_CLASS, self.valid & (self.classes != NO_CLASS)], dim=1),
            self.sizes,
            self.counts,
            context=True,
        )

    def in_batch(self, size: tuple[int, int]) -> 'BoxLabels':
        """The same with the padded batch's width and height in place of every image's own (LGD's public code)."""
        return replace(self, sizes=host_tensor(size, self.sizes.device).to(self.sizes.dtype).expand_as(self.sizes))

    def clamped(self, margin: float = 1) -> 'BoxLabels':
        """The same with all coordinates in [0, size - margin]; 1 in LGD's public code."""
        return replace(self, boxes=self.boxes.clamp(min=0).minimum((self.sizes - margin).repeat(1, 2)[:, None]))

    def descriptors(self, num_classes: int) -> Tensor:
        """x1 y1 x2 y2 over the image size and a one-hot class, both mapped to [-1, 1]: (n, m, 4 + num_classes).

        A slot without box and class is -1 throughout.
        """
        boxes = self.boxes / self.sizes.repeat(1, 2)[:, None]
        one_hot = self.classes[..., None] == torch.arange(num_classes, device=boxes.device)
        return 2 * torch.cat([boxes, one_hot.to(boxes.dtype)], dim=-1) - 1


def box_labels(samples: Sequence, original: bool = False) -> BoxLabels:
    """Labels of a batch, padded to its largest number of boxes (at least 1); reads no value back from the device.

    Args:
        samples: Data samples with ``gt_instances`` (plain tensors) and ``img_shape``.
        original: Whether boxes are in pixels of the original images, as mmdet's test pipelines give them; they are
            brought to the batch's pixels by ``scale_factor`` then.

    Raises:
        UserError: If a sample has no labels.
    """
    if not all('gt_instances' in sample and 'bboxes' in sample.gt_instances for sample in samples):
        raise UserError(
            'A label-guided teacher needs the labels of every image, but a sample has no boxes in its '
            'gt_instances; put LoadAnnotations(with_bbox=True) into the pipeline.'
        )
    boxes = pad_sequence([sample.gt_instances.bboxes for sample in samples], batch_first=True)
    classes = pad_sequence([sample.gt_instances.labels for sample in samples], batch_first=True, padding_value=NO_CLASS)
    missing = max(1 - boxes.shape[1], 0)
    boxes, classes = F.pad(boxes, (0, 0, 0, missing)), F.pad(classes, (0, missing), value=NO_CLASS)
    counts = tuple(len(sample.gt_instances) for sample in samples)
    used = host_tensor([max(count, 1) for count in counts], boxes.device)
    valid = torch.arange(boxes.shape[1], device=boxes.device) < used[:, None]
    sizes = host_tensor([sample.img_shape[1::-1] for sample in samples], boxes.device).to(boxes.dtype)
    if original:
        factors = host_tensor(
            [sample.metainfo.get('scale_factor', (1.0, 1.0))[:2] for sample in samples], boxes.device
        ).to(boxes.dtype)
        boxes = boxes * factors.repeat(1, 2)[:, None]
    return BoxLabels(boxes, classes, valid, sizes, counts)


def host_tensor(values, device: torch.device) -> Tensor:
    """A tensor of numbers that the host knows, sent without waiting for the device."""
    return torch.tensor(values).to(device, non_blocking=True)
