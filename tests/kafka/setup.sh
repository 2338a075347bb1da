#!/usr/bin/env bash
# Fetches Apache Kafka from Maven Central into ${WEIR_TEST_CACHE:-$HOME/.cache/weir/test-env}/kafka/VERSION,
# and prints that folder. A second run changes nothing and needs no network.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cache="${WEIR_TEST_CACHE:-$HOME/.cache/weir/test-env}"
version="$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")"
kafka="$cache/kafka/$version"

if ! command -v java >/dev/null; then
  echo "tests/kafka/setup.sh: java is missing; Kafka needs Java 17 or later (Debian: default-jre-headless)" >&2
  exit 1
fi
pins="$({ cat "$here/pom.xml" && ls -lL "$(command -v java)"; } | sha256sum | cut -d' ' -f1)"
if [ "$(cat "$kafka/installed" 2>/dev/null || true)" = "$pins" ]; then
  echo "$kafka"
  exit 0
fi

mkdir -p "$kafka"
exec 9>"$kafka/lock"
flock 9 # two runs at once would install over each other

if [ "$(cat "$kafka/installed" 2>/dev/null || true)" != "$pins" ]; then
  if ! command -v mvn >/dev/null; then
    echo "tests/kafka/setup.sh: mvn is missing; it fetches Kafka (Debian: maven)" >&2
    exit 1
  fi
  rm -rf "${kafka:?}/lib"
  mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$kafka/lib" >&2

  # The classes of one whole run, parsed: with them a broker starts in half the time.
  run="$(mktemp -d)"
  rm -f "$kafka/classes.jsa"
  if ! { KAFKA_HOME="$kafka" KAFKA_JVM="-XX:ArchiveClassesAtExit=$kafka/classes.jsa" \
    "$here/kafka.sh" up --dir "$run" --port 0 --parent $$ && "$here/kafka.sh" down --dir "$run"; } >"$run/out" 2>&1 9>&-; then
    cat "$run/out" >&2
    echo "tests/kafka/setup.sh: the broker does not run" >&2
    exit 1
  fi
  rm -rf "$run"
  echo "$pins" >"$kafka/installed"
fi
echo "$kafka"
