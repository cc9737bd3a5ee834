# Installs, upgrades and removes the RPM package. Prints one line for each thing that holds.
package=/given/package.rpm
data=/var/lib/katzensprung

say() { echo "HOLDS: $*"; }
keys() { sha256sum "$data"/*.pem /etc/katzensprung/*; }
# This host's own packages are another manager's: rpm knows none of them.
rpm() { command rpm --dbpath /given/rpm "$@"; }

rpm --initdb
rpm --install --nodeps "$package"
getent passwd katzensprung katzensprung-dirauth >/dev/null
[ "$(stat -c '%U %a' "$data")" = "katzensprung 700" ]
[ "$(stat -c '%U %a' /var/lib/katzensprung-dirauth)" = "katzensprung-dirauth 700" ]
[ -z "$(rpm --verify --nodeps katzensprung)" ]
say "installed, with two users and their folders, as it lists them"
install -m 644 /given/network/mix1/katzenpost.toml /etc/katzensprung/
sed -i 's|"/[^"]*/mix1"|"/var/lib/katzensprung"|; s|File = ".*"|File = ""|' /etc/katzensprung/katzenpost.toml
setpriv --reuid=katzensprung --regid=katzensprung --init-groups \
    katzensprung server -f /etc/katzensprung/katzenpost.toml -g
before=$(keys)
rpm --upgrade --nodeps --force "$package"
[ "$(keys)" = "$before" ]
[ -x /usr/bin/katzensprung ]
say "installed over itself, with the same keys"
rpm --erase katzensprung >/given/removed
cat /given/removed
grep -q "kept $data;" /given/removed
[ ! -e /usr/bin/katzensprung ]
[ ! -e /usr/lib/systemd/system/katzensprung.service ]
[ "$(keys)" = "$before" ]
say "removed; keys and configuration are where they were, and it says so"
