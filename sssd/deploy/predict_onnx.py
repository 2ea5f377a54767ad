"""python predict_onnx.py IMAGE_OR_FOLDER [OUT.json]: what model.onnx finds, by numpy, OpenCV and onnxruntime alone."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np


class Detector:
    """Calling it with an image as OpenCV reads it gives boxes (x1, y1, x2, y2 in its pixels), scores and labels."""

    def __init__(self, path):
        import onnxruntime  # which starts a thread

        self.session = onnxruntime.InferenceSession(str(path), providers=onnxruntime.get_available_providers())
        told = self.session.get_modelmeta().custom_metadata_map
        self.classes, self.resize = json.loads(told['classes']), json.loads(told['resize'])

    def __call__(self, image):
        (height, width), (long, short) = image.shape[:2], sorted(self.resize['scale'], reverse=True)
        size = self.resize['scale']
        if self.resize['keep_ratio']:
            ratio = min(long / max(height, width), short / min(height, width))
            size = int(width * ratio + 0.5), int(height * ratio + 0.5)
        resized = cv2.resize(image, tuple(size), interpolation=cv2.INTER_LINEAR)
        boxes, scores, labels = self.session.run(None, dict(image=resized))
        return boxes / np.array([size[0] / width, size[1] / height] * 2, np.float32), scores, labels


def read(file):
    """An image as OpenCV has it (blue, green, red), turned as its EXIF says; None if it is no image or broken."""
    try:
        return cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # it may not be read; it is empty
        return None


def main(place, out='detections.json'):
    """Write what is found in an image, or in all of a folder; without any, nothing is written."""
    place, found = Path(place), {}
    if not place.exists():
        sys.exit(f'{place} does not exist')
    detector = Detector(Path(__file__).with_name('model.onnx'))
    for file in sorted(place.rglob('*')) if place.is_dir() else [place]:
        if not file.is_file():
            continue
        image = read(file)
        if image is None:
            print(f'passed over {file}: OpenCV reads no image from it', file=sys.stderr)
            continue
        boxes, scores, labels = (each.tolist() for each in detector(image))
        found[str(file)] = dict(boxes=boxes, scores=scores, labels=[detector.classes[label] for label in labels])
    if not found:
        sys.exit(f'no image could be read in {place}: {out} is not written')
    Path(out).write_text(json.dumps(found, indent=1))


if __name__ == '__main__':
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(*sys.argv[1:])
