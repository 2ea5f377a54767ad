# mmdet's own semi-supervised detectors on SED's data, as a baseline: hard pseudo-labels above a score, one weak and one
# strong view of the same geometry as SED's. Names of their own, for configs that take from here what they need (see
# quickstart/retinanet_mmdet_semi.py and quickstart/faster_rcnn_softteacher.py).
#
# SoftTeacher's numbers are those of mmdet's configs/soft_teacher, which has 4 unlabelled images to a labelled one. For
# SemiBaseDetector, its base, which takes one-stage detectors, mmdet has none: 0.4 suits the lower scores of focal loss,
# a guess. Tune the scores, unsup_weight and momentum to the data before calling it a comparison.
semi_train_cfg = dict(
    freeze_teacher=True, sup_weight=1.0, unsup_weight=4.0, cls_pseudo_thr=0.4, min_pseudo_bbox_wh=(1e-2, 1e-2))
soft_teacher_cfg = dict(
    freeze_teacher=True,
    sup_weight=1.0,
    unsup_weight=4.0,
    pseudo_label_initial_score_thr=0.5,
    rpn_pseudo_thr=0.9,
    cls_pseudo_thr=0.9,
    reg_pseudo_thr=0.02,
    jitter_times=10,
    jitter_scale=0.06,
    min_pseudo_bbox_wh=(1e-2, 1e-2))
# mmdet projects the teacher's boxes from one view to the other by this matrix; here it is the same for both.
pseudo_pack = dict(
    type='sssd.PackDetInputs',
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction',
               'homography_matrix'))
# mmdet's momentum is 1 - alpha, 0.001 by default; buffers are averaged too, which it leaves out.
mean_teacher = [dict(type='MeanTeacherHook', momentum=0.001, skip_buffer=False)]
# An average of about 100 iterations in place of 1000, for trainings of a few hundred; SED's begins with as much.
short_mean_teacher = [dict(type='MeanTeacherHook', momentum=0.01, skip_buffer=False)]
