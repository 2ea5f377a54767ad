# Table 1: LabelEnc with ResNet-101. Its step 1 is that of ResNet-50, as LabelEnc has it.
_base_ = './faster-rcnn_r50_labelenc.py'
model = dict(detector=dict(backbone=dict(depth=101, init_cfg=dict(checkpoint='torchvision://resnet101'))))
