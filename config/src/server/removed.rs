//! Keys of older releases that the reference ignores today (server.md 2.12), and what became of them.

/// What became of the key with that dotted path; none for keys that never existed.
pub fn hint(path: &str) -> Option<&'static str> {
    let path: Vec<String> = path.split('.').map(|part| bare(part).to_ascii_lowercase()).collect();
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    Some(match parts.as_slice() {
        ["server", "isprovider"] => "use Server.IsGatewayNode or Server.IsServiceNode",
        ["server", "altaddresses" | "onlyadvertisealtaddresses"] => {
            "list advertised addresses in Server.Addresses and local ones in Server.BindAddresses"
        }
        ["provider"] => {
            "split it, as `config migrate` does: UserDB, SpoolDB, SQLDB, TrustOnFirstUse and EnableEphemeralClients go to \
             [Gateway], services to [ServiceNode]"
        }
        ["gateway" | "servicenode", "binaryrecipients" | "casesensitiverecipients" | "recipientdelimiter"] => {
            "remove it; recipients are 32 bytes as they are"
        }
        [
            "gateway" | "servicenode",
            "enableuserregistrationhttp" | "userregistrationhttpaddresses" | "advertiseuserregistrationhttpaddresses",
        ] => {
            "remove it; users are registered by ADD_USER (`katzensprung ctl`), or by TrustOnFirstUse = true below [Gateway]"
        }
        ["gateway" | "servicenode", "pluginkaetzchen"] => {
            "remove it; gRPC plugins were removed, programs that speak CBOR are [[ServiceNode.CBORPluginKaetzchen]]"
        }
        ["servicenode", "userdb"] => "user databases belong to [Gateway]",
        ["servicenode", "sqldb"] => "SQL stores belong to [Gateway]",
        ["pki", "nonvoting"] => "non-voting authorities were removed; use [[PKI.Voting.Authorities]]",
        ["pki", "voting", "peers"] => "use [[PKI.Voting.Authorities]]",
        ["management", "disable"] => "use Management.Enable",
        ["debug", "numproviderworkers"] => "use Debug.NumGatewayWorkers and Debug.NumServiceWorkers",
        ["debug", "providerdelay"] => "use Debug.GatewayDelay and Debug.ServiceDelay",
        ["debug", "cotenancyfactor" | "identitykey"] => "remove it",
        ["sphinxgeometry", "surbidlength" | "recipientidlength" | "nodeidlength"] => {
            "remove it; this length is fixed by the protocol"
        }
        ["pki", "voting", "authorities", "bindaddresses"] => "remove it; only the authority itself binds",
        _ => return None,
    })
}

/// A part of a path without its array index.
fn bare(part: &str) -> &str {
    part.split('[').next().unwrap_or(part)
}
