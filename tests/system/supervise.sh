#!/bin/bash
# Boots one throwaway host and keeps it until standard input ends, then leaves nothing of it.
#
# The test holds the other end of standard input: however the test ends (done, panicked, killed), its
# end closes, and the host goes with it. Run by host.rs with NAME, RUN (a directory of its own, with
# "upper", "work" and "root" in it), LOWER (the file systems under it) and CGROUP (not there yet) set.
set -u
trap '' HUP INT QUIT TERM PIPE

# Held as long as anything of the host is there. Who can take this lock may remove RUN.
exec 9>"$RUN/lock" || exit 1
flock -n 9 || exit 1

remove_host() {
    [ ! -d "$CGROUP" ] || echo 1 >"$CGROUP/cgroup.kill"
    # systemd-nspawn makes itself at home in the hierarchy of version 1, too, where there is one. The
    # directories can go as soon as the kernel has buried the last process.
    for _ in $(seq 200); do
        find /sys/fs/cgroup/"$NAME" /sys/fs/cgroup/*/"$NAME" -depth -type d -exec rmdir {} + 2>/dev/null
        compgen -G "/sys/fs/cgroup/*/$NAME" || [ -d "$CGROUP" ] || break
        sleep 0.05
    done
    wait
    umount "$RUN/root" 2>/dev/null || umount --lazy "$RUN/root" 2>/dev/null
    # systemd-nspawn, when killed, does not take these away itself.
    rm -rf "/run/systemd/nspawn/propagate/$NAME" "/run/systemd/nspawn/unix-export/$NAME"
    rm -rf --one-file-system "$RUN"
}

if [ "${1-}" = remove ]; then
    remove_host
    exit
fi

layers=lowerdir=$LOWER,upperdir=$RUN/upper,workdir=$RUN/work
if ! { mount -t overlay -o "$layers" overlay "$RUN/root" && mkdir "$CGROUP"; }; then
    remove_host
    exit 1
fi

# In a cgroup of its own, as two systemds in one would kill each other's services; on a terminal of
# its own, as systemd-nspawn wants one; with cgroup v2 only, as journald needs it.
export NAME RUN CGROUP
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
# shellcheck disable=SC2016 # it is the inner shell that expands these
{
    setsid script --quiet --flush --return --command '
        echo $$ >"$CGROUP/cgroup.procs" &&
        exec systemd-nspawn --quiet --directory="$RUN/root" --machine="$NAME" --boot \
            --private-network --register=no --keep-unit' "$RUN/console"
    # A host that could not start is one that nobody need wait for.
    touch "$RUN/ended"
} </dev/null >/dev/null 2>&1 9>&- &

cat >/dev/null
remove_host
