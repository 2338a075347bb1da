#!/usr/bin/env bash
# A real Kafka on a bare machine: one KRaft node, on loopback, with its data in a folder.
#
#   kafka.sh up      [--dir DIR] [--port N] [--secure] [--advertise N] [--parent PID]
#                                   starts it, prints its address
#   kafka.sh down    [--dir DIR]    ends it           kafka.sh stop [--dir DIR]   freezes it (SIGSTOP)
#   kafka.sh kill    [--dir DIR]    kill -9           kafka.sh cont [--dir DIR]   wakes it (SIGCONT)
#   kafka.sh status  [--dir DIR]    exit status 0: it runs and answers
#   kafka.sh topic|configs|produce|consume|groups|offsets [--dir DIR] [--as plain|scram|sasl-plain|mtls] ARGS…
#                                   Kafka's own tools; `tool CLASS ARGS…` runs any other
#
# DIR is ~/.cache/weir/kafka if nothing is said. DIR/env has all addresses and files as shell variables.
# `up` on a folder that has been used keeps its data, ports and listeners. --port 0 takes free ports;
# otherwise the ports N to N+4 are plain, controller, SASL_SSL, mTLS and TLS. With --advertise clients of the
# plain listener are sent to another port, behind which a proxy of the tests' may stand. With --parent the broker ends
# when that process does.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

complain() {
  echo "kafka.sh: $*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
}

command="${1:-}"
[ -n "$command" ] || usage
shift
dir="$HOME/.cache/weir/kafka" port=9092 secure=no parent="" as=plain advertise=""
rest=()
while [ $# -gt 0 ]; do
  case "$1" in
    --dir) dir="$2" && shift 2 ;;
    --port) port="$2" && shift 2 ;;
    --parent) parent="$2" && shift 2 ;;
    --advertise) advertise="$2" && shift 2 ;;
    --as) as="$2" && shift 2 ;;
    --secure) secure=yes && shift ;;
    *) rest+=("$1") && shift ;;
  esac
done
case "$command" in
  up | down | kill | stop | cont | status | watch) [ "${#rest[@]}" -eq 0 ] || complain "what is ${rest[0]}?" ;;
  topic | configs | produce | consume | groups | offsets) ;;
  tool) [ "${#rest[@]}" -gt 0 ] || usage ;;
  *) usage ;;
esac
if [ "$command" = up ]; then
  mkdir -p "$dir"
elif [ ! -f "$dir/env" ]; then
  complain "there is no broker in $dir: run \`up\` first"
fi
dir="$(cd "$dir" && pwd)"

# What starts fast counts here, not what is fast after an hour.
java_run() {
  # shellcheck disable=SC2086
  "${launch[@]}" java -Xmx"${heap:-256m}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto \
    -XX:-UsePerfData -Xlog:disable -Xlog:all=error:stderr $jvm \
    -Dorg.slf4j.simpleLogger.defaultLogLevel="${level:-error}" \
    -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
    -cp "$kafka/lib/*" "$@"
}
launch=()
jvm="${KAFKA_JVM:-}"

find_kafka() {
  kafka="${KAFKA_HOME:-$("$here/setup.sh")}"
  if [ -z "$jvm" ] && [ -f "$kafka/classes.jsa" ]; then
    jvm="-XX:SharedArchiveFile=$kafka/classes.jsa"
  fi
}

# The broker's process, if it lives: a number alone may have become that of another process.
broker() {
  local pid
  pid="$(cat "$dir/pid" 2>/dev/null)" || return 1
  [[ "$(ps -o args= -p "$pid" 2>/dev/null)" == *"kafka.Kafka $dir/server.properties" ]] && echo "$pid"
}

# Asks for the metadata without topics (version 1) and takes an answer that names one broker.
answers() {
  local answer
  answer="$(
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf '\0\0\0\016\0\003\0\001\0\0\0\007\377\377\0\0\0\0' >&3
    timeout 2 head -c 12 <&3 | od -An -tx1 | tr -d ' \n'
  )" 2>/dev/null && [ "${answer:8:16}" = 0000000700000001 ]
}

# Outside the range that outgoing connections take theirs from, so that they are still free at a restart.
free_ports() {
  python3 - "$1" <<'PY'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    s = socket.socket()
    try:
        s.bind(("127.0.0.1", random.randrange(20000, 32000)))
        held.append(s)
    except OSError:
        pass
print(*(s.getsockname()[1] for s in held))
PY
}

user=weir password=weir-test-password

# A CA, the broker's certificate and a client's, all as PEM files.
certificates() {
  mkdir -p "$dir/tls"
  (
    cd "$dir/tls"
    local newkey=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
    openssl req -x509 "${newkey[@]}" -days 3650 -subj "/CN=Weir test CA" -keyout ca.key -out ca.pem \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    for name in broker client; do
      openssl req "${newkey[@]}" -subj "/CN=weir-test-$name" -keyout "$name.key" -out "$name.csr"
      openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -out "$name.pem" \
        -extfile <(printf '%s\n' basicConstraints=CA:FALSE keyUsage=critical,digitalSignature \
          extendedKeyUsage=serverAuth,clientAuth subjectAltName=DNS:localhost,IP:127.0.0.1)
      # Kafka wants key and certificate in one file.
      cat "$name.key" "$name.pem" >"$name.both.pem"
    done
  ) >"$dir/tls.log" 2>&1 || { cat "$dir/tls.log" >&2 && complain "openssl failed"; }
}

# The broker's configuration, the clients', and the variables for tests.
configure() {
  local plain controller sasl mtls one_way tls="$dir/tls"
  if [ "$port" = 0 ]; then
    read -r plain controller sasl mtls one_way < <(free_ports 5)
  else
    plain=$port controller=$((port + 1)) sasl=$((port + 2)) mtls=$((port + 3)) one_way=$((port + 4))
  fi
  local listeners="PLAIN://127.0.0.1:$plain" map="PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT"
  if [ "$secure" = yes ]; then
    listeners+=",SASL://127.0.0.1:$sasl,MTLS://127.0.0.1:$mtls,TLS://127.0.0.1:$one_way"
    map+=",SASL:SASL_SSL,MTLS:SSL,TLS:SSL"
  fi
  cat >"$dir/server.properties" <<END
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=$listeners,CONTROLLER://127.0.0.1:$controller
advertised.listeners=${listeners/PLAIN:\/\/127.0.0.1:$plain/PLAIN:\/\/127.0.0.1:${advertise:-$plain}}
listener.security.protocol.map=$map
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
log.dirs=$dir/data
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# The controller takes a killed broker back only when its old session has run out: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# The least it takes: by default the cleaner alone holds 128 MiB.
log.cleaner.dedupe.buffer.size=4194304
num.network.threads=1
num.io.threads=2
background.threads=2
END
  cat >"$dir/env.new" <<END
KAFKA_BOOTSTRAP=127.0.0.1:$plain
END
  : >"$dir/plain.properties"
  if [ "$secure" = yes ]; then
    certificates
    local login=org.apache.kafka.common.security
    cat >>"$dir/server.properties" <<END
ssl.keystore.type=PEM
ssl.keystore.location=$tls/broker.both.pem
ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.sasl.sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.sasl.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_$user="$password";
listener.name.sasl.scram-sha-256.sasl.jaas.config=$login.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$login.scram.ScramLoginModule required;
END
    cat >>"$dir/env.new" <<END
KAFKA_BOOTSTRAP_SASL=127.0.0.1:$sasl
KAFKA_BOOTSTRAP_MTLS=127.0.0.1:$mtls
KAFKA_BOOTSTRAP_TLS=127.0.0.1:$one_way
KAFKA_CA='$tls/ca.pem'
KAFKA_CLIENT_CERT='$tls/client.pem'
KAFKA_CLIENT_KEY='$tls/client.key'
KAFKA_USER=$user
KAFKA_PASSWORD=$password
END
    local trust="ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem"
    cat >"$dir/scram.properties" <<END
security.protocol=SASL_SSL
$trust
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=$login.scram.ScramLoginModule required username="$user" password="$password";
END
    cat >"$dir/sasl-plain.properties" <<END
security.protocol=SASL_SSL
$trust
sasl.mechanism=PLAIN
sasl.jaas.config=$login.plain.PlainLoginModule required username="$user" password="$password";
END
    cat >"$dir/mtls.properties" <<END
security.protocol=SSL
$trust
ssl.keystore.type=PEM
ssl.keystore.location=$tls/client.both.pem
END
  fi
}

format() {
  # An id is base64 for URLs; one that begins with "-" would pass for an option.
  local options=(--standalone -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab' | cut -c1-22)")
  if [ "$secure" = yes ]; then
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
      options+=(--add-scram "$mechanism=[name=$user,password=$password]")
    done
  fi
  java_run kafka.tools.StorageTool format "${options[@]}" -c "$dir/server.properties" >"$dir/format.log" 2>&1 ||
    { cat "$dir/format.log" >&2 && complain "the storage cannot be formatted"; }
}

# Ends the broker when the parent is gone. Goes by itself when the broker does.
watch() {
  local pid first
  first="$(broker)"
  while pid="$(broker)" && [ "$pid" = "$first" ]; do
    kill -0 "$parent" 2>/dev/null || { kill -9 "$pid" && return; }
    sleep 0.5
  done
}

# Starts the broker and waits until it answers.
start() {
  : >"$dir/broker.log"
  # Nothing is inherited, neither the caller's pipes nor the lock: whoever reads those would wait for ever.
  local level=info heap=512m launch=(exec setsid)
  (java_run kafka.Kafka "$dir/server.properties") </dev/null >"$dir/broker.log" 2>&1 9>&- &
  local pid=$! deadline=$((SECONDS + 60))
  echo "$pid" >"$dir/pid"
  until grep -q 'Kafka Server started' "$dir/broker.log" && answers "$1"; do
    kill -0 "$pid" 2>/dev/null || return 1
    if [ "$SECONDS" -ge "$deadline" ]; then
      kill -9 "$pid" 2>/dev/null || true
      return 1
    fi
    sleep 0.05
  done
}

up() {
  find_kafka
  local made=no tries=3 address
  if broker >/dev/null; then
    [ -z "$parent" ] || complain "it runs already in $dir"
  else
    [ ! -f "$dir/env" ] || [ "$secure" = no ] || [ -d "$dir/tls" ] ||
      complain "$dir was made without --secure: take another folder"
    while :; do
      # A folder counts as made when `env` is there: what was cut off before that is made anew.
      if [ ! -f "$dir/env" ]; then
        rm -rf "$dir/data"
        configure
        format
        mv "$dir/env.new" "$dir/env"
        made=yes
      fi
      address="$(sed -n 's/^KAFKA_BOOTSTRAP=//p' "$dir/env")"
      if start "${address##*:}"; then break; fi
      # Somebody else may have taken a port since it was found free.
      tries=$((tries - 1))
      if [ "$made$port" != yes0 ] || [ "$tries" = 0 ] || ! grep -q 'Address already in use' "$dir/broker.log"; then
        tail -n 40 "$dir/broker.log" >&2
        complain "the broker does not start, see $dir/broker.log"
      fi
      rm "$dir/env"
    done
    if [ -n "$parent" ]; then
      # In a session of its own: what ends the caller's group must not end this.
      setsid "${BASH_SOURCE[0]}" watch --dir "$dir" --parent "$parent" </dev/null >/dev/null 2>&1 9>&- &
    fi
  fi
  sed -n 's/^KAFKA_BOOTSTRAP=//p' "$dir/env"
}

# Sends the signals to the broker and waits until it is gone.
end() {
  local pid deadline=$((SECONDS + 20))
  pid="$(broker)" || return 0
  for name in "$@"; do kill -s "$name" "$pid" 2>/dev/null || true; done
  while kill -0 "$pid" 2>/dev/null && [ "$(ps -o stat= -p "$pid" 2>/dev/null | cut -c1)" != Z ]; do
    [ "$SECONDS" -lt "$deadline" ] || kill -9 "$pid" 2>/dev/null || true
    sleep 0.02
  done
}

tool() {
  find_kafka
  exec 9>&-
  # shellcheck disable=SC1091
  . "$dir/env"
  local address="$KAFKA_BOOTSTRAP"
  case "$as" in
    plain) ;;
    scram | sasl-plain) address="${KAFKA_BOOTSTRAP_SASL:?made without --secure}" ;;
    mtls) address="${KAFKA_BOOTSTRAP_MTLS:?made without --secure}" ;;
    *) complain "--as is plain, scram, sasl-plain or mtls" ;;
  esac
  launch=(exec)
  local class="$1"
  shift
  java_run "$class" --bootstrap-server "$address" --command-config "$dir/$as.properties" "$@"
}

case "$command" in
  up | down | kill)
    exec 9>"$dir/lock"
    flock 9 # two commands at once would start it twice
    ;;
esac
case "$command" in
  up) up ;;
  down) end TERM CONT ;;
  kill) end KILL ;;
  stop | cont)
    pid="$(broker)" || complain "no broker runs in $dir"
    kill -s "${command^^}" "$pid"
    ;;
  status)
    # shellcheck disable=SC1091
    . "$dir/env"
    pid="$(broker)" || complain "no broker runs in $dir"
    answers "${KAFKA_BOOTSTRAP##*:}" || complain "process $pid does not answer at $KAFKA_BOOTSTRAP"
    echo "process $pid answers at $KAFKA_BOOTSTRAP"
    ;;
  topic) tool org.apache.kafka.tools.TopicCommand "${rest[@]}" ;;
  configs) tool kafka.admin.ConfigCommand "${rest[@]}" ;;
  produce) tool org.apache.kafka.tools.ConsoleProducer "${rest[@]}" ;;
  consume) tool org.apache.kafka.tools.consumer.ConsoleConsumer "${rest[@]}" ;;
  groups) tool org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "${rest[@]}" ;;
  offsets) tool org.apache.kafka.tools.GetOffsetShell "${rest[@]}" ;;
  tool) tool "${rest[@]}" ;;
  watch) watch ;; # for `up --parent`
esac
