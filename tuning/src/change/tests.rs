use super::*;
use crate::fixture::Tree;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;

const SWAPPINESS: &str = "/proc/sys/vm/swappiness";
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
const RMEM: &str = "/proc/sys/net/ipv4/tcp_rmem";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

struct Desk {
    tree: Tree,
    state: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let tree = Tree::new();
        tree.set(SWAPPINESS, "60").set(SOMAXCONN, "128").set(BOOT, "first");
        let state = tree.at("/var/tuning.json");
        Self { tree, state }
    }

    fn apply(&self, writes: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let writes: Vec<_> = writes.iter().map(|(path, value)| Write::new(*path, *value)).collect();
        let mut told = Vec::new();
        let outcome = apply(self.tree.root(), &writes, &self.state, &mut |line| told.push(line.into()));
        outcome.map(|()| told).map_err(|error| error.to_string())
    }

    fn undo(&self) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        let outcome = undo(self.tree.root(), &self.state, &mut |line| told.push(line.into()));
        outcome.map(|()| told).map_err(|error| error.to_string())
    }

    fn values(&self) -> (String, String) {
        (self.tree.get(SWAPPINESS), self.tree.get(SOMAXCONN))
    }
}

fn pair(one: &str, other: &str) -> (String, String) {
    (one.into(), other.into())
}

/// A file that can be opened for writing and read, and not written, whoever tries.
fn sealed(text: &str) -> fs::File {
    let fd = memfd_create("sealed", MemfdFlags::ALLOW_SEALING).expect("a file in memory");
    let mut file = fs::File::from(fd);
    file.write_all(text.as_bytes()).expect("written");
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW).expect("sealed");
    file
}

fn replace_by(desk: &Desk, path: &str, target: &str) {
    fs::remove_file(desk.tree.at(path)).expect("there");
    symlink(target, desk.tree.at(path)).expect("a link");
}

#[test]
fn a_second_apply_keeps_what_was_first() {
    let desk = Desk::new();
    assert_eq!(desk.apply(&[(SWAPPINESS, "10")]).unwrap(), [format!("{SWAPPINESS}: 60 -> 10")]);
    assert_eq!(desk.apply(&[(SWAPPINESS, "1"), (SOMAXCONN, "1024")]).unwrap().len(), 2);
    assert_eq!(desk.apply(&[(SWAPPINESS, "1"), (SOMAXCONN, "1024")]).unwrap(), [""; 0]);
    assert_eq!(desk.values(), pair("1", "1024"));
    assert_eq!(desk.undo().unwrap(), [format!("{SOMAXCONN}: 1024 -> 128"), format!("{SWAPPINESS}: 1 -> 60")]);
    assert_eq!(desk.values(), pair("60", "128"));
    assert!(!desk.state.exists());
    assert!(desk.undo().unwrap()[0].contains("nothing to take back"));
}

#[test]
fn the_state_is_on_the_disk_before_each_change() {
    let desk = Desk::new();
    let file = sealed("128\n");
    replace_by(&desk, SOMAXCONN, &format!("/proc/self/fd/{}", file.as_raw_fd()));
    let seen = std::cell::RefCell::new(Vec::new());
    let writes = [Write::new(SWAPPINESS, "10"), Write::new(SOMAXCONN, "1024")];
    let outcome = apply(desk.tree.root(), &writes, &desk.state, &mut |_| {
        seen.borrow_mut().push(fs::read_to_string(&desk.state).unwrap());
    });
    let message = outcome.unwrap_err().to_string();
    for part in ["1 of 2 changes are made", SOMAXCONN, "1024", "tuning undo"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(seen.borrow()[0].contains(SWAPPINESS));
    // What could not be changed is nothing to take back.
    assert_eq!(desk.undo().unwrap(), [format!("{SWAPPINESS}: 10 -> 60")]);
}

#[test]
fn a_crash_between_the_state_and_the_change_or_between_two_changes_is_undone() {
    let desk = Desk::new();
    desk.apply(&[(SWAPPINESS, "10")]).unwrap();
    // As if it had ended after it wrote down the second one.
    let mut state = State::load(desk.tree.root(), &desk.state).unwrap().unwrap();
    state.remember(SOMAXCONN, "128", "1024");
    state.save(&desk.state).unwrap();
    fs::write(desk.state.with_extension("new"), "half a fi").unwrap();
    assert_eq!(desk.undo().unwrap(), [format!("{SOMAXCONN}: is 128 as before"), format!("{SWAPPINESS}: 10 -> 60")]);
    assert_eq!(desk.values(), pair("60", "128"));
    // What such an end leaves behind does not stand in the way.
    desk.apply(&[(SWAPPINESS, "10")]).unwrap();
    assert!(!desk.state.with_extension("new").exists());
}

#[test]
fn what_others_changed_meanwhile_is_said() {
    let desk = Desk::new();
    desk.apply(&[(SWAPPINESS, "10"), (SOMAXCONN, "1024")]).unwrap();
    desk.tree.set(SWAPPINESS, "33");
    fs::remove_file(desk.tree.at(SOMAXCONN)).unwrap();
    let told = desk.undo().unwrap();
    assert_eq!(told[0], format!("{SOMAXCONN}: is not there any more"));
    assert_eq!(told[1], format!("{SWAPPINESS}: 33 -> 60 (others had changed it since, from 10)"));
    assert!(!desk.state.exists());
}

#[test]
fn nothing_is_changed_where_something_cannot_be() {
    let desk = Desk::new();
    // A setting that the kernel lets nobody change.
    replace_by(&desk, SOMAXCONN, "/proc/sys/kernel/ostype");
    let message = desk.apply(&[(SWAPPINESS, "10"), (SOMAXCONN, "1024"), (RMEM, "1 2 3")]).unwrap_err();
    for part in ["nothing was changed", SOMAXCONN, RMEM, "as root", "--stage"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(desk.tree.get(SWAPPINESS), "60");
    assert!(!desk.state.exists());
    assert!(desk.apply(&[("/etc/passwd", "x")]).unwrap_err().contains("is no setting of a host"));
}

#[test]
fn nothing_is_changed_without_a_place_for_the_state() {
    let mut desk = Desk::new();
    fs::write(desk.tree.at("/file"), "").unwrap();
    // No folder; and a disk that is full, as the kernel's own file systems let nobody make files.
    for state in [desk.tree.at("/file/tuning.json"), "/proc/self/tuning.json".into()] {
        desk.state = state;
        let message = desk.apply(&[(SWAPPINESS, "10")]).unwrap_err();
        assert!(message.contains("tuning.json"), "{message}");
        assert_eq!(desk.values(), pair("60", "128"));
    }
}

#[test]
fn what_cannot_be_put_back_stays_in_the_state() {
    let desk = Desk::new();
    desk.apply(&[(SWAPPINESS, "10"), (SOMAXCONN, "1024")]).unwrap();
    let file = sealed("1024\n");
    replace_by(&desk, SOMAXCONN, &format!("/proc/self/fd/{}", file.as_raw_fd()));
    let message = desk.undo().unwrap_err();
    assert!(message.contains(SOMAXCONN) && message.contains("run it again"), "{message}");
    assert_eq!(desk.tree.get(SWAPPINESS), "60");
    fs::remove_file(desk.tree.at(SOMAXCONN)).unwrap();
    desk.tree.set(SOMAXCONN, "1024");
    assert_eq!(desk.undo().unwrap(), [format!("{SOMAXCONN}: 1024 -> 128")]);
}

#[test]
fn a_state_of_an_earlier_start_is_forgotten() {
    let desk = Desk::new();
    desk.apply(&[(SWAPPINESS, "10")]).unwrap();
    desk.tree.set(BOOT, "second").set(SWAPPINESS, "30");
    assert!(desk.undo().unwrap()[0].contains("nothing to take back"));
    desk.apply(&[(SWAPPINESS, "10")]).unwrap();
    assert_eq!(desk.undo().unwrap(), [format!("{SWAPPINESS}: 10 -> 30")]);
}

#[test]
fn a_state_of_others_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let good = r#"{"version": 1, "boot": "first", "changes": []}"#;
    let foreign = good.replace("[]", r#"[{"path": "/etc/passwd", "before": "x", "written": "y"}]"#);
    fs::create_dir_all(desk.state.parent().unwrap()).unwrap();
    for (text, part) in [
        ("", "is not what `tuning apply` writes"),
        ("{}", "is not what `tuning apply` writes"),
        ("\u{0}", "is no text"),
        (&good.replace("1", "2"), "version 2"),
        (&foreign, "/etc/passwd"),
    ] {
        fs::write(&desk.state, text).unwrap();
        fs::set_permissions(&desk.state, fs::Permissions::from_mode(0o600)).unwrap();
        for message in [desk.undo().unwrap_err(), desk.apply(&[(SWAPPINESS, "10")]).unwrap_err()] {
            assert!(message.contains(part), "{text}: {message}");
        }
        assert_eq!(fs::read_to_string(&desk.state).unwrap(), text);
    }
    fs::write(&desk.state, good).unwrap();
    fs::set_permissions(&desk.state, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(desk.undo().unwrap_err().contains("only you can write"));
    assert_eq!(desk.values(), pair("60", "128"));
}
