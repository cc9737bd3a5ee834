use super::*;
use std::os::unix::fs::PermissionsExt;

fn geometry() -> Geometry {
    Geometry::nike("x25519", 2000, 5, true).unwrap()
}

/// As the reference writes it (server.md 1.9).
const OF_THE_REFERENCE: &str = r#"Hostname = "mix1"
MeasuredAt = 2026-01-02T03:04:05.123456789Z
NumCPU = 4
OpsPerSecPerCore = 896.8
OpsPerSecSaturated = 359.3
IterationTime = "1.115074ms"
"#;

#[test]
fn the_references_file_is_read_and_ours_is_one_of_that_kind() {
    let known = SelfCheck::of_toml(OF_THE_REFERENCE).unwrap();
    assert_eq!((known.processors, known.solo_per_second, known.saturated_per_second), (4, 896.8, 359.3));
    assert!(known.is_of("mix1", 4) && known.is_of("", 4));
    assert!(!known.is_of("mix2", 4) && !known.is_of("mix1", 8));
    let written = SelfCheck {
        hostname: "mix\"1".into(),
        measured_at: "2026-01-02T03:04:05.123456789Z".into(),
        iteration: Duration::from_nanos(1_115_074),
        ..known.clone()
    };
    let read = SelfCheck::of_toml(&written.to_toml()).unwrap();
    assert_eq!(read.hostname, "mix\"1");
    assert!(written.to_toml().contains("\nIterationTime = \"1.115074ms\"\n"), "{}", written.to_toml());
    let whole = OF_THE_REFERENCE.replace("359.3", "359.0");
    assert_eq!(SelfCheck::of_toml(&whole).unwrap().saturated_per_second, 359.0);
    for bad in ["", "NumCPU = 4", "NumCPU = -1\nOpsPerSecPerCore = 1.0\nOpsPerSecSaturated = 1.0", "\0"] {
        assert_eq!(SelfCheck::of_toml(bad), None, "{bad:?}");
    }
}

#[test]
fn durations_are_written_as_go_does() {
    for (nanos, text) in [
        (0, "0ns"),
        (999, "999ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_115_074, "1.115074ms"),
        (3_000_000_001, "3.000000001s"),
    ] {
        assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
    }
}

#[test]
fn it_is_measured_once_per_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let log = Log::silent();
    let measured = known_or_measured(folder.path(), &geometry(), &log);
    assert!(measured.solo_per_second > 0.0 && measured.saturated_per_second > 0.0);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    let again = known_or_measured(folder.path(), &geometry(), &log);
    assert_eq!(again.solo_per_second, measured.solo_per_second);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    // Another host's, and no self-check's at all: replaced.
    let other = text.replace("NumCPU = ", "NumCPU = 9");
    for damaged in [other.as_str(), "garbage"] {
        fs::write(&path, damaged).unwrap();
        let new = known_or_measured(folder.path(), &geometry(), &log);
        assert!(new.is_of(&hostname(), processors()) && new.solo_per_second > 0.0);
        assert_ne!(fs::read_to_string(&path).unwrap(), damaged);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_folder_that_takes_no_file_costs_only_the_memory_of_it() {
    let measured = known_or_measured(Path::new("/proc/nowhere"), &geometry(), &Log::silent());
    assert!(measured.solo_per_second > 0.0);
}
