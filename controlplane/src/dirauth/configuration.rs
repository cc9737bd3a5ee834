//! From the file to what the state machine, the listeners and the senders go by.

use super::StartError;
use config::address::{Address, Host};
use config::authority::{AuthorityConfig, ListedNode, Network};
use config::keys::KeyPair;
use pki::VerifyingKey;
use pki::authority::{Authorities, Authority};
use pki::voting::{Configuration, Member, ReplicaMember, Topology};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// The configuration of the state machine of the authority that has this identity.
pub fn voting(config: &AuthorityConfig, identity: &KeyPair) -> Result<Configuration, StartError> {
    let authorities = authorities(config)?;
    let own = authorities.list().iter().position(|authority| authority.identity.bytes() == identity.public);
    let own = own.ok_or(pki::voting::ConfigurationError::NotListed)?;
    let scheme = config.pki_signature_scheme;
    let key = |name: &str, bytes: &[u8]| {
        VerifyingKey::new(scheme.0, bytes)
            .map_err(|error| StartError::Scheme { what: format!("the identity key of {name}"), error })
    };
    let member = |node: &ListedNode| {
        Ok(Member { name: node.identifier.clone(), identity: key(&node.identifier, &node.identity_key)? })
    };
    let members = |list: &[ListedNode]| list.iter().map(member).collect::<Result<Vec<_>, StartError>>();
    let listed = &config.members;
    let replicas = listed.replicas.iter().map(|replica| {
        Ok(ReplicaMember {
            name: replica.identifier.clone(),
            identity: key(&replica.identifier, &replica.identity_key)?,
            replica_id: replica.id,
        })
    });
    Ok(Configuration {
        authorities: Arc::new(authorities),
        own,
        scheme_text: scheme.info().name.into(),
        parameters: config.parameters,
        mixes: members(&listed.mixes)?,
        gateways: members(&listed.gateways)?,
        service_nodes: members(&listed.service_nodes)?,
        replicas: replicas.collect::<Result<_, StartError>>()?,
        topology: match &listed.topology {
            Some(layers) => {
                Topology::Fixed(layers.iter().map(|layer| layer.iter().map(|key| pki::hash(key)).collect()).collect())
            }
            None => Topology::Dynamic { layers: config.layout.layers },
        },
        geometry_hash: config.geometry.hash(),
        mix_key_bytes: mix_key_bytes(config),
    })
}

fn mix_key_bytes(config: &AuthorityConfig) -> Option<usize> {
    let (nike, kem) = (&config.geometry.nike_name, &config.geometry.kem_name);
    if kem.is_empty() {
        crypto_simd::schemes::nike::registered()
            .iter()
            .find(|info| info.name.eq_ignore_ascii_case(nike))
            .map(|info| info.public_key_bytes)
    } else {
        crypto_simd::schemes::kem::registered()
            .iter()
            .find(|info| info.name.eq_ignore_ascii_case(kem))
            .map(|info| info.public_key_bytes)
    }
}

fn authorities(config: &AuthorityConfig) -> Result<Authorities, StartError> {
    let list = config.authorities.iter().map(|authority| {
        let what = || format!("the identity key of {}", authority.identifier);
        authority.listed().map_err(|error| StartError::Scheme { what: what(), error })
    });
    let list = list.collect::<Result<_, StartError>>()?;
    Authorities::new(list).map_err(|error| StartError::Authorities(error.to_string()))
}

/// The authorities with the addresses at which this host can reach them: those of an IP family that the own addresses
/// do not show, or that is disabled, are left out; if nothing is left, all stay (pki.md 9.7).
pub fn dialled(config: &AuthorityConfig, authorities: &Authorities) -> Vec<Authority> {
    let families = Families::of(&config.network);
    let list = authorities.list().iter().zip(&config.authorities);
    list.map(|(authority, written)| Authority {
        addresses: reachable(&written.addresses, families).iter().map(|address| address.url().into()).collect(),
        ..authority.clone()
    })
    .collect()
}

/// Where authorities are, as far as that is written as an IP address.
pub fn known_addresses(config: &AuthorityConfig) -> BTreeSet<IpAddr> {
    let addresses = config.authorities.iter().flat_map(|authority| &authority.addresses);
    let ips = addresses.filter_map(|address| match &address.host {
        Host::Ip(ip) => Some(ip.to_canonical()),
        Host::Name(_) => None,
    });
    ips.collect()
}

#[derive(Clone, Copy)]
struct Families {
    v4: bool,
    v6: bool,
}

impl Families {
    fn of(network: &Network) -> Self {
        let shows = |is_family: fn(&IpAddr) -> bool| {
            let mut hosts = network.addresses.iter().map(|address| &address.host);
            // A name may stand for either.
            hosts.any(|host| match host {
                Host::Ip(ip) => is_family(&ip.to_canonical()),
                Host::Name(_) => true,
            })
        };
        Self { v4: network.dials_v4 && shows(IpAddr::is_ipv4), v6: network.dials_v6 && shows(IpAddr::is_ipv6) }
    }
}

fn reachable(addresses: &[Address], families: Families) -> Vec<&Address> {
    let is_reachable = |address: &&Address| match &address.host {
        Host::Ip(ip) if ip.to_canonical().is_ipv4() => families.v4,
        Host::Ip(_) => families.v6,
        Host::Name(_) => true,
    };
    let left: Vec<_> = addresses.iter().filter(is_reachable).collect();
    if left.is_empty() { addresses.iter().collect() } else { left }
}
