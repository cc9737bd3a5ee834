# Installs, starts, upgrades, removes and purges the package. Prints one line for each thing that holds.
package=/given/package.deb
units=/usr/lib/systemd/system
data=/var/lib/katzensprung

say() { echo "HOLDS: $*"; }
# The limits of the units, as far as this host lets anybody raise its own.
limits=
for limit in nofile=65536 memlock=67108864 core=0; do
    if prlimit "--$limit" true 2>/dev/null; then limits="$limits --$limit"; else echo "this host does not give $limit"; fi
done
# Becomes a unit's command line, as its user, with its limits and without any capability.
unit() {
    line=$(sed -n "s/^$2=//p" "$units/$1.service")
    user=$(sed -n 's/^User=//p' "$units/$1.service")
    exec prlimit $limits setpriv --reuid="$user" --regid="$user" --init-groups \
        --bounding-set=-all --no-new-privs sh -c "umask 077; exec $line"
}
as() { user=$1; shift; setpriv --reuid="$user" --regid="$user" --init-groups --bounding-set=-all --no-new-privs "$@"; }
# wait_for WHAT COMMAND...
wait_for() {
    what=$1; shift
    for _ in $(seq 600); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "not within a minute: $what"
    cat /var/log/katzensprung*/*.log
    exit 1
}
keys() { sha256sum "$data"/*.pem /var/lib/katzensprung-dirauth/*.pem /etc/katzensprung/*; }

dpkg --install "$package"
getent passwd katzensprung katzensprung-dirauth >/dev/null
[ "$(stat -c '%U %a' "$data")" = "katzensprung 700" ]
[ "$(stat -c '%U %a' /var/lib/katzensprung-dirauth)" = "katzensprung-dirauth 700" ]
say "installed, with two users and their folders"
# Small images leave pages of documentation out.
[ -z "$(dpkg --verify katzensprung | grep -v ' /usr/share/')" ]
say "what lies there is what the package lists"
if command -v systemd-analyze >/dev/null; then
    # Where the pages of the manual cannot be shown, units are no worse.
    [ -z "$(systemd-analyze verify "$units"/katzensprung*.service 2>&1 | grep -v "Command 'man ")" ]
    say "systemd takes the units"
fi
if command -v logrotate >/dev/null; then
    logrotate --debug /etc/logrotate.d/katzensprung
    say "logrotate takes its file"
fi

# An operator brings files and keys along.
echo 127.0.0.1 mix1 auth1 auth2 auth3 >>/etc/hosts
sed 's|"/[^"]*/mix1"|"/var/lib/katzensprung"|; s|File = ".*"|File = "/var/log/katzensprung/node.log"|' \
    /given/network/mix1/katzenpost.toml >/etc/katzensprung/katzenpost.toml
sed 's|"/[^"]*/auth1"|"/var/lib/katzensprung-dirauth"|; s|File = ".*"|File = "/var/log/katzensprung-dirauth/authority.log"|' \
    /given/network/auth1/authority.toml >/etc/katzensprung/authority.toml
printf '[dataplane]\nshards = 1\nslots = 1024\n' >/etc/katzensprung/katzensprung.toml
chmod 644 /etc/katzensprung/*
install -m 600 -o katzensprung -g katzensprung /given/network/mix1/*.pem "$data/"
for node in mix1 mix2 mix3 gateway1 servicenode1; do
    install -D -m 644 "/given/network/$node/identity.public.pem" "/var/lib/$node/identity.public.pem"
done
install -m 600 -o katzensprung-dirauth -g katzensprung-dirauth /given/network/auth1/*.pem /var/lib/katzensprung-dirauth/
as katzensprung katzensprung server -f /etc/katzensprung/katzenpost.toml --validate-only
as katzensprung katzensprung server -f /etc/katzensprung/katzenpost.toml -g
as katzensprung-dirauth katzensprung dirauth -f /etc/katzensprung/authority.toml --validate-only
say "the configuration is valid for the users who run it"
before=$(keys)

unit katzensprung-dirauth ExecStart &
authority=$!
unit katzensprung ExecStart &
node=$!
wait_for "the node's start" grep -q "Started\." /var/log/katzensprung/node.log
wait_for "the authority's start" test -s /var/log/katzensprung-dirauth/authority.log
[ -z "$(grep -E ' (WARN|ERRO) .*locked' /var/log/katzensprung/node.log)" ]
say "node and authority run as the units start them, keys locked"

dpkg --install "$package"
kill -0 "$node"
kill -0 "$authority"
[ -S "$data/dataplane.sock" ]
[ "$(keys)" = "$before" ]
say "installed over it, while both go on"
if command -v logrotate >/dev/null; then
    logrotate --force --state /given/state /etc/logrotate.d/katzensprung
    # The test's systemctl reaches nobody here.
    kill -HUP "$node"
    wait_for "the log opened again" test -e /var/log/katzensprung/node.log
    say "the log was rotated as its user, and opened again"
fi
kill -TERM "$node" "$authority"
wait "$node"
wait "$authority"
[ ! -e "$data/dataplane.sock" ]
say "both stop with status 0, and leave no data plane"

printf '[dataplane]\nshards = 1\nslots = 1024\nrun_as_two_units = true\n' >/etc/katzensprung/katzensprung.toml
before=$(keys)
unit katzensprung-dataplane ExecStart &
plane=$!
(unit katzensprung-dataplane ExecStartPost)
unit katzensprung ExecStart &
node=$!
wait_for "a second start" sh -c "[ \$(cat /var/log/katzensprung/node.log* | grep -c 'Started\.') = 2 ]"
kill -TERM "$node"
wait "$node"
wait "$plane"
say "as two units too"

dpkg --remove katzensprung
[ ! -e /usr/bin/katzensprung ]
[ ! -e "$units/katzensprung.service" ]
[ "$(keys)" = "$before" ]
say "removed; keys and configuration are where they were"
dpkg --purge katzensprung >/given/purged
cat /given/purged
grep -q "kept $data;" /given/purged
[ ! -e /etc/logrotate.d/katzensprung ]
[ "$(keys)" = "$before" ]
say "purged; keys and configuration are where they were, and it says so"
dpkg --install "$package"
as katzensprung katzensprung server -f /etc/katzensprung/katzenpost.toml -g
[ "$(keys)" = "$before" ]
say "installed again, with the same keys"
