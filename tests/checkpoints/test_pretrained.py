"""Weights with an address: found without torchvision, kept where torch.hub keeps them, refused in one sentence."""

import hashlib
import pickle
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from mmengine.runner import CheckpointLoader

from sssd.checkpoints import pretrained
from sssd.errors import LocalError, UserError
from sssd.locks import LOCK

WEIGHTS = {'backbone.conv.weight': torch.arange(4.0), 'head.bias': torch.ones(2)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty folder in place of the one where torch.hub keeps what it loads; torchvision does not import."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    return tmp_path / 'torch/hub/checkpoints'


def put(path, content=WEIGHTS):
    """A file that a user has put there by hand."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


@pytest.fixture
def server(tmp_path):
    """A web server of this machine: its address, its folder and the paths that it was asked for."""
    asked, folder = [], tmp_path / 'served'
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            asked.append(self.path)

    httpd = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{httpd.server_port}', folder, asked
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize(
    'name, file',
    [
        ('torchvision://resnet18', 'resnet18-f37072fd.pth'),
        ('torchvision://resnet50', 'resnet50-0676ba61.pth'),
        ('torchvision://resnet50.imagenet1k_v1', 'resnet50-0676ba61.pth'),
        ('torchvision://resnet50.imagenet1k_v2', 'resnet50-11ad3fa6.pth'),
        ('torchvision://resnet101.default', 'resnet101-cd907fc2.pth'),
        ('torchvision://resnet34.default', 'resnet34-b627a593.pth'),
        ('modelzoo://vgg16', 'vgg16-397923af.pth'),
        ('open-mmlab://detectron/resnet50_caffe', 'resnet50_caffe-788b5fa3.pth'),
        ('open-mmlab://resnet50_caffe', 'resnet50_caffe-788b5fa3.pth'),
        ('openmmlab://vgg16_caffe', 'vgg16_caffe-292e1171.pth'),
        ('https://example.org/deep/weights.pth?v=2', 'weights.pth'),
    ],
)
def test_a_file_that_is_there_is_loaded_without_a_network(cache, name, file):
    remote = pretrained.locate(name)
    assert remote.path == cache / file and remote.url.startswith('https://')
    put(cache / file)
    loaded = CheckpointLoader.load_checkpoint(name, map_location='cpu')
    assert loaded.keys() == WEIGHTS.keys() and torch.equal(loaded['head.bias'], WEIGHTS['head.bias'])


def test_of_a_classifier_only_the_backbone_is_taken(cache):
    name = 'mmcls://mobilenet_v2'
    put(pretrained.locate(name).path, dict(state_dict=WEIGHTS))
    assert list(CheckpointLoader.load_checkpoint(name)['state_dict']) == ['conv.weight']


def test_the_users_own_table_of_open_mmlab_is_read(tmp_path):
    (tmp_path / 'mmengine').mkdir()
    (tmp_path / 'mmengine/open_mmlab.json').write_text('{"mine": "here/mine.pth"}')
    with pytest.raises(
        UserError, match='open-mmlab://mine is not at .*mmengine/here/mine.pth, and no address is known'
    ):
        pretrained.fetch('open-mmlab://mine')
    put(tmp_path / 'mmengine/here/mine.pth')
    assert CheckpointLoader.load_checkpoint('open-mmlab://mine').keys() == WEIGHTS.keys()


def test_a_file_that_would_run_code_is_refused(cache):
    (cache / 'x').parent.mkdir(parents=True)
    with open(cache / 'resnet18-f37072fd.pth', 'wb') as file:
        torch.save(dict(harm=partial(print, 'run')), file)
    with pytest.raises((pickle.UnpicklingError, UserError)):
        CheckpointLoader.load_checkpoint('torchvision://resnet18')


def test_a_download_is_kept_and_asked_for_once(server, cache):
    address, folder, asked = server
    put(folder / 'weights.pth')
    name = f'{address}/weights.pth'
    files = []
    threads = [threading.Thread(target=lambda: files.append(pretrained.fetch(name))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files == [cache / 'weights.pth'] * 4 and asked == ['/weights.pth']
    assert torch.equal(CheckpointLoader.load_checkpoint(name)['head.bias'], WEIGHTS['head.bias'])
    assert asked == ['/weights.pth'] and [path.name for path in cache.iterdir() if path.name != LOCK] == ['weights.pth']


@pytest.mark.parametrize('right', [True, False])
def test_a_download_from_torchvision_is_the_file_that_its_name_tells_of(server, cache, monkeypatch, right):
    address, folder, _ = server
    content = put(folder / 'x.pth').read_bytes()
    name = f'resnet18-{hashlib.sha256(content).hexdigest()[:8] if right else "f37072fd"}.pth'
    (folder / 'x.pth').rename(folder / name)
    monkeypatch.setattr(pretrained, '_known', lambda *args: f'{address}/{name}')
    if right:
        assert pretrained.fetch('torchvision://resnet18') == cache / name
    else:
        with pytest.raises(UserError, match='cannot be downloaded: invalid hash value'):
            pretrained.fetch('torchvision://resnet18')
        assert [path.name for path in cache.iterdir()] in ([], [LOCK])


def test_an_answer_that_is_no_file_is_told(server):
    with pytest.raises(UserError, match=r'/gone.pth cannot be downloaded: (File n|N)ot (f|F)ound; put the file'):
        pretrained.fetch(f'{server[0]}/gone.pth')


def test_without_an_answer_the_download_is_given_up(monkeypatch, cache):
    """Of a server that takes the connection and stays silent."""
    import socket

    monkeypatch.setattr(pretrained, 'TIMEOUT', 0.2)
    with socket.create_server(('127.0.0.1', 0)) as silent:
        name = f'http://127.0.0.1:{silent.getsockname()[1]}/weights.pth'
        with pytest.raises(UserError, match=f'{name} is not at {cache}/weights.pth, and .* timed out; put the file'):
            pretrained.fetch(name)
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize('rank, kind', [('0', LocalError), ('1', UserError)])
def test_the_first_process_of_each_machine_tells(monkeypatch, rank, kind):
    monkeypatch.setenv('LOCAL_RANK', rank)
    with pytest.raises(UserError) as caught:
        pretrained.fetch('http://127.0.0.1:1/weights.pth')
    assert type(caught.value) is kind and 'Connection refused' in str(caught.value)


@pytest.mark.parametrize(
    'name, said',
    [
        ('torchvision://resnet5', r'no published weights that MMEngine knows \(like it are resnet50'),
        ('torchvision://shufflenetv2_x2.0', 'no published weights'),
        ('open-mmlab://resnet50_cafe', 'no published weights.*like it are '),
        ('mmcls://nothing', 'no published weights'),
        ('hub://resnet50', r'begins with hub://, which MMEngine does not know: give a path, .* torchvision://'),
        ('https://example.org/', 'has no name of a file at its end'),
        ('pavi://model', 'is loaded with the package pavi, which is not installed'),
        ('petrel:s3://bucket/x.pth', 'is loaded with the package petrel_client'),
    ],
)
def test_an_address_of_nothing_is_told(name, said):
    with pytest.raises(UserError, match=said) as caught:
        pretrained.fetch(name)
    assert '\n' not in str(caught.value)


def test_paths_and_the_addresses_of_other_loaders_are_left_alone(monkeypatch):
    assert pretrained.fetch('work/iter_2.pth') is None and pretrained.locate('/a/b.pth') is None
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    CheckpointLoader.register_scheme('mine://', lambda filename, map_location: {'x': 1})
    assert pretrained.fetch('mine://weights') is None
