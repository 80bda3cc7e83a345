#!/bin/bash
# Mounts a machine's disk for the container's user, and lets in who asks for a port: prepare.sh DEVICE FOLDER [PORT]
set -euo pipefail
device=$1
folder=$2
port=${3:-}

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
if test -n "$port"; then
  iptables -w -C INPUT -p tcp --dport "$port" -j ACCEPT 2>/dev/null || iptables -w -A INPUT -p tcp --dport "$port" -j ACCEPT
fi
