"""Each submission has a control group of its own where one may be made, and none is left."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import marking_class as pupils
import nbformat
import pytest
from jupyter_client.connect import write_connection_file

from tools.marking import cgroup, cluster, filter, one, run, runner, sandbox, watch
from tools.marking.classroom import Classroom, Lesson

sandbox.prepare()
LESSON = Lesson(*pupils.NAME)
FULL = "stopped: its processes took more than 0.5 GB of memory in sum"
ENTER = 'echo $$ >"$0/cgroup.procs" && exec "$@"'
TAKE = "import sys; kept = b'x' * (int(sys.argv[1]) << 20)"


def places():
    """Return where version 1 lets us make a group."""
    return [it for it in cgroup._places() if (it / "memory.limit_in_bytes").exists()]


def groups(pid="*"):
    return {it.name for place in places() for it in place.glob(f"marking-{pid}-*")}


WHY = "" if places() else "no control group of version 1 may be made here"
real = pytest.mark.skipif(bool(WHY), reason=WHY or "it may")
marking = [pytest.mark.marking, pytest.mark.skipif(bool(WHY or sandbox.obstacle()), reason=WHY)]


def inside(group, *line):
    return subprocess.Popen(["sh", "-c", ENTER, str(group.folder), *line])


def take(group, megabytes):
    return inside(group, sys.executable, "-c", TAKE, str(megabytes)).wait()


@real
def test_a_group_kills_what_takes_more_and_no_other():
    with cgroup.made(100 << 20) as small, cgroup.made(100 << 20) as other:
        assert small.folder != other.folder
        assert take(small, 50) == 0
        assert not small.full()
        assert take(small, 150) != 0
        assert small.full()
        assert not other.full()
    assert not small.folder.exists()
    assert not other.folder.exists()


@real
def test_a_group_takes_its_processes_with_it_when_an_error_ends_the_run():
    with contextlib.suppress(ZeroDivisionError), cgroup.made(100 << 20) as group:
        process = inside(group, "sleep", "60")
        wait_until(lambda: cgroup._lines(group.folder / "cgroup.procs"))
        raise ZeroDivisionError
    assert process.wait(5) == -9
    assert not group.folder.exists()


def test_a_group_is_waited_for_whose_processes_end_slowly(monkeypatch):
    """A busy computer may need more than five seconds to end hundreds of them."""
    clock = iter(range(100))
    monkeypatch.setattr(cgroup.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(cgroup.time, "sleep", lambda seconds: None)
    answers = [False] * 30 + [True]
    monkeypatch.setattr(cgroup, "_removed", lambda folder: answers.pop(0))
    cgroup.Group(Path("/nowhere")).remove()
    assert not answers


@real
def test_a_limit_further_up_binds_and_is_not_the_submissions_fault(monkeypatch):
    """Such as a container's: what it kills has not taken more than a submission may."""
    with cgroup.made(100 << 20) as above:
        monkeypatch.setattr(cgroup, "_places", lambda: [above.folder])
        with cgroup.made(1 << 30) as group:
            assert group.folder.parent == above.folder
            assert take(group, 150) != 0
            assert not group.full()


def test_a_dead_runs_group_is_removed_at_the_next_start_and_a_living_ones_is_not(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    alive = f"marking-{os.getpid()}-{cgroup._begin('self')}-x"
    others = {"marking", "other", "marking-web-17-x", "marking-17-web-x"}
    for name in (f"marking-{gone.pid}-17-x", f"marking-{os.getpid()}-17-x", alive, *others):
        (tmp_path / name).mkdir()
    cgroup._clear_up(tmp_path)
    assert {it.name for it in tmp_path.iterdir()} == {alive, *others}


FIRST = "17 1 0:9 / /proc rw - proc proc rw"
V2 = "25 18 0:20 {root} {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "25 18 0:20 {root} {mount} rw - cgroup cgroup rw,memory"


class Fake:
    """A tree of folders that looks as control groups do, and the files of /proc that lead there."""

    def __init__(self, folder, path, line=V2, root="/", name="0::"):
        self.mount, self.proc = folder / "mount", folder / "proc"
        self.own = self.mount / os.path.relpath(path, root)
        self.own.mkdir(parents=True)
        self.proc.mkdir()
        (self.proc / "cgroup").write_text(f"9:name=systemd:/x\n{name}{path}\n")
        mounted = line.format(root=root, mount=self.mount)
        (self.proc / "mountinfo").write_text(f"{FIRST}\n{mounted}\n")
        while folder != self.own:
            folder = folder / self.own.relative_to(folder).parts[0]
            if folder != self.mount:
                self.write(folder, "memory.max", "max\n")
            for file in ("cgroup.subtree_control", "cgroup.procs"):
                self.write(folder, file, "")
        self.write(self.own, "cgroup.procs", f"1\n{os.getpid()}\n")

    def write(self, folder, name, text):
        (folder / name).write_text(text)

    def places(self):
        return list(cgroup._places(self.proc))


def test_in_version_2_the_own_group_or_the_next_above_that_is_ours_is_used(tmp_path, monkeypatch):
    tree = Fake(tmp_path, "/user.slice/app.slice/terminal.scope")
    above = tree.own.parent
    assert tree.places() == []
    for folder in (above, above.parent):
        tree.write(folder, "cgroup.subtree_control", "cpu memory pids\n")
    assert tree.places() == [above, above.parent]
    allowed = {above, above / "cgroup.procs", above.parent}  # but not the last's cgroup.procs
    monkeypatch.setattr(os, "access", lambda path, mode: path in allowed)
    assert tree.places() == [above]
    allowed.clear()
    assert tree.places() == []


def test_in_version_2_no_limit_of_the_markers_own_is_escaped(tmp_path):
    tree = Fake(tmp_path, "/app.slice/limited.scope/part")
    for folder in (tree.mount, *tree.own.parents[:2]):
        tree.write(folder, "cgroup.subtree_control", "memory\n")
    limited = tree.own.parent
    tree.write(limited, "memory.max", "4000000000\n")
    assert tree.places() == [limited]
    for name, most, limit in {
        ("memory.max", "max\n", "4000000000\n"),
        ("memory.high", "max\n", "4000000000\n"),
        ("cpu.max", "max 100000\n", "50000 100000\n"),  # as of `systemd-run -p CPUQuota=50%`
    }:
        tree.write(tree.own, name, limit)
        assert tree.places() == [], name
        tree.write(tree.own, name, most)
        assert tree.places() == [limited], name


@pytest.mark.parametrize("name", [b"caf\xe9", "a\u2028b".encode(), b"a\x0cb"])
def test_a_mounted_folder_may_have_any_name(tmp_path, name):
    tree = Fake(tmp_path, "/app.slice/terminal.scope")
    tree.write(tree.own.parent, "cgroup.subtree_control", "memory\n")
    path = tree.proc / "mountinfo"
    stick = b"99 1 8:1 / /media/" + name + b" rw - vfat /dev/sdb1 rw\n"
    path.write_bytes(stick + path.read_bytes())
    assert tree.places() == [tree.own.parent]


def test_a_containers_group_of_version_1_is_found_where_it_is_mounted(tmp_path):
    tree = Fake(tmp_path, "/docker/abc/part", V1, "/docker/abc", "4:cpu,memory:")
    tree.write(tree.own, "memory.limit_in_bytes", "9223372036854771712\n")
    assert tree.places() == [tree.mount / "part"]
    tree.write(tree.own, "cgroup.procs", "1\n")  # another's, which only looks like ours
    assert tree.places() == []


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A place whose new folders hold what the kernel puts there; return the names of its files."""
    names = ["memory.max", "memory.swap.max", "memory.oom.group", "memory.events", "pids.max"]
    new = tempfile.mkdtemp

    def mkdtemp(**options):
        folder = Path(new(**options))
        for name in names:
            (folder / name).touch()
        return str(folder)

    def remove(folder):
        for file in folder.iterdir():
            file.unlink()
        rmdir(folder)

    rmdir = os.rmdir
    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    monkeypatch.setattr(os, "rmdir", remove)
    monkeypatch.setattr(cgroup, "_places", lambda: [tmp_path])
    monkeypatch.setenv("MARKING_PROCESSES", "100")
    return names


def test_a_group_of_version_2_bounds_memory_swap_and_processes(tmp_path, fresh):
    with cgroup.made(123 << 20) as group:
        told = {name: (group.folder / name).read_text() for name in fresh}
        assert told == {
            "memory.max": str(123 << 20),
            "memory.swap.max": "0",
            "memory.oom.group": "1",
            "memory.events": "",
            "pids.max": "116",
        }
        assert group.environment == {"MARKING_GROUP": str(group.folder)}
        for events, full in {
            "low 0\nmax 7\noom 0\noom_kill 0\n": False,  # it gave back pages of files
            "low 0\nmax 7\noom 0\noom_kill 1\n": False,  # that, and later a limit further up
            "low 0\nmax 7\noom 1\noom_kill 1\n": True,
            "low 0\nmax 0\noom 0\noom_kill 1\n": False,  # a limit further up
        }.items():
            (group.folder / "memory.events").write_text(events)
            assert group.full() is full
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("lack", ["the controller", "a place", "the right", "room"])
def test_where_no_group_may_be_made_there_is_none_and_nothing_is_left(
    tmp_path, fresh, monkeypatch, lack
):
    def refused(*args, **options):
        raise PermissionError

    if lack == "the controller":
        del fresh[:]
    elif lack == "a place":
        monkeypatch.setattr(cgroup, "_places", lambda: [])
    elif lack == "the right":
        monkeypatch.setattr(tempfile, "mkdtemp", refused)
    else:
        monkeypatch.setattr(Path, "write_text", refused)
    with cgroup.made(1 << 30) as group:
        assert group.folder is None
        assert group.environment == {}
        assert not group.full()
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- with a sandbox

BURST = "kept = b'x' * (700 << 20)"
CHILD = """import os, time
if os.fork() == 0:
    kept = b'x' * (700 << 20)
    os._exit(0)
print('waited', os.wait()[1])"""
LAST = (
    f"import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', {BURST!r}]).returncode)"
)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    room = Classroom(folder / "class")
    room.assign(pupils.write_assignment(folder), 7)
    return room


def task(room, code, before="answer_1"):
    nb = nbformat.read(room.file("release", LESSON), as_version=4)
    pupils.answer(nb, pupils.RIGHT)
    pupils.own(nb, before, code)
    path = room.file("submitted", LESSON, "anna")
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return run.task_of(room, LESSON, "anna", "sandboxed")


@pytest.mark.parametrize(
    ("code", "before"), [(BURST, "answer_1"), (CHILD, "answer_1"), (LAST, "outro")]
)
class TestWithoutWatcher:
    """The limit acts, and says so, also before the watcher has looked once."""

    pytestmark = marking

    def test_what_the_limit_kills_says_so(self, room, monkeypatch, code, before):
        monkeypatch.setenv("MARKING_SUM", str(500 << 20))
        monkeypatch.setattr(watch, "EVERY", 1000)
        already = groups()
        assert one.mark_one(task(room, code, before)).why == FULL
        assert groups(os.getpid()) <= already


class TestSandbox:
    pytestmark = marking

    def test_a_submission_cannot_see_or_change_its_group(self, room):
        code = (
            "from pathlib import Path\n"
            "print('groups', [str(it) for it in Path('/sys').glob('*')], "
            "[it for it in Path('/proc/self/cgroup').read_text().split() if 'marking-' in it])"
        )
        marked = one.mark_one(task(room, code))
        assert "groups [] []" in marked.notebook, marked.why

    def test_workers_of_a_cluster_may_mark_in_threads(self, room):
        """Each submission has its own group, also two of one process."""
        from concurrent.futures import ThreadPoolExecutor

        code = "import time; time.sleep(3)"
        tasks = [task(room, code)._replace(student=name) for name in ("anna", "bert")]
        seen = 0
        with ThreadPoolExecutor(2) as pool:
            running = [pool.submit(cluster.mark_there, it) for it in tasks]
            while not all(it.done() for it in running):
                seen = max(seen, len(groups(os.getpid())))
                time.sleep(0.1)
        assert [it.result().why for it in running] == ["", ""]
        assert seen == 2

    @pytest.mark.parametrize("kill", ["kernel", "marker"])
    def test_a_group_whose_marker_is_gone_is_removed(self, tmp_path, kill):
        """The watcher's script does that; if the marker lives, it removes the group itself."""
        marker = subprocess.Popen(["sleep", "60"])
        (tmp_path / "filter").write_bytes(filter.program())
        connection = str(tmp_path / "kernel.json")
        write_connection_file(connection, transport="ipc", ip=runner.INSIDE)
        group = cgroup.Group(cgroup._new(1 << 30))
        kernel = subprocess.Popen(
            ["sh", sandbox.KERNELS / "kernels" / "sandboxed" / "kernel.sh", connection],
            env={**os.environ, **group.environment, "JPY_PARENT_PID": str(marker.pid)},
            start_new_session=True,
        )
        try:
            procs = group.folder / "cgroup.procs"
            wait_until(lambda: len(cgroup._lines(procs)) > 2)  # bubblewrap's two, and Python
            assert str(kernel.pid) in cgroup._lines(procs)
            if kill == "kernel":
                kernel.kill()
                kernel.wait()
                wait_until(lambda: not cgroup._lines(procs))
                time.sleep(2)
                assert group.folder.exists()
            else:
                marker.kill()
                marker.wait()
                kernel.wait(20)
                wait_until(lambda: not group.folder.exists())
        finally:
            marker.kill()
            marker.wait()
            kernel.kill()
            kernel.wait()
            group.remove()
        assert not pupils.dead_groups()


def wait_until(happens, seconds=20):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.05)
