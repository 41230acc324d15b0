"""The photographs: every fault of a download ends in a clear message or a clean recovery."""

import errno
import hashlib
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT
from server import serving

from course.clothing import _download as download
from course.clothing import _xception as xception
from course.clothing import photographs
from course.clothing._download import Content, DownloadError, fetch_archive

SHARED = ROOT.parent / "shared" / "data" / f"clothing-dataset-small-{photographs.COMMIT}.zip"
REAL = Path(os.environ.get("CLOTHING_ARCHIVE") or SHARED)
needs_the_real_one = pytest.mark.skipif(not REAL.exists(), reason=f"there is no {REAL}")


def picture(number):
    """Return a JPEG of one grey, which says which picture it is."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (40 + number % 3, 60), (number,) * 3).save(buffer, "JPEG")
    return buffer.getvalue()


def pictures():
    """Return {name: bytes} of a small set with the folders of the real one."""
    names = [
        f"{part}/{name}/{i}.jpg"
        for part in ("test", "train", "validation")
        for name in photographs.CLASSES
        for i in range(2)
    ]
    return {name: picture(i) for i, name in enumerate(names)} | {"LICENSE": b"free" * 200_000}


def pack(files, top="set-1196151/", compression=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(zipfile.ZipInfo(top or "top/"), b"")
        for name, data in files.items():
            archive.writestr(top + name, data)
    return buffer.getvalue()


def content_of(files):
    lines = "".join(f"{hashlib.sha256(files[n]).hexdigest()}  {n}\n" for n in sorted(files))
    size = sum(map(len, files.values()))
    return Content(len(files), size, hashlib.sha256(lines.encode()).hexdigest())


FILES = pictures()
CONTENT = content_of(FILES)
CUT, KEPT = 300_000, 300_000 // download.PIECE * download.PIECE
DATA = pack(FILES, compression=zipfile.ZIP_STORED)


@pytest.fixture
def sender(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(DATA) as sender:
        yield sender


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "set"


def fetch(sender, folder, content=CONTENT):
    return fetch_archive(sender.address, folder, content, progress=False)


def assert_good(folder):
    """All files are there, and nothing else but the lock."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name, "set.lock"}


def assert_nothing(folder):
    """A failure leaves nothing that a later call could take for the photographs."""
    left = {path.name for path in folder.parent.iterdir()} if folder.parent.exists() else set()
    assert left <= {"set.lock"}


# Ways that end well


@pytest.mark.parametrize("length", [True, False])
def test_downloads_once(sender, folder, length, capsys):
    sender.length = length
    assert fetch_archive(sender.address, folder, CONTENT) == folder
    assert "set.zip" in capsys.readouterr().err
    assert_good(folder)
    fetch(sender, folder)
    assert sender.asked == [None]


def test_packing_does_not_matter(sender, folder):
    sender.data = pack(dict(reversed(FILES.items())), top="other-name/")
    fetch(sender, folder)
    assert_good(folder)


def test_takes_a_file(folder, tmp_path):
    (tmp_path / "my.zip").write_bytes(DATA)
    fetch_archive(tmp_path / "my.zip", folder, CONTENT)
    assert_good(folder)
    assert (tmp_path / "my.zip").exists()


@pytest.mark.parametrize("damage", ["lost", "cut short"])
def test_repairs_a_damaged_cache(sender, folder, damage):
    fetch(sender, folder)
    victim = folder / "train" / "hat" / "1.jpg"
    victim.unlink() if damage == "lost" else victim.write_bytes(b"")
    fetch(sender, folder)
    assert_good(folder)


def test_an_invisible_file_is_no_damage(sender, folder):
    fetch(sender, folder)
    (folder / ".DS_Store").touch()
    fetch(sender, folder)
    assert len(sender.asked) == 1


# Breaks, and going on


def test_goes_on_by_itself_after_a_break(sender, folder):
    sender.cuts = [CUT, CUT]
    fetch(sender, folder)
    assert_good(folder)
    assert sender.asked == [None, f"bytes={KEPT}-", f"bytes={2 * KEPT}-"]


def test_goes_on_at_the_next_call(sender, folder):
    sender.cuts = [CUT, 0]
    with pytest.raises(DownloadError, match=r"broke: 0\.3 MB are kept, and the next attempt goes"):
        fetch(sender, folder)
    assert not folder.exists()
    fetch(sender, folder)
    assert_good(folder)
    assert sender.asked[-1] == f"bytes={KEPT}-"


def test_starts_again_where_ranges_are_unknown(sender, folder):
    sender.ranges, sender.cuts = False, [CUT]
    fetch(sender, folder)
    assert_good(folder)
    assert len(sender.asked) == 2


def test_gives_up_where_it_never_gets_further(sender, folder):
    sender.ranges, sender.cuts = False, [CUT] * 9
    with pytest.raises(DownloadError, match="broke"):
        fetch(sender, folder)
    assert len(sender.asked) == 2


def test_notices_a_break_without_a_length(sender, folder):
    sender.length, sender.cuts = False, [CUT]
    fetch(sender, folder)
    assert_good(folder)


@pytest.mark.parametrize("part", [DATA, DATA + b"more", b"of another file" * 50])
def test_a_part_that_does_not_fit_is_recovered(sender, folder, part):
    folder.parent.mkdir()
    folder.with_name("set.zip.part").write_bytes(part)
    fetch(sender, folder)
    assert_good(folder)


# Faults that end in a message


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_page(sender, folder, status):
    sender.status = status
    with pytest.raises(DownloadError, match=rf"archive\.zip answers '{status} "):
        fetch(sender, folder)
    assert_nothing(folder)


def test_no_network(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(b"") as sender:
        pass  # now nobody listens at its address
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:\d+ cannot be reached"):
        fetch(sender, folder)
    assert_nothing(folder)


def test_a_server_that_falls_silent(sender, folder, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE", (1, 0.2))
    sender.pause = 0.5
    with pytest.raises(DownloadError, match="cannot be reached, or breaks off"):
        fetch(sender, folder)
    assert not folder.exists()


def test_no_such_file(folder, tmp_path):
    with pytest.raises(DownloadError, match=r"there is no file .*missing\.zip"):
        fetch_archive(tmp_path / "missing.zip", folder, CONTENT)
    assert_nothing(folder)


def damaged():
    place = DATA.index(FILES["LICENSE"]) + 9
    return DATA[:place] + b"!" + DATA[place + 1 :]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pack(FILES | {"LICENSE": b"evil" * 200_000}), "other SHA-256"),
        (pack(FILES | {"LICENSE": b"short"}), r"holds 61 files of \d+ bytes"),
        (pack({"LICENSE": b"free"}), "holds 1 files of 4 bytes"),
        (b"<html>Please log in</html>", "not a sound zip archive"),
        (b"", "not a sound zip archive"),
        (DATA[:-30], "not a sound zip archive"),
        (damaged(), "not a sound zip archive: Bad CRC-32"),
    ],
)
def test_wrong_content(sender, folder, data, message):
    sender.data = data
    with pytest.raises(DownloadError, match=rf"^what http.*{message}"):
        fetch(sender, folder)
    assert_nothing(folder)
    sender.data = DATA
    fetch(sender, folder)
    assert_good(folder)


def test_wrong_content_of_a_file(folder, tmp_path):
    (tmp_path / "my.zip").write_bytes(damaged())
    with pytest.raises(DownloadError, match=r"my\.zip is not a sound zip archive"):
        fetch_archive(tmp_path / "my.zip", folder, CONTENT)
    assert_nothing(folder)
    assert (tmp_path / "my.zip").exists()


@pytest.mark.parametrize(
    "name", ["../evil", "top/../../evil", "/evil", "top\\..\\..\\evil", "C:/evil", "evil"]
)
def test_a_member_that_climbs_out(sender, folder, name):
    files = FILES | {name: b"evil"}
    sender.data = pack({f"top/{n}" if n in FILES else n: d for n, d in files.items()}, top="")
    content = Content(62, CONTENT.size + 4, CONTENT.sha256)
    with pytest.raises(DownloadError, match="a name that leads out of its folder"):
        fetch(sender, folder, content)
    assert_nothing(folder)
    assert not list(folder.parents[1].rglob("evil"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_disk_full_while_downloading(sender, folder):
    folder.parent.mkdir()
    folder.with_name("set.zip.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=r"no space is left in .*cache: 2 MB are needed"):
        fetch(sender, folder)
    assert not folder.exists()
    folder.with_name("set.zip.part").unlink()
    fetch(sender, folder)
    assert_good(folder)


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_disk_full_or_interrupt_while_unpacking(sender, folder, monkeypatch, failure):
    write = Path.write_bytes

    def some(path, data):
        if path.name == "LICENSE" or "validation" in path.parts:
            raise failure
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", some)
    message = "no space is left" if isinstance(failure, OSError) else None
    with pytest.raises((DownloadError, KeyboardInterrupt), match=message):
        fetch(sender, folder)
    assert {path.name for path in folder.parent.iterdir()} <= {"set.lock", "set.zip"}
    monkeypatch.undo()
    fetch(sender, folder)
    assert_good(folder)
    assert sender.asked == [None]  # the archive was there already


# In processes of their own


def process(sender, folder, before=""):
    code = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); import encodings.idna\n"
        f"from course.clothing._download import Content, fetch_archive; {before}\n"
        f"fetch_archive({sender.address!r}, {str(folder)!r}, {CONTENT!r})"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"NO_PROXY": "127.0.0.1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def test_two_processes_at_once(sender, folder):
    sender.pause = 0.05
    both = [process(sender, folder) for _ in range(2)]
    errors = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], errors
    assert_good(folder)
    assert sender.asked == [None]
    assert sum("another process is getting set: waiting" in error for error in errors) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_process(sender, folder, end):
    sender.pause = 0.3
    one, part = process(sender, folder), folder.with_name("set.zip.part")
    while one.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    one.send_signal(end)
    error = one.communicate(timeout=60)[1]
    assert one.returncode != 0
    assert end == signal.SIGKILL or "KeyboardInterrupt" in error
    assert not folder.exists()
    sender.pause = 0
    kept = part.stat().st_size
    assert kept
    fetch(sender, folder)
    assert_good(folder)
    assert sender.asked[1:] == [f"bytes={kept}-"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_a_folder_that_can_only_be_read(sender, tmp_path):
    folder = tmp_path / "cache" / "set"
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() != tmp_path.owner() or parent.stat().st_mode & stat.S_ISVTX:
            break  # the folder of all temporary files is open to everybody
        parent.chmod(0o755)
    folder.parent.mkdir(0o555)
    nobody = "os.geteuid() or os.setuid(65534)"  # root may write everywhere
    one = process(sender, folder, nobody)
    error = one.communicate(timeout=60)[1]
    assert one.returncode == 1
    assert f"DownloadError: {folder.parent} cannot be used: Permission denied" in error
    assert not sender.asked

    folder.parent.chmod(0o755)
    fetch(sender, folder)
    folder.with_name("set.lock").unlink(missing_ok=True)
    folder.parent.chmod(0o555)
    one = process(sender, folder, nobody)  # what an instructor put there can be read
    assert one.wait(timeout=60) == 0, one.stderr.read()
    folder.parent.chmod(0o755)


# load_photographs


@pytest.fixture
def small(sender, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("CLOTHING_ARCHIVE", raising=False)
    monkeypatch.setattr(photographs, "CONTENT", CONTENT)
    monkeypatch.setattr(photographs, "ADDRESS", sender.address)
    return sender


def greys(batches):
    """Return which picture each example is, and its class number, batch by batch."""
    found = []
    for x, y in batches:
        assert x.dtype == np.float32
        number = np.rint((x.numpy().mean(axis=(1, 2, 3)) + 1) * 127.5).astype(int)
        found.append((x.shape, number, y.numpy()))
    return found


def test_batches(small):
    loaded = photographs.load_photographs(image_size=30, batch_size=8, progress=False)
    shapes, numbers, labels = zip(*greys(loaded.train))
    assert shapes == ((8, 30, 30, 3), (8, 30, 30, 3), (4, 30, 30, 3))
    names = [f"train/{loaded.classes[label]}" for label in np.concatenate(labels)]
    wanted = [list(FILES)[number].rpartition("/")[0] for number in np.concatenate(numbers)]
    assert names == wanted
    assert sorted(np.concatenate(numbers)) == list(range(20, 40))
    assert sum(len(y) for _, y in loaded.validation) == 20
    assert {int(n) for _, part, _ in greys(loaded.test) for n in part} == set(range(20))


def test_order(small):
    def order(shuffle):
        loaded = photographs.load_photographs(20, 20, shuffle, progress=False)
        parts = loaded.train, loaded.train, loaded.validation, loaded.validation
        return [greys(part)[0][1].tolist() for part in parts]

    first, again, validation, validation_again = order(shuffle=False)
    assert first == again == list(range(20, 40))
    first, again, *both = order(shuffle=True)
    assert first != again
    assert sorted(first) == list(range(20, 40))
    assert both == [validation, validation_again]


def test_batches_are_read_when_they_are_needed(small):
    loaded = photographs.load_photographs(20, 20, progress=False)
    train = photographs.folder() / "train"
    shutil.copy(train / "hat" / "0.jpg", train / "dress" / "0.jpg")
    assert greys(loaded.train)[0][1][0] == list(FILES).index("train/hat/0.jpg")


def test_says_what_to_do(small, tmp_path):
    small.status = 404
    with pytest.raises(DownloadError) as caught:
        photographs.load_photographs(progress=False)
    said = str(caught.value)
    for part in ("are not here", "404 Not Found", 'SOURCE = "drawn"', "source=", "KERAS_HOME"):
        assert part in said
    assert str(tmp_path / "keras" / "datasets") in said


def test_a_variable_names_the_archive(small, tmp_path, monkeypatch):
    (tmp_path / "my.zip").write_bytes(DATA)
    monkeypatch.setenv("CLOTHING_ARCHIVE", str(tmp_path / "my.zip"))
    assert len(list(photographs.load_photographs(20, 20).test)) == 1
    assert not small.asked


@pytest.mark.parametrize("name", ["image_size", "batch_size"])
def test_bad_input(name):
    with pytest.raises(ValueError, match=f"{name} must be a whole number"):
        photographs.load_photographs(**{name: 0})


@needs_the_real_one
def test_the_real_archive(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    data = REAL.read_bytes()
    with serving(data) as sender:
        sender.cuts = [800 * download.PIECE]
        loaded = photographs.load_photographs(source=sender.address, progress=False)
    assert sender.asked == [None, f"bytes={800 * download.PIECE}-"]
    folder = photographs.folder()
    sizes = [len(list((folder / part).rglob("*.jpg"))) for part in ("train", "validation", "test")]
    assert sizes == [3068, 341, 372]
    labels = np.concatenate([y for _, y in loaded.validation])
    assert np.bincount(labels).tolist() == [32, 14, 49, 24, 49, 29, 26, 25, 12, 81]
    assert next(iter(loaded.train))[0].shape == (32, 150, 150, 3)


@pytest.mark.long
@needs_the_real_one
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_never_in_memory_as_a_whole(tmp_path):
    code = (
        "from course.clothing.photographs import load_photographs\n"
        "def peak():\n"
        "    status = open('/proc/self/status').read()\n"
        "    return int(status.partition('VmHWM:')[2].split()[0])\n"
        f"loaded = load_photographs(source={str(REAL)!r})\n"
        "next(iter(loaded.validation))\n"
        "before = peak()\n"
        "print(sum(len(y) for x, y in loaded.train), peak() - before)"
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    examples, kilobytes = map(int, done.stdout.split())
    assert examples == 3068
    assert kilobytes * 1024 < 3068 * 150 * 150 * 3 * 4 / 3


# build_xception


def test_weights_from_a_file(tmp_path):
    keras.utils.set_random_seed(1)
    model = xception.build_xception(None, image_size=71)
    assert model.output_shape == (None, 3, 3, 2048)
    model.save_weights(tmp_path / "some.weights.h5")
    again = xception.build_xception(tmp_path / "some.weights.h5", image_size=71)
    for one, other in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, other)


def test_imagenet_without_network(monkeypatch):
    with serving(b"") as sender:
        pass
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    module = sys.modules[keras.applications.Xception.__module__]
    monkeypatch.setattr(module, "WEIGHTS_PATH_NO_TOP", sender.address)
    monkeypatch.setattr(module.file_utils.config, "keras_home", lambda: "/nonexistent")
    with pytest.raises(DownloadError, match=r"(?s)84 MB.*are not here.*SOURCE = .*weights="):
        xception.build_xception(image_size=71)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing of the kind", r"weights must be those of an Xception, .*wrong\.weights\.h5"),
        ("other model", "weights must be those of an Xception"),
        (None, 'weights must be "imagenet", None or a file'),
    ],
)
def test_wrong_weights(tmp_path, content, message):
    path = tmp_path / "wrong.weights.h5"
    if content == "other model":
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(path)
    elif content:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        xception.build_xception(path, image_size=71)


def test_images_that_are_too_small():
    with pytest.raises(ValueError, match="image_size must be a whole number of at least 71"):
        xception.build_xception(None, image_size=70)
