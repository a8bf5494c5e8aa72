# shellcheck shell=bash disable=SC2034
# Helpers for the scripts of this folder: sourced, never run.
# They share two habits: wait for a condition, never for a time; and say what to do when it does not come.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=$ROOT/build
DEPS=$BUILD/deps                                # libraries built from source, if the system's are too old
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/engaged   # downloads, shared by all clones of one user
KAFKA_JARS=$CACHE/kafka-$(sed -n 's:.*<kafka.version>\(.*\)</.*:\1:p' "$ROOT/scripts/kafka/pom.xml")
export PKG_CONFIG_PATH=$DEPS/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

say() { echo "${0##*/}: $*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# answers PORT: does something on this machine's loopback listen there?
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# free_port: prints a port on which nothing listens, below those that outgoing connections take.
free_port() {
    local port
    for _ in {1..100}; do
        port=$((20000 + (RANDOM << 15 | RANDOM) % 12000))
        answers "$port" || { echo "$port"; return 0; }
    done
    die "no free port between 20000 and 32000 on 127.0.0.1 in 100 attempts; what listens there? (ss -tln)"
}

# wait_for SECONDS COMMAND...: until the command succeeds; fails when it has not within SECONDS.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

# logged LOG COMMAND...: runs it silently; when it fails, shows the end of its output and fails.
logged() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null && return
    tail -n 20 "$log" >&2
    say "that was the end of $log"
    return 1
}

# configure DIR [MESON OPTION...]: a configured build folder; one that exists is left as it is.
configure() {
    [ -f "$1/build.ninja" ] ||
        logged "$BUILD/meson.log" meson setup "$1" "$ROOT" -Dpkg_config_path="$PKG_CONFIG_PATH" "${@:2}" ||
        die "meson could not configure $1"
}
