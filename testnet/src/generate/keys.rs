//! Key pairs and their four files (server.md 1.6, pki.md 13.2).

use super::TextFile;
use crate::settings::Settings;
use crypto_simd::pem;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{Kem, Signature};
use std::path::Path;
use zeroize::Zeroizing;

/// A private key and the public one that goes with it.
pub struct KeyPair {
    private: Zeroizing<Vec<u8>>,
    public: Vec<u8>,
}

/// The keys of a member.
pub struct Keys {
    /// Signs.
    pub identity: KeyPair,
    /// Links.
    pub link: KeyPair,
}

impl KeyPair {
    /// A pair for signatures from the text of its private key's file.
    pub fn read(scheme: &dyn Signature, private: &str) -> Result<Self, String> {
        let expected = pem::private_key_type(scheme.info().name);
        let private = pem::decode(private, &expected).map_err(|error| error.to_string())?;
        Self::of_signature(scheme, Zeroizing::new(private))
    }

    /// A pair for signatures.
    pub fn of_signature(scheme: &dyn Signature, private: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        let public = scheme.load(&private).map_err(|error| error.to_string())?.public_key().to_vec();
        Ok(Self { private, public })
    }

    fn of_kem(scheme: &dyn Kem, private: Zeroizing<Vec<u8>>) -> Result<Self, String> {
        let public = scheme.load(&private).map_err(|error| error.to_string())?.public_key().to_vec();
        Ok(Self { private, public })
    }

    /// What others may see.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    fn files(&self, scheme: &str, folder: &Path, stem: &str) -> Result<[TextFile; 2], String> {
        let encode = |block: String, key: &[u8]| pem::encode(&block, key).map_err(|error| error.to_string());
        let private = encode(pem::private_key_type(scheme), &self.private)?;
        let public = encode(pem::public_key_type(scheme), &self.public)?;
        Ok([
            TextFile::new(folder.join(format!("{stem}.private.pem")), private),
            TextFile::new(folder.join(format!("{stem}.public.pem")), public),
        ])
    }
}

impl Clone for KeyPair {
    fn clone(&self) -> Self {
        Self { private: self.private.clone(), public: self.public.clone() }
    }
}

impl Keys {
    /// A new link key, and a new identity key if there is none.
    pub fn generate(settings: &Settings, identity: Option<&KeyPair>) -> Result<Self, String> {
        let (signature, kem) = (settings.signature, settings.wire_kem);
        let identity = match identity {
            Some(known) => known.clone(),
            None => KeyPair::of_signature(signature, signature.generate(&mut OsRandom))?,
        };
        Ok(Self { identity, link: KeyPair::of_kem(kem, kem.generate(&mut OsRandom))? })
    }

    /// The four files, with their paths below the network's folder.
    pub fn files(&self, settings: &Settings, folder: &Path) -> Result<Vec<TextFile>, String> {
        let identity = self.identity.files(settings.signature.info().name, folder, "identity")?;
        let link = self.link.files(settings.wire_kem.info().name, folder, "link")?;
        Ok(identity.into_iter().chain(link).collect())
    }
}
