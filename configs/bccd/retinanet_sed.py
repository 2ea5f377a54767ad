# BCCD: blood cells, three classes, 292 training images. `data_root` and `labeled` are options, for instance
# --cfg-options data_root=/somewhere/bccd/ labeled=splits/trainval.1@5
_base_ = '../quickstart/retinanet_sed.py'
