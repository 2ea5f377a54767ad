"""Guides: they make a teacher's feature pyramid from a detector's features and the labels of its images."""

from sssd.guides.labelenc import LabelEnc
from sssd.guides.labels import BoxLabels, box_labels
from sssd.guides.layers import conv_stack
from sssd.guides.lgd import LGD

__all__ = ['BoxLabels', 'LGD', 'LabelEnc', 'box_labels', 'conv_stack']
