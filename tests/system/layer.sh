#!/bin/bash
# Installs the packages that are the arguments over the file system BASE and runs the script FURNISH in
# it, so that the directory LAYER holds what that changed. In a mount namespace that ends with it;
# SCRATCH holds two empty directories, "work" and "root". Run by image.rs.
set -euo pipefail
root=$SCRATCH/root
mount -t overlay -o "lowerdir=$BASE,upperdir=$LAYER,workdir=$SCRATCH/work" overlay "$root"
mount -t proc proc "$root/proc"

# No server is started here. The network that the base was made in need not be today's.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"

export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# There is no such directory in here.
unset TMPDIR
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
chroot "$root" apt-get update --quiet --option Acquire::Languages=none
chroot "$root" apt-get install --yes --quiet --no-install-recommends "$@"
# These servers ask PAM.
printf '%s:secret\n' tom ann | chroot "$root" chpasswd
chroot "$root" sh -euc "$FURNISH"
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root/usr/sbin/policy-rc.d"
