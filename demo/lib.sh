# Shared by demo/run and demo/stop, after tools/lib.sh: where a running demo is remembered, and how one ends.

STATE=$ROOT/build/demo/state

# Read the state of a demo that was started here: sets DEMO_WORK and DEMO_CONNECT.  False if there is none.
read_state() {
    [ -f "$STATE" ] || return 1
    DEMO_WORK=$(sed -n 's/^work=//p' "$STATE")
    DEMO_CONNECT=$(sed -n 's/^connect=//p' "$STATE")
    # nothing but a directory that demo/run made is ever removed
    case $DEMO_WORK in
        /tmp/voxanne_demo.??????) ;;
        *) die "$STATE does not name a directory of demo/run; remove it by hand" ;;
    esac
}

# Process id of the server in $1, if it runs: a pid file may outlive a crash and its number be reused, so
# the process must have the data directory as its own.
server_pid() {
    local pid
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$1/data" ] && printf '%s\n' "$pid"
}

# End the server in $1, fast and then at once, and remove the directory.
end_demo() {
    local work=$1 pid signal tick
    if [ -d "$work" ] && [ "$(id -u)" != 0 ] && [ ! -O "$work" ]; then
        die "the demo in $work belongs to $(stat -c %U "$work"); stop it as that user or as root"
    fi
    for signal in INT QUIT KILL; do
        pid=$(server_pid "$work") || break
        kill -s "$signal" "$pid" 2>/dev/null || true
        for ((tick = 0; tick < 100; tick++)); do
            [ -e "/proc/$pid" ] || break
            sleep 0.1
        done
    done
    if server_pid "$work" >/dev/null; then
        die "the server in $work could not be ended"
    fi
    rm -rf "$work"
    rm -f "$STATE"
    rmdir "$(dirname "$STATE")" "$ROOT/build" 2>/dev/null || true
}
