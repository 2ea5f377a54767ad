"""Folders looked through once: the file that keeps a listing, and what makes it hold no more."""

import os
import pickle
import shutil
import socket
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torch import multiprocessing

from sssd.data.image_folder import ImageFolder, list_images, passed_over
from sssd.data.sampler import _portrait
from sssd.errors import UserError
from sssd.listing import keep_beside, kept, measure
from sssd.locks import LOCK


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """A folder of twelve images in the present folder, whose listing is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kept, 'WORTH_KEEPING', 3)
    monkeypatch.setattr(kept, '_place', kept.Path('work_dirs/.listings'))
    for number in range(12):
        save(tmp_path / f'pool/part{number % 2}/img{number}.png', 20 + number, 24)
    return tmp_path / 'pool'


@pytest.fixture
def opened(monkeypatch):
    """Counts the headers that are read."""
    counts, read = Counter(), kept.image_size

    def counting(path):
        counts[os.path.basename(path)] += 1
        return read(path)

    monkeypatch.setattr(kept, 'image_size', counting)
    return counts


def save(path, width, height):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (width, height)).save(path)


def the_file():
    (path,) = (path for path in kept.Path('work_dirs/.listings').iterdir() if path.name != LOCK)
    return path


def content(folder):
    """What an ImageFolder says, by name."""
    dataset = ImageFolder(data_root=str(folder), pipeline=[])
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [info['sample_idx'] for info in infos] == list(range(len(infos)))
    return {os.path.relpath(info['img_path'], folder): (info['width'], info['height']) for info in infos}


def by_hand(folder):
    found = {}
    for path in folder.rglob('*.png'):
        with Image.open(path) as image:
            found[path.relative_to(folder).as_posix()] = image.size
    return found


def test_the_second_start_opens_no_image(pool, opened):
    first = content(pool)
    assert first == by_hand(pool) and sum(opened.values()) == 12
    assert list(first)[:6] == [f'part0/img{number}.png' for number in range(0, 12, 2)]
    assert content(pool) == first and sum(opened.values()) == 12
    assert list(list_images('pool')) == [f'pool/{name}' for name in first], 'the same folder by another name'


def added(pool):
    save(pool / 'part1/new.png', 9, 8)


def removed(pool):
    (pool / 'part1/img3.png').unlink()


def written_over(pool):
    save(pool / 'part0/img4.png', 99, 98)


def written_over_in_place_with_its_old_time(pool):
    path = pool / 'part0/img4.png'
    before = path.stat()
    with open(path, 'r+b') as file:
        file.seek(0, 2)
        file.write(b'more')
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def renamed(pool):
    (pool / 'part0/img4.png').rename(pool / 'part0/img5.png')


def exchanged(pool):
    (pool / 'part0/img4.png').rename(pool / 'x')
    (pool / 'part0/img6.png').rename(pool / 'part0/img4.png')
    (pool / 'x').rename(pool / 'part0/img6.png')


def folder_added(pool):
    save(pool / 'part2/deep/new.png', 9, 8)


@pytest.mark.parametrize(
    'change, count',
    [
        (added, 1),
        (removed, 0),
        (written_over, 1),
        (written_over_in_place_with_its_old_time, 1),
        (renamed, 1),
        (exchanged, 2),
        (folder_added, 1),
    ],
)
def test_what_changed_is_seen_and_it_alone_is_opened(pool, opened, change, count):
    content(pool)
    opened.clear()
    change(pool)
    assert sorted(os.path.relpath(path, pool) for path in list_images(str(pool))) == sorted(by_hand(pool))
    assert content(pool) == by_hand(pool) and sum(opened.values()) == count
    assert content(pool) == by_hand(pool) and sum(opened.values()) == count


def test_where_no_folder_changed_for_a_while_names_need_no_look_at_the_files(pool, monkeypatch):
    content(pool)
    old = os.stat(pool).st_mtime_ns - 10**10
    for folder in (pool, pool / 'part0', pool / 'part1'):
        os.utime(folder, ns=(old, old))
    save(pool / 'part0/img0.png', 77, 7)  # in place: the folder has its old time, and the listing is written anew
    content(pool)
    monkeypatch.setattr(kept, 'scan', lambda folder: pytest.fail('looked through'))
    assert len(list_images(str(pool))) == 12
    monkeypatch.undo()


@pytest.mark.parametrize('damage', ['cut', 'empty', 'noise', 'one bit of a name', 'one bit of the head', 'a folder'])
def test_a_damaged_file_is_made_anew(pool, opened, damage):
    first = content(pool)
    path = the_file()
    whole = bytearray(path.read_bytes())
    if damage == 'a folder':
        path.unlink()
        path.mkdir()
        assert content(pool) == first
        return
    whole[whole.index(b'img7.png') if damage.endswith('name') else 40] ^= 1
    cut = {'cut': whole[: len(whole) // 2], 'empty': b'', 'noise': b'sssd listing 1\n' + bytes(range(200))}
    path.write_bytes(cut.get(damage, whole))
    assert list(list_images(str(pool))) == [f'{pool}/{name}' for name in first]
    assert content(pool) == first and sum(opened.values()) == 24
    assert content(pool) == first and sum(opened.values()) == 24


def test_where_nothing_can_be_written_all_is_as_before(pool):
    (pool.parent / 'work_dirs').write_text('a file')
    assert content(pool) == by_hand(pool)


def test_a_listing_lies_beside_the_work_directory(pool):
    keep_beside('elsewhere/run')
    content(pool)
    assert len(list(pool.parent.glob('elsewhere/.listings/*.listing'))) == 1
    keep_beside('work_dirs/studies/mine/seed0/sed')
    content(pool)
    assert len(list(pool.parent.glob('work_dirs/.listings/*.listing'))) == 1
    assert not list(pool.rglob('.listings')), 'the folder of images is left as it is'


def test_small_folders_leave_no_file(pool, monkeypatch):
    monkeypatch.setattr(kept, 'WORTH_KEEPING', 13)
    content(pool)
    assert not (pool.parent / 'work_dirs').exists()


def test_processes_of_their_own_map_the_same_file(pool):
    dataset = ImageFolder(data_root=str(pool), pipeline=[])
    sent = pickle.dumps(dataset.data_list.listing)
    assert len(sent) < 500 and list(pickle.loads(sent)) == list(dataset.data_list.listing)
    added(pool)
    content(pool)
    with pytest.raises(UserError, match='changed while processes were started'):
        pickle.loads(sent)
    assert len(dataset) == 12 and dataset.get_data_info(11)['width'] == 31, 'what is mapped stays as it was'


def test_parts_of_a_folder(pool):
    def widths(dataset):
        return [dataset.get_data_info(index)['width'] for index in range(len(dataset))]

    whole = widths(ImageFolder(data_root=str(pool), pipeline=[]))
    for indices in (3, -2, [5, 1]):
        expected = [whole[i] for i in indices] if isinstance(indices, list) else (whole[:3], whole[-2:])[indices < 0]
        assert widths(ImageFolder(data_root=str(pool), pipeline=[], indices=indices)) == expected
        dataset = ImageFolder(data_root=str(pool), pipeline=[], serialize_data=True, lazy_init=True)
        assert len(dataset.image_sizes()) == 12
        assert widths(dataset.get_subset(indices)) == expected
        dataset.get_subset_(indices)
        assert widths(dataset) == expected


def test_the_sampler_asks_for_all_sizes_at_once(pool):
    dataset = ImageFolder(data_root=str(pool), pipeline=[], filter_cfg=dict(min_size=23))
    expected = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert _portrait(dataset).tolist() == [info['height'] > info['width'] for info in expected]
    assert 0 < sum(_portrait(dataset)) < len(dataset)


def test_what_is_no_image_is_counted_and_never_opened(pool):
    for name in ('a.heic', 'b.HEIC', 'readme', 'part0/notes.txt', '.hidden.jpg', '.DS_Store'):
        (pool / name).write_bytes(b'')
    os.mkfifo(pool / 'fifo.jpg')
    bound = socket.socket(socket.AF_UNIX)
    os.chdir(pool)  # a socket's path is short
    bound.bind('socket.jpg')
    save(pool / 'folder.jpg/inside.png', 5, 6)
    (pool / 'self.png').symlink_to('self.png')
    (pool / 'away.png').symlink_to(pool / 'nowhere.png')
    (pool / 'part0/loop').symlink_to(pool)
    with open(os.fsencode(pool) + b'/caf\xe9.jpg', 'wb'):
        pass
    assert passed_over(str(pool)) == {
        '.heic': 2, 'no extension': 1, '.txt': 1, 'hidden': 1, 'fifo': 1, 'socket': 1, 'name not UTF-8': 1,
    }  # fmt: skip
    with pytest.raises(UserError, match=r'away\.png cannot be read'):
        ImageFolder(data_root=str(pool), pipeline=[])
    dataset = ImageFolder(data_root=str(pool), pipeline=[], skip_broken=True)
    names = {os.path.relpath(dataset.get_data_info(i)['img_path'], pool) for i in range(len(dataset))}
    assert names == {f'part{number % 2}/img{number}.png' for number in range(12)} | {'folder.jpg/inside.png'}
    bound.close()


def test_a_header_that_was_broken_is_looked_at_again(pool, opened):
    (pool / 'part0/img2.png').write_bytes(b'none')
    with pytest.raises(UserError, match=r'img2\.png cannot be read'):
        ImageFolder(data_root=str(pool), pipeline=[])
    opened.clear()
    save(pool / 'part0/img2.png', 22, 24)
    assert content(pool) == by_hand(pool) and sum(opened.values()) == 1


def work(rank, folder, port, results):
    """One of two ranks."""
    os.chdir(os.path.dirname(folder))
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    torch.distributed.init_process_group('gloo', rank=rank, world_size=2)
    kept.WORTH_KEEPING = 3
    read = []
    real = kept.image_size
    kept.image_size = lambda path: read.append(path) or real(path)
    try:
        dataset = ImageFolder(data_root=folder, pipeline=[])
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        results.put((rank, len(read), [(info['img_path'], info['width']) for info in infos]))
    except UserError as error:
        results.put((rank, len(read), str(error)))
    torch.distributed.destroy_process_group()


def two_ranks(folder):
    """What two ranks say of a folder, by rank: how many headers each read, and what it found."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    context = multiprocessing.get_context('fork')
    results = context.Queue()
    ranks = [context.Process(target=work, args=(rank, str(folder), port, results)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = sorted(results.get(timeout=60) for _ in ranks)
    for process in ranks:
        process.join(60)
    return {rank: rest for rank, *rest in found}


def test_ranks_share_what_the_first_found_and_its_mistakes(pool):
    found = two_ranks(pool)
    assert found[0][0] == 12 and found[1][0] == 0 and found[0][1] == found[1][1] and len(found[0][1]) == 12
    (pool / 'part0/img2.png').write_bytes(b'none')
    found = two_ranks(pool)
    assert 'img2.png cannot be read' in found[0][1] and found[0][1] == found[1][1]
    shutil.rmtree(pool / 'part0')
    shutil.rmtree(pool / 'part1')
    assert 'holds no image' in two_ranks(pool)[1][1]


def test_a_listing_is_a_few_arrays_and_a_sequence_of_paths(pool):
    listing = measure(str(pool))
    assert {name: array.dtype for name, array in listing.arrays.items()} == dict(
        blob=np.uint8, ends=np.int64, sizes=np.int32, changed=np.int64, bytes=np.int64
    )
    assert listing[-1] == listing[11] == list(listing)[-1] and listing[2:4] == list(listing)[2:4]
    with pytest.raises(IndexError):
        listing[12]
