_base_ = ['../_base_/photos/faster_rcnn_sed.py', '../_base_/datasets/bccd_photos_semi.py']
model = dict(detector=dict(roi_head=dict(bbox_head=dict(num_classes=3))))
