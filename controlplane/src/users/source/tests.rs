use super::*;
use config::server::DataSource;

fn error(source: &str) -> String {
    Source::read(source).err().expect("it cannot be used").to_string()
}

#[test]
fn what_is_no_source_is_told_without_its_text() {
    for source in [
        "hunter2",
        "postgresql://gateway:hunter2@:x:/",
        "host=localhost pass word=hunter2",
        "host=localhost password=hunter2 colour=blue",
        "host=localhost password='hunter2",
        "host=localhost password='hunter2'x=y",
        "host=localhost password=hunter2\\",
        "=hunter2",
        "postgresql://gateway:hunter2@localhost/katzenpost?sslmode=%zz",
        "postgresql://gateway:hunter2@localhost/katzenpost?sslmode=require&colour=blue",
        "password=hunter2 user=gateway",
    ] {
        let error = error(source);
        assert!(error.starts_with("Gateway.SQLDB.DataSourceName ") && !error.contains("hunter2"), "{error}");
    }
    let shown = format!("{:?}", DataSource::new("hunter2".into()));
    assert!(!shown.contains("hunter2"));
}

#[test]
fn both_forms_are_read() {
    for source in [
        "host=/run/postgresql database=katzenpost user=gateway",
        "  host = '/run/postgresql'  dbname='katzen\\post' user='gate\\way' ",
        "postgres://gateway@[::1]:5433/katzenpost",
        "postgres://gateway@[::1]:5433/katzenpost?sslmode=disable&connect_timeout=3",
    ] {
        let source = Source::read(source).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((source.config.get_dbname(), source.config.get_user()), (Some("katzenpost"), Some("gateway")));
    }
    let source =
        Source::read("host=a password='it\\'s a \\\\ secret' user=b").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(source.config.get_password(), Some(b"it's a \\ secret".as_slice()));
    assert_eq!(source.config.get_hosts(), [Host::Tcp("a".into())]);
    let source = Source::read("postgresql://a:b%3Fc@d?connect_timeout=3").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(source.config.get_password(), Some(b"b?c".as_slice()));
}

#[test]
fn what_is_said_of_tls_is_told_by_key_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no certificates.pem");
    std::fs::write(&path, "nothing\n").unwrap();
    let escaped = path.display().to_string().replace(' ', "%20");
    for (source, says) in [
        ("host=a sslmode=verify", "has sslmode=verify, which is none; write disable, prefer"),
        ("host=a sslmode=verify-full", "has sslmode=verify-full and no sslrootcert; write the path"),
        ("postgres://a?sslmode=verify-ca", "has sslmode=verify-ca and no sslrootcert; write the path"),
        (
            "host=a sslmode=verify-full sslrootcert=/nowhere/ca.pem",
            "has sslrootcert=/nowhere/ca.pem, which cannot be read",
        ),
        ("postgres://a?sslmode=require&sslrootcert=%2Fnowhere", "has sslrootcert=/nowhere, which cannot be read"),
        ("host=/run/postgresql sslmode=require", "has sslmode=require and a socket of this host"),
        ("postgres://%2Frun/x?sslmode=verify-full", "has sslmode=verify-full and a socket of this host"),
        (&format!("host=a sslmode=verify-ca sslrootcert='{}'", path.display()), "in which there is no certificate"),
        (&format!("postgres://a?sslrootcert={escaped}&sslmode=verify-ca"), "in which there is no certificate"),
    ] {
        let error = error(source);
        assert!(error.contains(says), "{source}: {error}");
    }
    for (source, mode) in [
        ("host=a", SslMode::Prefer),
        ("host=a sslmode=disable sslrootcert=/nowhere", SslMode::Disable),
        ("host=a sslmode=require", SslMode::Require),
        ("postgres://a?sslmode=require", SslMode::Require),
    ] {
        let source = Source::read(source).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.config.get_ssl_mode(), mode);
    }
}
