//! `keygen`: key pairs in the reference's file format. Nothing that is there is overwritten.

use crypto_simd::pem;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{kem, nike, signature};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Arguments of `keygen`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Kind of key pair
    #[arg(value_enum)]
    kind: Kind,
    /// Name of the scheme, as in configuration files; one that is not known gives the list
    scheme: String,
    /// Beginning of the two files' names; `.KIND_private.pem` and `.KIND_public.pem` follow
    #[arg(short, long, default_value = "out")]
    out: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Kem,
    Nike,
    Sign,
}

/// Makes and writes a pair.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let pair = generate(arguments.kind, &arguments.scheme)?;
    let kind = match arguments.kind {
        Kind::Kem => "kem",
        Kind::Nike => "nike",
        Kind::Sign => "sign",
    };
    let file = |half: &str| {
        let mut name = arguments.out.clone().into_os_string();
        name.push(format!(".{kind}_{half}.pem"));
        PathBuf::from(name)
    };
    let encode = |block: String, key: &[u8]| pem::encode(&block, key).map_err(|error| error.to_string());
    let private = Zeroizing::new(encode(pem::private_key_type(pair.name), &pair.private)?);
    write_new(&file("private"), &private)?;
    let public = encode(pem::public_key_type(pair.name), &pair.public)?;
    write_new(&file("public"), &public).inspect_err(|_| {
        // A half that nobody has used yet; beside a stranger's other half it would only mislead.
        let _gone = std::fs::remove_file(file("private"));
    })?;
    super::print(format_args!("{}\n{}\n", file("private").display(), file("public").display()))
}

struct Pair {
    name: &'static str,
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

fn generate(kind: Kind, scheme: &str) -> Result<Pair, String> {
    let random = &mut OsRandom;
    let (name, private, public) = match kind {
        Kind::Kem => {
            let scheme = kem::by_name(scheme).map_err(|error| error.to_string())?;
            let private = scheme.generate(random);
            let public = scheme.load(&private).map(|key| key.public_key().to_vec());
            (scheme.info().name, private, public)
        }
        Kind::Nike => {
            let scheme = nike::by_name(scheme).map_err(|error| error.to_string())?;
            let private = scheme.generate(random);
            let public = scheme.public_key(&private);
            (scheme.info().name, private, public)
        }
        Kind::Sign => {
            let scheme = signature::by_name(scheme).map_err(|error| error.to_string())?;
            let private = scheme.generate(random);
            let public = scheme.load(&private).map(|key| key.public_key().to_vec());
            (scheme.info().name, private, public)
        }
    };
    let public = public.map_err(|error| format!("{name}: {error}"))?;
    Ok(Pair { name, private, public })
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let describe = |error: std::io::Error| {
        let remedy = match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                "; keys are never overwritten: give another name with -o, or move it away"
            }
            std::io::ErrorKind::NotFound => "; check that the folder exists",
            _ => "",
        };
        format!("cannot write {}: {error}{remedy}", path.display())
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(describe)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a key file would only mislead the next start.
        let _gone = std::fs::remove_file(path);
        describe(error)
    })
}
