# DETR for small images on a CPU: three stages of a narrow ResNet-18 with GroupNorm (stride 16), two layers each way, 20
# queries. Without pretrained weights it learns far slower than the other small detectors.
_base_ = './detr_r50.py'
attention = dict(embed_dims=64, num_heads=4, dropout=0.0)
ffn = dict(embed_dims=64, feedforward_channels=256, ffn_drop=0.0)
model = dict(
    num_queries=20,
    data_preprocessor=dict(pad_size_divisor=16),
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        stem_channels=32,
        base_channels=32,
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2, ),
        frozen_stages=-1,
        norm_cfg=dict(type='GN', num_groups=8, requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    neck=dict(in_channels=[128], out_channels=64),
    encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
    decoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)),
    positional_encoding=dict(num_feats=32),
    bbox_head=dict(num_classes=5, embed_dims=64),
    test_cfg=dict(max_per_img=20))
