# A root of its own above this host's, for `inside.sh`: what is installed there is gone afterwards.
# Arguments: a folder with a package, the configuration and `inside.sh`. Exit status 77: this host has no such roots.
set -eu
given=$1
if command -v ip >/dev/null; then ip link set lo up; fi
mkdir "$given/layers"
mount -t tmpfs tmpfs "$given/layers" || exit 77
cd "$given/layers"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/upper,workdir=$PWD/work" root || exit 77
mount -t proc proc root/proc
mount --rbind /dev root/dev
mkdir -p root/given
cp -r "$given"/package.* "$given/network" "$given/inside.sh" root/given/
exec chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -eu /given/inside.sh
