# SED for small detectors that start from random weights. It differs from the paper's defaults where these gain
# little without a pretrained backbone; docs/results.md says what was tried.
_base_ = './sed.py'
unsupervised_loss = dict(type='SoftLoss', box_rows='foreground', box_weight=0.5)
