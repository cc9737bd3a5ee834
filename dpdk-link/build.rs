//! Compiles the shim with the flags of the installed DPDK, where it is asked for.

fn main() {
    println!("cargo::rerun-if-changed=shim/shim.c");
    #[cfg(feature = "dpdk")]
    if let Err(reason) = shim() {
        eprintln!("feature dpdk: {reason}");
        std::process::exit(1);
    }
}

/// Libraries that the shim calls, of the fifty that pkg-config names. Drivers are loaded when DPDK starts.
#[cfg(feature = "dpdk")]
const CALLED: [&str; 5] = ["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_ring", "rte_eal"];

#[cfg(feature = "dpdk")]
fn shim() -> Result<(), String> {
    let mut build = cc::Build::new();
    build.file("shim/shim.c").warnings(true).extra_warnings(false);
    // Headers of the system are nothing that warnings could mend here.
    for flag in pkg_config("--cflags")?.split_ascii_whitespace() {
        match flag.strip_prefix("-I") {
            Some(folder) => build.flag("-isystem").flag(folder),
            None => build.flag(flag),
        };
    }
    build.flag("-O2");
    build.try_compile("dpdk_shim").map_err(|error| error.to_string())?;
    for flag in pkg_config("--libs")?.split_ascii_whitespace() {
        if let Some(folder) = flag.strip_prefix("-L") {
            println!("cargo::rustc-link-search=native={folder}");
        } else if let Some(library) = flag.strip_prefix("-l")
            && CALLED.contains(&library)
        {
            println!("cargo::rustc-link-lib={library}");
        }
    }
    Ok(())
}

#[cfg(feature = "dpdk")]
fn pkg_config(what: &str) -> Result<String, String> {
    let program = std::env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let remedy = "install DPDK's headers (Debian: libdpdk-dev), or build without the feature";
    let output = std::process::Command::new(&program).args([what, "libdpdk"]).output();
    let output = output.map_err(|error| format!("{program}: {error}; {remedy}"))?;
    if !output.status.success() {
        return Err(format!("{program} does not know libdpdk; {remedy}"));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}
