# The strong view of datasets/coco_semi.py with half its blur, as images are small, and without CutOut. On BCCD under
# other cameras it gave more than that of datasets/toy_semi.py (benchmarks/results/diary.md). What packs
# an image comes after it.
strong_colour = [
    dict(type='sssd.ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8),
    dict(type='sssd.RandomGrayscale', prob=0.2),
    dict(type='sssd.GaussianBlur', sigma=(0.1, 1.0), prob=0.5),
]
