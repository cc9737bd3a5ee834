//! What the configuration of a service node means for packets and for the node's descriptor (server.md 6.3, 8.3.1).

use config::server::{BuiltInService, Role, ServiceNode};
use interplane::snapshot::{Handler, Service};
use pki::cbor::Value;
use pki::descriptor::Capabilities;
use service::BuiltIn;
use std::collections::BTreeMap;

/// The services of a node; none on other roles.
pub fn of(role: &Role) -> Option<&ServiceNode> {
    match role {
        Role::ServiceNode(services) => Some(services),
        Role::Mix | Role::Gateway(_) => None,
    }
}

/// What the data plane answers.
pub fn answered(node: &ServiceNode) -> Vec<Service> {
    let services = node.built_in.iter().filter_map(|configured| {
        // The configuration has checked that endpoints fit.
        let recipient = service::recipient(&configured.endpoint)?;
        Some(Service { recipient, handler: Handler::BuiltIn(built_in(configured.service)) })
    });
    services.collect()
}

/// What descriptors list.
pub fn capabilities(node: &ServiceNode) -> Capabilities {
    let services = node.built_in.iter().map(|configured| (configured.service.capability(), &configured.endpoint));
    services.map(|(capability, endpoint)| (capability.into(), Some(parameters(endpoint)))).collect()
}

fn parameters(endpoint: &str) -> BTreeMap<String, Value> {
    BTreeMap::from([("endpoint".into(), endpoint.into())])
}

fn built_in(service: BuiltInService) -> BuiltIn {
    match service {
        BuiltInService::Echo => BuiltIn::Echo,
        BuiltInService::TestDest => BuiltIn::TestDest,
        BuiltInService::Loop => BuiltIn::Loop,
    }
}
