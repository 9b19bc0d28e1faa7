#!/usr/bin/env bash
# Runs the binary as the image's last stage would, without a container engine: an empty, read-only root that holds what
# the Dockerfile copies, uid 1000, one writable folder. Needs root and unshare.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(mktemp -d)
chmod 755 "$root"
port=${PORT:-8199}
trap 'kill "${pid:-0}" 2>/dev/null || true; umount "$root/data" "$root" 2>/dev/null || true; rm -rf "$root"' EXIT

CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION:-dev}" -o "$root/sema" .
size=$(stat -c %s "$root/sema")
echo "binary: $((size >> 20)) MiB, $("$root/sema" version)"
[ "$size" -lt $((40 << 20)) ] || { echo "over 40 MB"; exit 1; }
mkdir -p "$root/etc/ssl/certs" "$root/data"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || true

unshare -m bash -c '
  mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t tmpfs -o uid=1000,gid=1000,mode=0700 tmpfs "$0/data"
  exec env -i HF_HOME=/data HOST=127.0.0.1 PORT="$1" "$(command -v chroot)" --userspec=1000:1000 "$0" /sema serve' "$root" "$port" &
pid=$!
for _ in $(seq 50); do curl -sf -o /dev/null "http://127.0.0.1:$port/ready" && break; sleep 0.2; done
deploy/validate.sh "http://127.0.0.1:$port"
env -i PORT="$port" "$(command -v chroot)" --userspec=1000:1000 "$root" /sema healthcheck
kill -TERM "$pid"
wait "$pid"
echo "SIGTERM: exit $?"
