"""A detector as an ONNX graph, compared with PyTorch before it is given away."""

import importlib.util
import inspect
import json
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.apis import DetInferencer
from torch import nn

from sssd.datasets.forms import several
from sssd.deploy import predict_onnx
from sssd.deploy.export import CARD, CONFIG
from sssd.deploy.literals import read_literals
from sssd.deploy.onnx_graph import Graph, refuse_other
from sssd.errors import UserError, first_line
from sssd.images import natural_key
from sssd.listing import list_folder
from sssd.whole_files import write_file

GRAPH, GRAPH_SCRIPT = 'model.onnx', 'predict_onnx.py'
#: Of ONNX's operators; RoIAlign at the centres of pixels came with 16.
OPSET = 17
#: Images that are compared, and how far apart the same detection may be, in pixels and in score.
COMPARED, PIXELS, SCORE = 5, 0.5, 0.01
#: The share of detections that may lack a partner: scores that are the same but for rounding change places.
STRAYS = 0.01
_STEPS = ('LoadImageFromFile', 'Resize', 'LoadAnnotations', 'PackDetInputs')
TOLD = """
## ONNX

`python predict_onnx.py IMAGE_OR_FOLDER [OUT.json]` needs numpy, OpenCV and onnxruntime alone. `model.onnx` takes
`image`, bytes of any height and width (height, width, 3; blue, green, red, as OpenCV reads it), resized as the script
does, and gives `boxes` (x1, y1, x2, y2 in pixels of that), `scores` and `labels`; it normalises, pads and suppresses.
Compared with PyTorch: {difference}.
"""
_NAMES = ('boxes', 'scores', 'labels')


class Difference(NamedTuple):
    """What a comparison found: how many detections in how many images, and the largest differences."""

    images: int
    detections: int
    box: float
    score: float
    strays: int

    def __str__(self) -> str:
        strays = f', {self.strays} without a partner' if self.strays else ''
        return (
            f'{self.detections} detections of {several(self.images, "image")}: boxes differ by at most '
            f'{self.box:.2g} pixels, scores by {self.score:.1g}{strays}'
        )


def require_onnx() -> None:
    """Refuse to begin where a package is missing.

    Raises:
        UserError: Naming it.
    """
    missing = [name for name in ('onnx', 'onnxruntime') if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--onnx needs {' and '.join(missing)}: pip install 'sssd[onnx]' (or pip install onnx onnxruntime)."
        )


def add_onnx(inferencer: DetInferencer, folder: str | Path, places: Sequence[str] = ()) -> Difference:
    """Write the graph of an exported detector and its script beside it, and tell of them in its card.

    Args:
        inferencer: Of the folder's detector, as :func:`sssd.deploy.predict.load_exported` gives it, on the CPU.
        folder: It; no graph is left in it if the graph does not find what PyTorch does.
        places: Images, or folders of them, to compare on; none takes the first ones of the test data.

    Raises:
        UserError: If the detector or its test pipeline have no such graph, no images are there, or detections differ.
    """
    require_onnx()
    refuse_other(inferencer.model)
    config = Path(folder, CONFIG)  # the inferencer has changed its own
    dataset = read_literals(config.read_text('utf-8'), f'config file {config}')['test_dataloader']['dataset']
    resize, paths = resize_of(dataset['pipeline']), images_to_compare(dataset, places)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        graph = Path(place, GRAPH)
        write_graph(inferencer.model, graph, dict(classes=list(dataset['metainfo']['classes']), resize=resize))
        difference = compare_detections(inferencer, predict_onnx.Detector(graph), paths)
        os.replace(graph, Path(folder, GRAPH))
    write_file(Path(folder, GRAPH_SCRIPT), inspect.getsource(predict_onnx))
    with open(Path(folder, CARD), 'a', encoding='utf-8') as card:
        card.write(TOLD.format(difference=difference))
    return difference


def resize_of(pipeline: Sequence[Mapping]) -> dict[str, Any]:
    """The size to which the test pipeline brings an image, which the script does.

    Raises:
        UserError: If the pipeline does more.
    """
    other = [step['type'] for step in pipeline if step['type'] not in _STEPS]
    resizes = [step for step in pipeline if step['type'] == 'Resize']
    odd = [step for step in resizes if set(step) - {'type', 'scale', 'keep_ratio', 'backend'} or 'scale' not in step]
    load = next((step for step in pipeline if step['type'] == 'LoadImageFromFile'), {})
    if set(load) - {'type', 'backend_args', 'file_client_args'}:
        odd.append(load)
    if other or len(resizes) != 1 or odd:
        said = f'has {other[0]}' if other else 'loads or resizes in another way than by one scale'
        raise UserError(
            f'the test pipeline of the config {said}, which the script beside an ONNX graph does not do: leave --onnx '
            f'out, or name a config with --config whose pipeline is {", ".join(_STEPS)}.'
        )
    scale = resizes[0]['scale']
    scale = [scale, scale] if isinstance(scale, int) else list(scale)
    return dict(scale=scale, keep_ratio=bool(resizes[0].get('keep_ratio', False)))


def images_to_compare(dataset: Mapping[str, Any], places: Sequence[str] = ()) -> list[str]:
    """Images on which the graph is compared: those named, else some of the test data.

    Raises:
        UserError: If there are none.
    """
    root = dataset.get('data_root') or ''
    told = places or [os.path.join(root, prefix) for prefix in (dataset.get('data_prefix') or {}).values()] or [root]
    found: list[str] = []
    for place in told:
        if os.path.isdir(place):
            found += sorted(list_folder(place), key=natural_key)
        elif os.path.isfile(place):
            found.append(place)
        elif places:
            raise UserError(f'{place} is no file and no folder: name images that --onnx can compare on with --images.')
    readable = (path for path in found if predict_onnx.read(path) is not None)
    found = [path for path, _ in zip(readable, range(COMPARED))]
    if not found:
        raise UserError(
            f'there is no image in {", ".join(told)} to compare ONNX and PyTorch on: name some with --images.'
        )
    return found


def write_graph(detector: nn.Module, path: Path, told: Mapping[str, Any]) -> None:
    """Trace a detector.

    Args:
        detector: Of mmdet.
        path: File to write.
        told: What the graph says of itself, as JSON by name.

    Raises:
        UserError: If torch cannot.
    """
    import onnx

    sizes = dict(image={0: 'height', 1: 'width'}, **{name: {0: 'detections'} for name in _NAMES})
    older = dict(dynamo=False) if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}
    graph = Graph(detector).cpu().eval()  # all of it: the exporter puts it back to the mode in which it was
    image = torch.from_numpy(np.random.RandomState(0).randint(0, 256, (224, 320, 3)).astype(np.uint8))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            torch.onnx.export(
                graph,
                (image,),
                str(path),
                input_names=['image'],
                output_names=list(_NAMES),
                dynamic_axes=sizes,
                opset_version=OPSET,
                **older,
            )
        except Exception as error:  # tracing runs the code of the detector
            raise UserError(
                f'torch cannot write {type(detector).__name__} as ONNX ({first_line(error)}): leave --onnx out.'
            ) from error
    model = onnx.load(str(path))
    onnx.checker.check_model(model)
    for key, value in told.items():
        model.metadata_props.add(key=key, value=json.dumps(value))
    onnx.save(model, str(path))


def compare_detections(inferencer: DetInferencer, graph, paths: Sequence[str]) -> Difference:
    """The largest differences between what PyTorch and an ONNX graph find.

    Args:
        inferencer: Of the detector.
        graph: Gives boxes, scores and labels of an image, as the script does.
        paths: Images.

    Raises:
        UserError: If nothing is found, or it differs by more than :data:`PIXELS`, :data:`SCORE` and :data:`STRAYS`.
    """
    detections, boxes, scores, strays = 0, [0.0], [0.0], 0
    for path in paths:
        _, data = inferencer.collate_fn([(path, inferencer.pipeline(path))])
        expected = inferencer.forward(data)[0].pred_instances
        one = tuple(expected[key].cpu().numpy() for key in ('bboxes', 'scores', 'labels'))
        other = graph(predict_onnx.read(path))
        detections += len(one[0])
        pairs = list(_pairs(one, other))
        boxes += [box for box, _ in pairs]
        scores += [score for _, score in pairs]
        strays += len(one[0]) + len(other[0]) - 2 * len(pairs)
    found = Difference(len(paths), detections, max(boxes), max(scores), strays)
    if not detections:
        raise UserError(
            f'the detector finds nothing in {several(len(paths), "image")}, so ONNX and PyTorch could not be compared: '
            'name images that show its objects with --images, or train it for longer.'
        )
    if strays > 2 * max(1, STRAYS * detections):
        raise UserError(
            f'the ONNX graph does not find what PyTorch finds ({found}): it was not kept; leave --onnx out.'
        )
    return found


def _pairs(one, other) -> Iterator[tuple[float, float]]:
    """Differences of box and score of each detection and its nearest partner, each taken once, if it is near enough."""
    free = np.ones(len(other[0]), bool)
    for box, score, label in zip(*one):
        apart = np.abs(other[0] - box).max(1) if len(free) else np.zeros(0)
        near = free & (other[2] == label) & (apart <= PIXELS) & (np.abs(other[1] - score) <= SCORE)
        if near.any():
            best = int(np.where(near, apart / PIXELS + np.abs(other[1] - score) / SCORE, np.inf).argmin())
            free[best] = False
            yield float(apart[best]), float(abs(other[1][best] - score))
