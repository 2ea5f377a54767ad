_base_ = ['../_base_/photos/fcos_sed.py', '../_base_/datasets/bccd_photos_semi.py']
model = dict(detector=dict(bbox_head=dict(num_classes=3)))
