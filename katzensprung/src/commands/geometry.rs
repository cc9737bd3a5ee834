//! `geometry`: the table `[SphinxGeometry]` for a configuration file, with the hash that documents carry.

use sphinx::{Geometry, GeometryError};

/// Arguments of `geometry`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mix layers; packets have two hops more
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=18))]
    layers: u8,
    /// Bytes of a user's payload
    #[arg(long, default_value_t = 2000, value_parser = payload_length)]
    payload_length: usize,
    /// NIKE scheme (the default is x25519)
    #[arg(long, conflicts_with = "kem")]
    nike: Option<String>,
    /// KEM scheme, instead of a NIKE
    #[arg(long)]
    kem: Option<String>,
}

fn payload_length(text: &str) -> Result<usize, String> {
    let max = sphinx::geometry::USER_FORWARD_PAYLOAD_BYTES_MAX;
    let number = text.parse().ok().filter(|bytes| (1..=max).contains(bytes));
    number.ok_or_else(|| format!("write a number from 1 to {max}"))
}

/// Prints the geometry.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let hops = usize::from(arguments.layers) + 2;
    let (option, geometry) = match &arguments.kem {
        Some(name) => ("--kem", Geometry::kem(name, arguments.payload_length, hops, true)),
        None => {
            let name = arguments.nike.as_deref().unwrap_or("x25519");
            ("--nike", Geometry::nike(name, arguments.payload_length, hops, true))
        }
    };
    let geometry = geometry.map_err(|error| match error {
        GeometryError::UnknownScheme { source, .. } => format!("{option}: {source}"),
        other => other.to_string(),
    })?;
    let hash: String = geometry.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    super::print(format_args!("# hash {hash}\n{}", geometry.to_toml()))
}
