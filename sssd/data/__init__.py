"""Data: the toy set, unlabelled folders, samplers, strong augmentation, splits, checks."""
from .image_folder import ImageFolder
from .load_image import LoadImage
from .sampler import MixedSourceSampler
from .strong import ColorJitter, GaussianBlur
from .toy import make_toy

__all__ = ['ColorJitter', 'GaussianBlur', 'ImageFolder', 'LoadImage', 'MixedSourceSampler',
           'make_toy']
