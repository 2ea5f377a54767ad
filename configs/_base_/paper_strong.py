# The strong view of the paper, as in datasets/coco_semi.py, with half of its blur since images are small; what packs it
# comes last. Under domain shift it teaches more than the milder one of datasets/toy_semi.py (docs/results.md).
paper_strong = [
    dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8),
    dict(type='mmcv.RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.299)),
    dict(type='sssd.GaussianBlur', sigma=(0.1, 1.0), prob=0.5),
    dict(type='CutOut', n_holes=(1, 5), cutout_ratio=[(0.05, 0.05), (0.1, 0.1), (0.2, 0.2)], fill_in=(104, 116, 124)),
]
