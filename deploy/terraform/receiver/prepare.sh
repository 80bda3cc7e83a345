#!/bin/bash
# Mounts the receiver's disk for its user, and lets the load balancer in: prepare.sh DEVICE FOLDER
set -euo pipefail
device=$1
folder=$2

test -b "$device"
# Exit code 2: nothing is on it yet. Any other failure must not end in a new file system.
found=0
blkid --probe "$device" >/dev/null || found=$?
case $found in
  0) ;;
  2) mkfs.ext4 -q -m 0 "$device" ;;
  *) echo "cannot tell what is on $device" >&2; exit 1 ;;
esac

mkdir -p "$folder"
if ! mountpoint -q "$folder"; then
  # 1 means that something was repaired.
  fsck.ext4 -p "$device" || test $? -eq 1
  mount -o nodev,nosuid,noexec "$device" "$folder"
fi
chown 10001:10001 "$folder"
chmod 0700 "$folder"

# Container-Optimized OS closes all ports but one; https://cloud.google.com/container-optimized-os/docs/how-to/firewall
iptables -w -C INPUT -p tcp --dport 8080 -j ACCEPT 2>/dev/null || iptables -w -A INPUT -p tcp --dport 8080 -j ACCEPT
