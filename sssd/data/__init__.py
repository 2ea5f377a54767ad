"""Data: the toy set, unlabelled folders, samplers, strong augmentation, splits, checks."""
from .checks import check_data
from .image_folder import ImageFolder
from .load_image import LoadImage
from .sampler import MixedSourceSampler
from .splits import make_splits
from .strong import ColorJitter, GaussianBlur
from .toy import make_toy

__all__ = ['ColorJitter', 'GaussianBlur', 'ImageFolder', 'LoadImage', 'MixedSourceSampler',
           'check_data', 'make_splits', 'make_toy']
