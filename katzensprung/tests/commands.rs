//! What the subcommands do when all is well.

use crate::support::folder::Folder;
use crate::support::program::{finish, program, run};
use crypto_simd::pem;
use crypto_simd::schemes::{kem, nike, signature};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

#[test]
fn validate_only_touches_nothing() {
    let folder = Folder::new();
    let before = folder.files();
    let stdout = folder.serve(&["--validate-only"]).succeeded();
    assert_eq!(stdout, format!("configuration file '{}' is valid\n", folder.config().display()));
    assert_eq!(folder.files(), before);
    assert!(!folder.data_dir().exists());
}

#[test]
fn validate_only_is_strict_where_a_start_warns() {
    let folder = Folder::new();
    folder.edit("Level = ", "Levle = ");
    folder.serve(&["--validate-only"]).refused(&["error: ", "katzenpost.toml", "Logging.Levle", "Level"]);
    let outcome = folder.serve(&["-g"]);
    assert!(outcome.stderr.contains("warning: ") && outcome.stderr.contains("Logging.Levle"), "{outcome:?}");
    outcome.succeeded();
}

#[test]
fn generate_only_makes_keys_once() {
    let folder = Folder::new();
    folder.serve(&["-g"]).succeeded();
    let made = folder.files();
    for name in ["identity.private.pem", "identity.public.pem", "link.private.pem", "link.public.pem"] {
        let mode = fs::metadata(folder.data(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert_eq!(fs::metadata(folder.data_dir()).unwrap().permissions().mode() & 0o7777, 0o700);
    for _ in 0..2 {
        folder.serve(&["--generate-only"]).succeeded();
        assert_eq!(folder.files(), made);
    }
    fs::remove_file(folder.data("link.private.pem")).unwrap();
    fs::remove_file(folder.data("link.public.pem")).unwrap();
    folder.serve(&["-g"]).succeeded();
    let again = folder.files();
    for name in ["identity.private.pem", "identity.public.pem"] {
        assert_eq!(again[&folder.data(name)], made[&folder.data(name)], "{name}");
    }
    assert_ne!(again[&folder.data("link.public.pem")], made[&folder.data("link.public.pem")]);
}

#[test]
fn a_configuration_file_can_ask_for_keys_only() {
    let folder = Folder::new();
    folder.edit("[Management]", "[Debug]\n  GenerateOnly = true\n\n[Management]");
    folder.serve(&[]).succeeded();
    assert!(folder.data("link.public.pem").exists());
}

#[test]
fn a_link_called_server_is_the_reference_command() {
    let folder = Folder::new();
    let link = folder.path().join("server");
    symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).unwrap();
    let stdout = finish(Command::new(&link).arg("--validate-only").arg("-f").arg(folder.config())).succeeded();
    assert!(stdout.ends_with("is valid\n"), "{stdout}");
    // As old unit files spell it, and from the environment.
    let mut short = std::ffi::OsString::from("-f");
    short.push(folder.config());
    finish(Command::new(&link).arg("-g").arg(short)).succeeded();
    assert!(folder.data("identity.private.pem").exists());
    finish(program().env("KATZENPOST_CONFIG", folder.config()).args(["server", "--validate-only"])).succeeded();
    // The default is the file in the current folder.
    finish(Command::new(&link).arg("--validate-only").current_dir(folder.path())).succeeded();
    for flag in ["-v", "--version"] {
        let version = finish(Command::new(&link).arg(flag)).succeeded();
        assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    }
    for flag in ["-h", "--help"] {
        let help = finish(Command::new(&link).arg(flag)).succeeded();
        assert!(help.contains("--validate-only") && help.contains("--generate-only"), "{help}");
    }
}

#[test]
fn any_name_takes_the_arguments_of_the_reference() {
    let folder = Folder::new();
    let config = folder.config().display().to_string();
    for name in ["katzenpost-mixserver", "pq-katzenpost-mixserver", "meson-server", "katzensprung"] {
        let link = folder.path().join(name);
        symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).unwrap();
        let run = |arguments: &[&str]| finish(Command::new(&link).args(arguments));
        for arguments in [
            &["-f", &config, "--validate-only"][..],
            &["--validate-only", "-f", &config],
            &[&format!("--config={config}"), "--validate-only"],
            &["server", "--validate-only", "-f", &config],
        ] {
            assert!(run(arguments).succeeded().ends_with("is valid\n"));
        }
        run(&["-g", "-f", &config]).succeeded();
        assert!(run(&["geometry"]).succeeded().contains("[SphinxGeometry]"));
        assert!(run(&["--help"]).succeeded().contains("keygen"));
        assert!(run(&["--version"]).succeeded().contains(env!("CARGO_PKG_VERSION")));
        run(&["-f", "/nonexistent"]).refused(&["/nonexistent", "cannot be read"]);
    }
}

#[test]
fn keygen_makes_every_scheme_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let built_in = |kind: &str, name: &str| match kind {
        "kem" => kem::by_name(name).is_ok(),
        "nike" => nike::by_name(name).is_ok(),
        _ => signature::by_name(name).is_ok(),
    };
    let kinds = [
        ("kem", kem::registered().iter().map(|info| info.name).collect::<Vec<_>>()),
        ("nike", nike::registered().iter().map(|info| info.name).collect()),
        ("sign", signature::registered().iter().map(|info| info.name).collect()),
    ];
    let mut made = 0;
    for (kind, names) in kinds {
        for name in names {
            let out = folder.path().join(format!("{kind}-{name}"));
            let arguments = ["keygen", kind, name, "-o", out.to_str().unwrap()];
            if !built_in(kind, name) {
                run(arguments).refused(&[name, "not built in"]);
                continue;
            }
            let stdout = run(arguments).succeeded();
            let files: Vec<&str> = stdout.lines().collect();
            assert_eq!(files.len(), 2, "{stdout}");
            let read = |file: &str| fs::read_to_string(file).unwrap();
            let before = [read(files[0]), read(files[1])];
            let private = pem::decode(&before[0], &pem::private_key_type(name)).unwrap();
            let public = pem::decode(&before[1], &pem::public_key_type(name)).unwrap();
            assert_ne!(private, public);
            assert_eq!(fs::metadata(files[0]).unwrap().permissions().mode() & 0o7777, 0o600);
            run(arguments).refused(&[files[0], "cannot write", "exists", "another name with -o"]);
            // With the private half moved away, the public one must not be replaced by a stranger's.
            fs::remove_file(files[0]).unwrap();
            run(arguments).refused(&[files[1], "cannot write", "exists"]);
            assert_eq!(read(files[1]), before[1]);
            assert!(!fs::exists(files[0]).unwrap(), "half a pair was left");
            made += 1;
        }
    }
    assert!(made >= 8, "{made} schemes");
    run(["keygen", "kem", "Kyber1", "-o", folder.path().join("x").to_str().unwrap()])
        .refused(&["Kyber1", "built in are: "]);
    run(["keygen", "kem", "xwing", "-o", "/nonexistent/x"])
        .refused(&["/nonexistent/x.kem_private.pem", "cannot write"]);
}

#[test]
fn geometry_prints_what_a_configuration_file_may_hold() {
    for arguments in [
        &["geometry"][..],
        &["geometry", "--nike", "x448"],
        &["geometry", "--kem", "xwing"],
        &["geometry", "--kem", "mlkem768-x25519", "--payload-length", "5000"],
        &["geometry", "--layers", "5", "--payload-length", "1"],
    ] {
        let table = run(arguments).succeeded();
        let folder = Folder::new();
        let text = fs::read_to_string(folder.config()).unwrap();
        let (before, _) = text.split_once("[SphinxGeometry]").unwrap();
        fs::write(folder.config(), format!("{before}{table}")).unwrap();
        folder.serve(&["--validate-only"]).succeeded();
    }
    run(["geometry", "--nike", "x25518"]).refused(&["--nike", "x25518", "built in are"]);
    run(["geometry", "--nike", "x25519", "--kem", "xwing"]).refused(&["cannot be used with"]);
    run(["geometry", "--layers", "19"]).refused(&["19", "--layers"]);
    for length in ["99999999999", "0", "-5", "67108865", "many"] {
        run(["geometry", &format!("--payload-length={length}")]).refused(&[length, "from 1 to 67108864"]);
    }
}

#[test]
fn fetch_says_what_each_authority_said() {
    let folder = Folder::new();
    let config = folder.config();
    let outcome = run(["fetch", "-f", config.to_str().unwrap()]);
    outcome.refused(&["authority: ", "onnect"]);
    assert!(outcome.stderr.contains("no document for epoch") && !outcome.stderr.contains("--help"), "{outcome:?}");
}
