#!/usr/bin/env bash
# Installs what the end-to-end tests drive Weir with, the official OpenAI SDKs for Python and Node, into
# ${WEIR_TEST_CACHE:-$HOME/.cache/weir/test-env}, and prints that folder. A second run changes nothing.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${WEIR_TEST_CACHE:-$HOME/.cache/weir/test-env}"

for tool in python3 node npm; do
  if ! command -v "$tool" >/dev/null; then
    echo "tests/setup.sh: $tool is missing; the end-to-end tests need Python 3.10 and Node 20 or later" >&2
    exit 1
  fi
done

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # two runs at once would install over each other

pins="$(cat "$here"/sdk/python/requirements.txt "$here"/sdk/node/package-lock.json | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$cache/installed" 2>/dev/null || true)" != "$pins" ]; then
  rm -rf "$cache/python" "$cache/node"
  python3 -m venv "$cache/python" >&2
  "$cache/python/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/sdk/python/requirements.txt" >&2
  mkdir -p "$cache/node"
  cp "$here"/sdk/node/package.json "$here"/sdk/node/package-lock.json "$cache/node/"
  npm ci --prefix "$cache/node" --no-audit --no-fund --loglevel=error >&2
  echo "$pins" >"$cache/installed"
fi
echo "$cache"
