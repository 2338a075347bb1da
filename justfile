# The one entry for people and CI. `just` lists what there is.

_default:
    @just --list

# Formatting, lints, size of files.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test -p weir --test house

# Everything, the end-to-end tests with the official SDKs included (Python 3.10 and Node 20 or later).
test:
    cargo test --workspace

# A Kafka at 127.0.0.1:9092 with its data in ~/.cache/weir/kafka: `just kafka up`, `just kafka down`, …
kafka *ARGS:
    tests/kafka/kafka.sh {{ARGS}}

# Faults of all kinds at sidecars, Kafka, analytics and their disks, for so long: `just chaos 60m`.
chaos TIME="10m":
    WEIR_CHAOS_SECONDS="$(( $(echo {{TIME}} | sed 's/s$//; s/m$/*60/; s/h$/*3600/') ))" cargo test -p weir --test kafka chaos::long -- --ignored --nocapture

# Writes golden files and generated documents anew; review the diff.
golden:
    UPDATE_GOLDEN=1 cargo test -p weir-event -p weir-provider -p weir-query
    UPDATE_GOLDEN=1 cargo test -p weir-lake --lib
    UPDATE_GOLDEN=1 cargo test -p weir --test house
    git --no-pager diff --stat

# Benchmarks: all, or a part of them.
bench *PARTS:
    benches/run.sh {{PARTS}}

# Fuzzes a target of the guard, rule_file, normaliser or stream, for so many seconds (needs cargo-fuzz and nightly).
fuzz TARGET SECONDS="60":
    WEIR_FUZZ_CORPUS="$PWD/src/guard/fuzz/corpus" cargo test -p weir-guard --test fuzz write_the_corpus
    cd src/guard && cargo +nightly fuzz run {{TARGET}} -- -max_total_time={{SECONDS}} -max_len=2000 -timeout=20

# The API documentation of the crates.
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, advisories and duplicates of what we depend on (needs cargo-deny).
deny:
    cargo deny check

# The sidecar alone, without lake and SQL, for a container beside each app: two builds, the second by what the first counted.
slim *OUT:
    packaging/slim.sh {{OUT}}

# What is shipped.
dist:
    cargo build --profile dist -p weir
