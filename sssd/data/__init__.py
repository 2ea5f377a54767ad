"""What a training step eats: the sampler, unlabelled folders, image loading, the strong view."""

from sssd.data.image_folder import ImageFolder
from sssd.data.layout import PackDetInputs, RandomFlip
from sssd.data.load_image import LoadImage
from sssd.data.sampler import MixedSourceSampler
from sssd.data.strong import ColorJitter, GaussianBlur, RandomGrayscale

__all__ = [
    'ColorJitter',
    'GaussianBlur',
    'ImageFolder',
    'LoadImage',
    'MixedSourceSampler',
    'PackDetInputs',
    'RandomFlip',
    'RandomGrayscale',
]
