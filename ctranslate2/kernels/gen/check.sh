#!/usr/bin/env bash
# Fails unless the assembly is, byte for byte, what the generators write. Their
# library comes from the module proxy or cache.
set -euo pipefail
kernels=$(cd "$(dirname "$0")/.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r "$kernels/doc.go" "$kernels/gen" "$copy"
cd "$copy"
go generate doc.go
for file in *.s *stubs*.go; do
  cmp "$file" "$kernels/$file"
done
# Instructions of SSE take hundreds of cycles where the upper half of a register is not zero.
found=$(grep -nE '^[[:space:]]+[A-UW-Z][A-Z0-9]*[[:space:]].*\bX[0-9]+' ./*_amd64.s || [ $? = 1 ])
if [ -n "$found" ]; then
  printf "these instructions of SSE should be AVX's:\n%s\n" "$found" >&2
  exit 1
fi
