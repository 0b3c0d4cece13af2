#!/bin/sh
# Becomes the first process of a machine: in namespaces of its own, on a copy of this machine's files that is gone with it, systemd with
# nothing but what its units ask for. Arguments: an empty folder, and one that the machine sees as /mnt.
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 machine "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" machine "$1/root"
mount --bind "$2" "$1/root/mnt"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
# Of control groups it sees its own alone: by them systemd knows whose a process is.
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then mount -t cgroup2 cgroup2 sys/fs/cgroup/unified; fi
fi
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p run/machine
rm -rf etc/systemd/system
mkdir -p etc/systemd/system
# All else of systemd's own would set up a whole computer.
for name in sysinit basic sockets timers paths slices shutdown umount network network-online multi-user default; do
  printf '%s\n' '[Unit]' "Description=$name" DefaultDependencies=no > "run/machine/$name.target"
done
printf '%s\n' 'Wants=systemd-journald.service multi-user.target' >> run/machine/default.target
cp /lib/systemd/system/systemd-journald.service /lib/systemd/system/systemd-journald.socket run/machine/
mkdir old
pivot_root . old
umount -l /old
rmdir /old
export container=machine SYSTEMD_UNIT_PATH=/run/machine:/etc/systemd/system
exec /lib/systemd/systemd --system --log-target=console --show-status=0
