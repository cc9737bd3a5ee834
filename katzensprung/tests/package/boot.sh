# A host of its own above this one, with systemd as its first process: what is installed there is gone afterwards.
# Arguments: a folder for its layers, and one that is to be the node's DataDir. Exit status 77: this host has none.
set -eu
given=$1
data=$2
mount --make-rprivate / || exit 77
mkdir "$given/layers"
mount -t tmpfs tmpfs "$given/layers" || exit 77
cd "$given/layers"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root || exit 77
mount -t proc proc root/proc
# A first process sets limits of the kernel, which are this host's too.
mount --bind root/proc/sys root/proc/sys
mount -o remount,bind,ro root/proc/sys || exit 77
mount --rbind /sys root/sys
umount -R root/sys/fs/cgroup || true
mount -t cgroup2 cgroup2 root/sys/fs/cgroup || exit 77
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
mount -t tmpfs tmpfs root/tmp
mkdir -p root/given root/run/systemd/system root/run/lock root/var/lib/katzensprung
mount --bind "$data" root/var/lib/katzensprung
# Nothing of the host's own is started: udev would rename this host's network cards, which the two share, and what sets up
# temporary folders would empty them under whoever is at work. Only the journal.
for unit in root/lib/systemd/system/*.target.wants/* root/etc/systemd/system/*.target.wants/* systemd-remount-fs.service; do
    case $unit in *journald*) continue ;; esac
    ln -sf /dev/null "root/run/systemd/system/$(basename "$unit")"
done
printf '[Unit]\nDescription=nothing\n' >root/run/systemd/system/test.target
cd root
mkdir -p run/old
pivot_root . run/old
umount -l /run/old || true
# As a first process does outside of containers: a unit's credentials are mounted elsewhere, and come here.
mount --make-rshared /
exec env -i container=namespace PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=test.target \
    --log-level=notice --log-target=console --show-status=0
