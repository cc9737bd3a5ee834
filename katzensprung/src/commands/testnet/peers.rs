//! Programs of another implementation in place of ours.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use testnet::layout::{Layout, Role, Shape};

/// How many of each they play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerRoles {
    authorities: usize,
    mixes: usize,
    gateways: usize,
    services: usize,
    clients: usize,
}

const EXAMPLE: &str = "write for example authority=1,mix=2,gateway=1,service=1,client=1";

impl FromStr for PeerRoles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles = Self::default();
        for part in text.split(',') {
            let (role, number) = part.split_once('=').ok_or_else(|| format!("'{part}' is no ROLE=N; {EXAMPLE}"))?;
            let number: usize = number.parse().map_err(|_| format!("'{number}' is no number; {EXAMPLE}"))?;
            *match role {
                "authority" => &mut roles.authorities,
                "mix" => &mut roles.mixes,
                "gateway" => &mut roles.gateways,
                "service" => &mut roles.services,
                "client" => &mut roles.clients,
                other => return Err(format!("there is no role '{other}'; {EXAMPLE}")),
            } = number;
        }
        Ok(roles)
    }
}

/// The programs, and the members that they play: of each role the first.
#[derive(Clone, Debug)]
pub struct Peers {
    folder: PathBuf,
    roles: PeerRoles,
}

impl Peers {
    /// An error if there are not so many members, or if a program is missing.
    pub fn new(folder: &Path, roles: &PeerRoles, shape: &Shape) -> Result<Self, String> {
        let folder = std::path::absolute(folder).map_err(|error| format!("--peers {}: {error}", folder.display()))?;
        let counts = [
            ("authority", roles.authorities, shape.authorities, "dirauth"),
            ("mix", roles.mixes, shape.mixes, "server"),
            ("gateway", roles.gateways, shape.gateways, "server"),
            ("service", roles.services, shape.services, "server"),
            ("client", roles.clients, 1, "ping"),
        ];
        for (role, wanted, there, program) in counts {
            if wanted > there {
                return Err(format!("--peer-roles {role}={wanted}: the network has only {there}"));
            }
            if wanted > 0 {
                check(&folder.join(program)).map_err(|error| format!("--peers, for {role}={wanted}: {error}"))?;
            }
        }
        Ok(Self { folder, roles: *roles })
    }

    /// The program that plays this member, if it is not one of ours.
    pub fn program_of(&self, layout: &Layout, name: &str) -> Option<PathBuf> {
        let member = layout.members.iter().find(|member| member.name == name)?;
        let kind = |role: Role| std::mem::discriminant(&role);
        // All layers count as one role here.
        let mut alike = layout.of(|role| kind(role) == kind(member.role));
        let number = alike.position(|other| other.name == name)?;
        let (played, program) = match member.role {
            Role::Authority => (self.roles.authorities, "dirauth"),
            Role::Mix(_) => (self.roles.mixes, "server"),
            Role::Gateway => (self.roles.gateways, "server"),
            Role::ServiceNode => (self.roles.services, "server"),
        };
        (number < played).then(|| self.folder.join(program))
    }

    /// The program that pings, if it is not ours.
    pub fn ping(&self) -> Option<PathBuf> {
        (self.roles.clients > 0).then(|| self.folder.join("ping"))
    }
}

/// The program in `folder` that plays a role; an error if it is not there.
pub fn program(folder: &Path, role: Role) -> Result<PathBuf, String> {
    let folder = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = folder.join(if role == Role::Authority { "dirauth" } else { "server" });
    check(&program)?;
    Ok(program)
}

fn check(program: &Path) -> Result<(), String> {
    let metadata = program.metadata().map_err(|error| format!("{}: {error}", program.display()))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(format!("{} is no executable file", program.display()));
    }
    Ok(())
}
