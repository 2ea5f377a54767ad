# MobileNetV2 with ImageNet features and a 64-channel pyramid of strides 8 to 64, for detectors on a CPU. `sssd features`
# writes the file of the features. Batch norm is that of ImageNet, and the stem and the first two stages are frozen.
features = '{{$SSSD_FEATURES:data/features/mobilenet_v2_imagenet.pth}}'
norm_cfg = dict(type='GN', num_groups=8, requires_grad=True)
data_preprocessor = dict(
    type='DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_size_divisor=16)
backbone = dict(
    type='MobileNetV2',
    out_indices=(2, 4, 6),
    frozen_stages=2,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
    init_cfg=dict(type='Pretrained', checkpoint=features))
neck = dict(type='FPN', in_channels=[32, 96, 320], out_channels=64, num_outs=4, norm_cfg=norm_cfg)
