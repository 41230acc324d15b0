#!/bin/sh
# End a sandbox whose marker is gone.
#   watcher.sh BUBBLEWRAP MARKER INFO    two processes, and the file in which bubblewrap tells a third
# --die-with-parent does nothing if the marker is killed before bubblewrap has asked for it, nor if
# bubblewrap is killed before its own child has: that child then has another parent.
trap "" HUP INT TERM
child=
look_for_child() {
    while read -r name value; do
        [ "$name" != '"child-pid":' ] || child=${value%,}
    done <"$3"
}
# A folder of /proc stays the one of its process, also if another one gets the number.
cd "/proc/$2" || cd /
while [ -e stat ] && kill -0 "$1"; do
    if [ -n "$child" ]; then
        sleep 1
    else
        look_for_child "$@"
        sleep 0.1
    fi
done
[ -n "$child" ] || look_for_child "$@"
kill -KILL "$1"
sleep 0.1
read -r _ what _ parent _ <"/proc/$child/stat"
[ "$what" != "(bwrap)" ] || [ "$(cat "/proc/$parent/comm")" = bwrap ] || kill -KILL "$child"
for _ in 1 2 3 4 5 6 7 8 9; do # a marker that is gone leaves its control group to us
    [ ! -e stat ] && [ -d "${MARKING_GROUP:-}" ] || break
    rmdir "$MARKING_GROUP" || sleep 0.5
done
