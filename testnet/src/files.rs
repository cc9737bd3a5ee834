//! A node's configuration file, as its operator would write it for this network.

use crate::network::{NODE_NAME, SIGNATURE_SCHEME, WIRE_KEM};
use crypto_simd::pem;
use sphinx::Geometry;
use std::net::SocketAddr;
use std::path::Path;

/// What differs between nodes of this network.
pub struct MainFile<'a> {
    /// Over what the node is dialled: the scheme of its address.
    pub scheme: &'static str,
    /// Where the node listens.
    pub address: SocketAddr,
    /// Its DataDir.
    pub data_dir: &'a Path,
    /// Where the authority listens.
    pub authority: SocketAddr,
    /// The authority's identity key.
    pub authority_identity: &'a [u8],
    /// The authority's link key.
    pub authority_link: &'a [u8],
    /// Sizes of packets.
    pub geometry: &'a Geometry,
    /// More lines of `[Server]`.
    pub server: &'a str,
    /// The lines of `[Logging]`.
    pub logging: &'a str,
    /// More sections, with their names.
    pub sections: &'a str,
}

impl MainFile<'_> {
    /// The text.
    pub fn text(&self) -> Result<String, String> {
        let key = |scheme: &str, bytes: &[u8]| {
            let text = pem::encode(&pem::public_key_type(scheme), bytes).map_err(|error| error.to_string())?;
            Ok::<_, String>(text.replace('\n', "\\n"))
        };
        let Self { scheme, address, authority, server, logging, sections, .. } = self;
        Ok(format!(
            r#"[Server]
  Identifier = "{NODE_NAME}"
  WireKEM = "{WIRE_KEM}"
  PKISignatureScheme = "{SIGNATURE_SCHEME}"
  Addresses = ["{scheme}://{address}"]
  DataDir = "{data_dir}"
{server}
[Logging]
{logging}
[[PKI.Voting.Authorities]]
  Identifier = "authority"
  IdentityPublicKey = "{identity}"
  PKISignatureScheme = "{SIGNATURE_SCHEME}"
  LinkPublicKey = "{link}"
  WireKEMScheme = "{WIRE_KEM}"
  Addresses = ["tcp://{authority}"]

{sections}
{geometry}"#,
            data_dir = self.data_dir.display(),
            identity = key(SIGNATURE_SCHEME, self.authority_identity)?,
            link = key(WIRE_KEM, self.authority_link)?,
            geometry = self.geometry.to_toml(),
        ))
    }
}
