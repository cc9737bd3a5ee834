//! What runs a generated network in containers, and what watches it there (pki.md 14.1).

use crate::layout::{Layout, Role};
use pki::epoch::PERIOD_VARIABLE;

/// What the files for containers say besides names.
pub struct Options<'a> {
    /// The image of all containers.
    pub image: &'a str,
    /// The end of the programs' names.
    pub suffix: &'a str,
    /// The network's folder inside.
    pub base: &'a str,
    /// Length of an epoch; empty leaves it to the programs.
    pub epoch: &'a str,
}

/// `docker-compose.yml`.
pub fn docker_compose(layout: &Layout, options: &Options<'_>) -> String {
    let Options { image, suffix, base, epoch } = options;
    let environment = match epoch {
        &"" => String::new(),
        epoch => format!("    environment:\n      - {PERIOD_VARIABLE}={epoch}\n"),
    };
    let authorities: String =
        layout.of(|role| role == Role::Authority).map(|member| format!("      - {}\n", member.name)).collect();
    let services = layout.members.iter().map(|member| {
        let name = &member.name;
        let (program, file, depends) = match member.role {
            Role::Authority => ("dirauth", "authority.toml", String::new()),
            _ if authorities.is_empty() => ("server", "katzenpost.toml", String::new()),
            _ => ("server", "katzenpost.toml", format!("    depends_on:\n{authorities}")),
        };
        format!(
            "  {name}:\n    restart: \"no\"\n    container_name: {name}\n    hostname: {name}\n    image: {image}\n    volumes:\n      \
             - ./:{base}\n    command: {base}/{program}{suffix} -f {base}/{name}/{file}\n    networks:\n      - katzenpost-net\n\
             {environment}{depends}"
        )
    });
    let services: String = services.collect();
    format!("networks:\n  katzenpost-net:\n    driver: bridge\n\nservices:\n{services}")
}

/// `prometheus.yml`.
pub fn prometheus(layout: &Layout) -> String {
    let jobs = layout.members.iter().map(|member| {
        format!("- job_name: {}\n  static_configs:\n  - targets: ['{}']\n", member.name, member.metrics_address())
    });
    format!("scrape_configs:\n{}", jobs.collect::<String>())
}
