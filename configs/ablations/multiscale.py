# Table 7, the ensemble: at 480/800, 800/800 and 1200/800 of the size at test, joined by NMS at 0.5. For tests with --tta.
_base_ = '{{$SED_BASE:../sed/faster-rcnn_r50_fpn_sed_180k_coco-10p.py}}'
pipeline = _base_.test_pipeline
sizes = [{**pipeline[1], 'scale': tuple(round(part * side) for side in pipeline[1].scale)} for part in (0.6, 1.0, 1.5)]
tta_model = dict(type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
tta_pipeline = [pipeline[0], dict(type='TestTimeAug', transforms=[sizes, *[[step] for step in pipeline[2:]]])]
