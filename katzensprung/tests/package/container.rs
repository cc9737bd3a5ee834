//! The image in a container, where there is an engine that needs no daemon.

use super::{has, held, make_network, script};
use std::path::Path;
use std::process::Command;

#[test]
fn a_node_in_a_container_is_started_stopped_restarted_and_replaced_with_its_keys() {
    if !has("podman") {
        return testhost::lacks_tool("podman");
    }
    if !rustix::process::geteuid().is_root() {
        return testhost::lacks("root", "only root can enter namespaces without a map of users");
    }
    let outside = tempfile::tempdir().unwrap();
    let image = outside.path().join("image");
    script("oci/context", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), image.to_str().unwrap()]);
    make_network(outside.path());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/package/container.sh");
    let mut command = Command::new("unshare");
    // Whatever the engine starts ends with the first process of the namespace.
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"]).arg(path).arg(outside.path());
    match held(&mut command) {
        // An engine that is there but cannot start anything is a tool that is missing, not a fault of the image.
        Err(missing) => {
            testhost::report(format_args!("podman: {}", missing.trim()));
            testhost::lacks_tool("podman");
        }
        Ok(held) => assert!(held.len() >= 8, "{held:?}"),
    }
}
