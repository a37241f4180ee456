#!/bin/sh
# A stand-in for python:3.11-slim from Debian packages: Debian's Python 3.11 instead of the upstream build, the rest as
# an image user knows it (pip, venv, apt). Writes a tar file of the root file system.
# usage: base.sh OUT.tar (as root, in a mount namespace of its own: debootstrap mounts proc)
set -eu
out=$1
root=$(mktemp -d "${TMPDIR:-/tmp}/weir-base.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
sources=/etc/apt/sources.list.d/debian.sources
mirror=$(awk '/^URIs:/{print $2; exit}' $sources 2>/dev/null || true)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb"{for (i = 2; i <= NF; i++) if ($i ~ /^http/) {print $i; exit}}' /etc/apt/sources.list)

debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$root" "$mirror"

# How this machine reaches its packages: its sources, its settings of apt, its certificates. They stay in the stand-in,
# so that a Dockerfile needs none of it.
if [ -e $sources ]; then rm -f "$root/etc/apt/sources.list"; cp $sources "$root/etc/apt/sources.list.d/"; fi
for file in /etc/apt/apt.conf.d/99*; do if [ -e "$file" ]; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi; done
cp /usr/share/keyrings/debian-archive-keyring.gpg "$root/usr/share/keyrings/"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/"; fi

# As in the real image: pip installs into the system, python and pip are in /usr/local/bin.
rm -f "$root/usr/lib/python3.11/EXTERNALLY-MANAGED"
ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
ln -sf /usr/bin/python3 "$root/usr/local/bin/python3"
ln -sf /usr/bin/pip3 "$root/usr/local/bin/pip"
rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root"/usr/share/doc "$root"/usr/share/man \
    "$root"/usr/share/locale "$root"/usr/share/info
tar -C "$root" -cf "$out" --numeric-owner --one-file-system .
