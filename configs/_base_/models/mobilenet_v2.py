# MobileNetV2 with ImageNet features for the pyramids of the small detectors: strides 8 to 32. `sssd features` writes the
# file of the features. Batch norm is that of ImageNet, and the stem and the first two stages are frozen.
features = '{{$SSSD_FEATURES:data/features/mobilenet_v2_imagenet.pth}}'
mobilenet_v2 = dict(
    type='MobileNetV2',
    out_indices=(2, 4, 6),
    frozen_stages=2,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
    init_cfg=dict(type='Pretrained', checkpoint=features))
mobilenet_channels = [32, 96, 320]
