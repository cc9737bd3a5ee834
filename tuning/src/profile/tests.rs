use super::*;
use std::fs;

fn host(cpuinfo: &str) -> Host {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("proc")).expect("a folder");
    fs::write(root.path().join("proc/cpuinfo"), cpuinfo).expect("written");
    Host::read(root.path())
}

fn cpuinfo(vendor: &str, family: u32, model: u32, flags: &str) -> String {
    let one = |number| {
        format!(
            "processor\t: {number}\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n\
             model name\t: of a test\nflags\t\t: fpu {flags} avx2\n\n"
        )
    };
    (0..2).map(one).collect()
}

#[test]
fn processors_get_the_profile_of_their_kind() {
    let all = "avx512ifma vaes";
    for (vendor, family, model, flags, profile) in [
        ("AuthenticAMD", 23, 0x31, "", "zen2"),
        ("AuthenticAMD", 25, 0x01, "vaes", "zen3"),
        ("AuthenticAMD", 25, 0x11, all, "zen4"),
        ("AuthenticAMD", 26, 0x02, all, "zen5"),
        ("GenuineIntel", 6, 106, all, "icelake"),
        ("GenuineIntel", 6, 143, all, "icelake"),
        // A hypervisor that hides the vectors.
        ("GenuineIntel", 6, 143, "vaes", "generic"),
        ("AuthenticAMD", 25, 0x11, "", "generic"),
        ("GenuineIntel", 6, 85, "avx512f", "generic"),
        ("AuthenticAMD", 23, 0x01, "", "generic"),
    ] {
        let found = Profile::detect(&host(&cpuinfo(vendor, family, model, flags))).expect("the shipped ones are valid");
        assert_eq!(found.name, profile, "{vendor} {family} {model} {flags}");
    }
    for garbage in ["", "\u{fffd}", "flags", ":::\n:", "model : 99999999999\ncpu family : -1"] {
        assert_eq!(Profile::detect(&host(garbage)).expect("valid").name, "generic", "{garbage}");
    }
}

#[test]
fn the_shipped_ones_say_everything_and_inherit() {
    for (name, _) in SHIPPED {
        let profile = Profile::named(name).unwrap_or_else(|error| panic!("{error}"));
        let siblings = if name == GENERIC { Siblings::Leave } else { Siblings::Offline };
        assert_eq!((profile.wanted.siblings, profile.wanted.swappiness_max), (siblings, 10), "{name}");
    }
}

#[test]
fn a_file_of_an_operator_can_inherit_from_its_neighbours_and_from_the_shipped_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("ours.toml", "inherits = \"site\"\n[dataplane]\npin_cpus = \"none\"\n");
    write("site.toml", "inherits = \"zen3\"\n[wanted]\nswappiness_max = 1\n");
    let profile = Profile::named(&folder.path().join("ours.toml").display().to_string()).expect("valid");
    assert_eq!(profile.dataplane.pin_cpus, PinPolicy::None);
    assert_eq!((profile.wanted.swappiness_max, profile.wanted.siblings), (1, Siblings::Offline));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(format!("{name}.toml")).display().to_string();
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("written");
    write("loop", "inherits = \"round\"");
    write("round", "inherits = \"loop\"");
    write("itself", "inherits = \"itself\"");
    write("key", "inherits = \"generic\"\n[wanted]\nswapiness_max = 1\n");
    write("value", "inherits = \"generic\"\n[dataplane]\nshards = \"threads\"\n");
    write("kind", "inherits = \"generic\"\n[wanted]\nsomaxconn_min = \"much\"\n");
    write("batch", "inherits = \"generic\"\n[dataplane]\nbatch_max = 33\n");
    write("lacking", "[dataplane]\nshards = \"cores\"\n");
    write("orphan", "inherits = \"zen9\"");
    for (name, parts) in [
        ("loop", &["inherits from itself", "loop", "round"][..]),
        ("itself", &["inherits from itself"]),
        ("key", &["line 3", "swapiness_max", "expected one of", "swappiness_max"]),
        ("value", &["line 3", "threads", "cores", "processors"]),
        ("kind", &["line 3", "much", "u64"]),
        ("batch", &["dataplane.batch_max = 33", "1 to 32"]),
        ("lacking", &["dataplane.pin_cpus", "inherits = \"generic\""]),
        ("orphan", &["zen9", "zen5, zen4"]),
        ("missing", &["missing.toml", "cannot be read"]),
    ] {
        let message = Profile::named(&path(name)).expect_err(name).to_string();
        parts.iter().for_each(|part| assert!(message.contains(part), "{part} in {message}"));
    }
    assert!(Profile::named("zen9").expect_err("none").to_string().contains("icelake"));
}
