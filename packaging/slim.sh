#!/usr/bin/env bash
# The sidecar alone, as it is shipped and benchmarked: `packaging/slim.sh [OUT]`, or `just slim`.
#
# Two builds with the profile `dist`: the first counts which code runs while calls and streams go through
# it, the second is laid out by those counts, which saves a tenth of the CPU of a call. Needs what can read
# the compiler's counts: `rustup component add llvm-tools`, or LLVM's own llvm-profdata of the same age.
# For Linux with glibc. A quarter of an hour on two cores; loopback only, on the ports 19100 and 19101.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=${1:-$target/dist/weir-slim}
host=$(rustc -vV | sed -n 's/^host: //p')
built=$target/slim/$host/dist/weir
work=$(mktemp -d)
children=()
trap 'kill "${children[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT

# Whatever reads the counts must know the compiler's way of writing them: of its LLVM, or a later one.
wanted=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
profdata=
for tool in "$(rustc --print target-libdir)/../bin/llvm-profdata" "llvm-profdata-$wanted" llvm-profdata; do
  found=$("$tool" merge --version 2>/dev/null | sed -n 's/.*LLVM version \([0-9]*\).*/\1/p' | head -n 1) || true
  if [ "${found:-0}" -ge "$wanted" ]; then
    profdata=$tool
    break
  fi
done
if [ -z "$profdata" ]; then
  echo "packaging/slim.sh: llvm-profdata of LLVM $wanted or later is missing: rustup component add llvm-tools (Debian: apt-get install llvm-$wanted)" >&2
  exit 2
fi

# --target, so that what runs while compiling (build scripts, macros) does not count.
build() {
  RUSTFLAGS="${RUSTFLAGS:-} $*" cargo build --locked --profile dist --target "$host" --target-dir "$target/slim" \
    -p weir --no-default-features --features sidecar,mimalloc2
}

# Waits until somebody listens there.
listens() {
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  echo "packaging/slim.sh: nobody listens on port $1" >&2
  cat "$work/log" >&2
  exit 1
}

for tool in mock-upstream stream-load; do
  cargo build --release --target-dir "$target/slim" --manifest-path "benches/gateway/$tool/Cargo.toml"
done
# What was built by other counts counts as fresh: cargo looks at the file's name.
rm -rf "${target:?}/slim/$host"
echo "packaging/slim.sh: the build that counts" >&2
build "-Cprofile-generate=$work/counts"
cp "$built" "$work/weir"

echo "packaging/slim.sh: calls to be counted" >&2
tools=$target/slim/release
"$tools/mock-upstream" --listen 127.0.0.1:19100 --default chunks=200,delay_us=1000,stamp=1 >"$work/log" 2>&1 &
children+=($!)
listens 19100
"$work/weir" sidecar --listen 127.0.0.1:19101 --upstream http://127.0.0.1:19100/v1 --data "$work/data" >"$work/log" 2>&1 &
sidecar=$!
children+=("$sidecar")
listens 19101
url=http://127.0.0.1:19101/v1/chat/completions
# Prose and code of this repository in pieces of a usual prompt's size, as plain words: no JSON to escape.
cat README.md docs/specs/*.md src/journal/src/*.rs | tr -c 'a-zA-Z0-9.,:;()=+*/_-' ' ' | split -b 2048 - "$work/text-"
for text in "$work"/text-*; do
  printf '{"model":"mock","messages":[{"role":"user","content":"%s"}]}' "$(cat "$text")" >"$work/body"
  "$tools/stream-load" closed --url "$url" --conns 8 --secs 0.1 --warmup 1 --body "$work/body" >/dev/null
done
"$tools/stream-load" closed --url "$url" --conns 32 --secs 10 >/dev/null
"$tools/stream-load" stream --url "$url" --conns 32 --streams 256 >/dev/null
# It writes its counts as it leaves.
kill "$sidecar"
wait "$sidecar" || { cat "$work/log" >&2; exit 1; }
"$profdata" merge -o "$work/weir.profdata" "$work/counts"

flags="-Cprofile-use=$work/weir.profdata"
# Relocations in a hundredth of the space, 1 MiB of an idle sidecar's memory: if the loader can read them.
glibc=$(getconf GNU_LIBC_VERSION | sed 's/^glibc //')
if [ "$(printf '%s\n' 2.36 "$glibc" | sort -V | head -n 1)" = 2.36 ]; then
  flags+=" -Clink-arg=-Wl,-z,pack-relative-relocs"
fi
echo "packaging/slim.sh: the build by the counts" >&2
build "$flags"
mkdir -p "$(dirname "$out")"
cp "$built" "$out"
echo "$out"
