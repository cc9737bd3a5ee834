//! `sql`: what a gateway's PostgreSQL has to have before the gateway starts.

/// Arguments of `sql`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Prints the script that makes tables and functions in an empty database: give it to psql
    Schema,
}

const SCHEMA: &str = include_str!("../../../deploy/sql/schema.sql");

/// Prints it.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    match arguments.what {
        What::Schema => super::print(format_args!("{SCHEMA}")),
    }
}
