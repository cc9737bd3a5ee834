# Builds the image and runs a node of it as docs/operating/install.md says. Prints one line for each thing that holds.
# Arguments: a folder with the image's recipe in `image`, and a network's files in `network`. Exit status 77: this host
# has no such containers.
set -eu
given=$1
config=$given/config
seccomp=/usr/share/containers/seccomp.json

# Engines want one kind of cgroups, whatever the host mixes.
mount --make-rprivate / || exit 77
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 77

say() { echo "HOLDS: $*"; }
# Nothing of the host's own containers is touched.
engine() {
    podman --root "$given/storage" --runroot "$given/run" --storage-driver vfs --cgroup-manager cgroupfs \
        --events-backend none --log-level error "$@"
}
# What the page says, with limits as far as this host lets anybody raise its own.
flags="--network host --cgroups disabled --read-only --cap-drop all --security-opt no-new-privileges --ulimit nproc=4096:4096"
for limit in nofile:65536 memlock:67108864; do
    name=${limit%:*} value=${limit#*:}
    prlimit "--$name=$value:$value" true 2>/dev/null || value=$(prlimit "--$name" --noheadings --output HARD | tr -d ' ')
    flags="$flags --ulimit $name=$value:$value"
done
flags="$flags -v $config:/etc/katzensprung:ro -v katzensprung:/var/lib/katzensprung"
# wait_for COUNT TEXT: until the container's log has so many lines with it.
wait_for() {
    for _ in $(seq 600); do
        [ "$(engine logs mix 2>&1 | grep -c "$2")" -lt "$1" ] || return 0
        sleep 0.1
    done
    echo "not within a minute: $2"
    engine logs mix
    exit 1
}
volume() { engine volume inspect katzensprung --format '{{.Mountpoint}}'; }
keys() { (cd "$(volume)" && sha256sum ./*.pem); }
ended_with() { [ "$(engine inspect mix --format '{{.State.ExitCode}}')" = "$1" ]; }

mkdir "$config"
engine build --quiet --tag katzensprung "$given/image" >/dev/null
if ! engine run --rm $flags katzensprung --version >"$given/version" 2>"$given/refused"; then
    cat "$given/refused" >&2
    # An engine that starts nothing here at all is none.
    if grep -q 'OCI\|crun\|runc\|netavark' "$given/refused"; then exit 77; fi
    exit 1
fi
grep -q '^katzensprung ' "$given/version"
say "built from nothing, and run as its user on a read-only root without a capability"

if engine run --rm $flags katzensprung >"$given/output" 2>&1; then exit 1; fi
grep -q 'error: /etc/katzensprung/katzenpost.toml.*cannot be read' "$given/output"
say "without a configuration it says which file it wants"

sed 's|"/[^"]*/mix1"|"/var/lib/katzensprung"|; s|File = ".*"|File = ""|
    s|^\[Server\]|&\n  PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = "/var/lib/katzensprung/kept"|' "$given/network/mix1/katzenpost.toml" \
    >"$config/katzenpost.toml"
printf '[dataplane]\nshards = 1\nslots = 1024\n' >"$config/katzensprung.toml"
chmod -R a+rX "$config"
hosts="--add-host auth1:127.0.0.1 --add-host auth2:127.0.0.1 --add-host auth3:127.0.0.1"
flags="$flags $hosts --add-host mix1:127.0.0.1"
engine run --rm $flags katzensprung server -f /etc/katzensprung/katzenpost.toml -g
[ "$(stat -c '%u %a' "$(volume)")" = "10001 700" ]
before=$(keys)
say "makes its keys in the volume, which is its user's alone"

engine run --detach --name mix $flags katzensprung >/dev/null
wait_for 1 "Started\."
engine exec mix /usr/bin/katzensprung ctl -f /etc/katzensprung/katzenpost.toml STATUS >"$given/status" || { cat "$given/status"; engine logs mix; exit 1; }
grep -q "data plane" "$given/status"
say "runs, logs to the engine, and answers ctl"
if [ -e "$seccomp" ] && ! grep -q io_uring_setup "$seccomp"; then
    engine logs mix 2>&1 | grep -q 'input and output: epoll, because'
    say "goes over epoll as the engine's profile refuses io_uring, and says so"
fi
engine stop --time 60 mix >/dev/null
ended_with 0
ls "$(volume)"/kept/mixkey-*.bin "$(volume)"/kept/replays-*.bin >/dev/null
say "stops with status 0 at SIGTERM, with its mix keys in the volume where it is told so"
engine start mix >/dev/null
wait_for 2 "Started\."
if ls "$(volume)"/kept/mixkey-*.bin >/dev/null 2>&1; then exit 1; fi
engine restart --time 60 mix >/dev/null
wait_for 3 "Started\."
[ "$(keys)" = "$before" ]
say "started and restarted with the same keys"
engine kill --signal KILL mix >/dev/null
engine wait mix >/dev/null
engine start mix >/dev/null
wait_for 4 "Started\."
[ "$(keys)" = "$before" ]
say "started again after it was killed"
engine stop --time 60 mix >/dev/null
engine rm mix >/dev/null
if [ -e "$seccomp" ] && command -v jq >/dev/null; then
    jq '.syscalls += [{names: ["io_uring_setup", "io_uring_enter", "io_uring_register"], action: "SCMP_ACT_ALLOW"}]' \
        "$seccomp" >"$given/with-io_uring.json"
    flags="$flags --security-opt seccomp=$given/with-io_uring.json"
fi
engine run --detach --name mix $flags katzensprung >/dev/null
wait_for 1 "Started\."
[ "$(keys)" = "$before" ]
if engine logs mix 2>&1 | grep -q 'input and output: uring'; then
    say "goes over io_uring with a profile that has its three calls"
fi
engine stop --time 60 mix >/dev/null
ended_with 0
say "another container goes on with the volume"
