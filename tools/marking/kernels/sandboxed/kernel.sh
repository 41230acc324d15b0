#!/bin/sh
# Start a student's kernel where it sees Python, the course's packages and nothing else.
#   kernel.sh CONNECTION_FILE    a kernel
#   kernel.sh --try COMMAND...   another command, to find out whether the sandbox works here
# No network, no other process, no file of the host to write. Beside the connection file lies the
# filter of system calls (tools/marking/filter.py); bubblewrap writes info.json there.
# The variables MARKING_* come from tools/marking/sandbox.py.
set -eu

if [ "$1" = --try ]; then
    shift
    folder=
else
    folder=$(dirname "$1")
    exec 4<"$1" 5>"$folder/info.json" 6<"$folder/filter"
    start='import sys; sys.modules["debugpy"] = None # which nobody needs here, and takes long
from ipykernel.zmqshell import ZMQInteractiveShell
ZMQInteractiveShell.ask_exit = lambda shell: sys.exit() # exit() ends its cell, not the submission
from ipykernel.kernelapp import IPKernelApp, launch_new_instance
import zmq # all output waits in here, and none is lost, until the marker takes it
begin = IPKernelApp.init_iopub
IPKernelApp.init_iopub = lambda app, context: (context.setsockopt(zmq.SNDHWM, 0), begin(app, context))
launch_new_instance()'
    set -- "$MARKING_PYTHON" -c "$start" -f /run/connection.json --HistoryManager.enabled=False
fi

set -- prlimit --as="$MARKING_MEMORY" --fsize="$MARKING_FILE" --cpu="$MARKING_CPU" \
    --nproc="$MARKING_PROCESSES" --nofile=512 --core=0 -- "$@"

if [ "$(id -u)" = 0 ]; then # become nobody in particular: limits and file permissions bind
    user=$((60000 + $$ % 5000))
    set -- --remount-ro / --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try \
        --cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP \
        -- setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all \
        --bounding-set=-all -- "$@"
else
    set -- --remount-ro / --unshare-all --unshare-user --disable-userns -- "$@"
fi

if [ -n "$folder" ]; then # the marker reaches the sockets through /proc; nothing of the host's is written
    set -- --perms 0444 --ro-bind-data 4 /run/connection.json --info-fd 5 "$@"
    [ ! -s "$folder/filter" ] || set -- --seccomp 6 "$@"
    exec >/dev/null 2>&1 # what a submission writes past its notebook goes nowhere
    # In a session of its own: what kills this process's group must leave the watcher.
    setsid sh "$(dirname "$0")/watcher.sh" $$ "${JPY_PARENT_PID:-$PPID}" "$folder/info.json" \
        4<&- 5>&- 6<&- &
fi
for part in utils lrsweep course data notebooks/quiz pyproject.toml; do
    set -- --ro-bind-try "$MARKING_COURSE/$part" "/course/$part" "$@"
done
set -- --ro-bind "$MARKING_BASE" "$MARKING_BASE" --ro-bind "$MARKING_PREFIX" "$MARKING_PREFIX" "$@"
for place in "$MARKING_BASE" "$MARKING_PREFIX" /course/notebooks/quiz /etc/fonts; do
    above=$(dirname "$place") # bubblewrap would let nobody but root into the folders on the way
    while [ "$above" != / ] && [ "$above" != . ]; do
        set -- --perms 0755 --dir "$above" "$@"
        above=$(dirname "$above")
    done
done
for part in bin lib lib32 lib64 sbin; do
    if [ -L "/$part" ]; then
        set -- --symlink "$(readlink "/$part")" "/$part" "$@"
    else
        set -- --ro-bind-try "/$part" "/$part" "$@"
    fi
done

# All that follows runs in the submission's control group, if it has one (tools/marking/cgroup.py).
[ -z "${MARKING_GROUP:-}" ] || echo $$ >"$MARKING_GROUP/cgroup.procs" || :
exec bwrap --ro-bind /usr /usr \
    --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache --ro-bind-try /etc/fonts /etc/fonts \
    --ro-bind-try /etc/alternatives /etc/alternatives \
    --ro-bind-try /etc/localtime /etc/localtime \
    --proc /proc --dev /dev --size 100000000 --perms 1777 --tmpfs /dev/shm --remount-ro /dev \
    --size 1000000 --perms 1777 --tmpfs /run/kernel \
    --size 200000000 --perms 1777 --tmpfs /tmp \
    --perms 1777 --size 200000000 --tmpfs /course/work \
    --die-with-parent --new-session --clearenv --chdir /course/work \
    --setenv HOME /course/work --setenv USER student --setenv PATH /usr/bin:/bin \
    --setenv LANG C.UTF-8 --setenv COURSE_MARKING 1 --setenv PYTHONDONTWRITEBYTECODE 1 \
    --setenv TF_CPP_MIN_LOG_LEVEL 3 --setenv MPLBACKEND "module://matplotlib_inline.backend_inline" \
    "$@"
