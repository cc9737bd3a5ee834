//! What somebody who sees every arrival and every departure learns from them: the real shard in a simulated network,
//! where work takes time, from fixed seeds. Each property has a leak planted beside it that the same statistic must
//! find. What is shown, and what not, stands in `docs/internals/anonymity.md`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`site`] | a node with its traffic, and what is seen of it |
//! | [`work`] | what a shard's work costs on the simulated clock |
//! | [`statistics`] | Kendall, chi-squared, Welch |
//! | [`entropy`] | from which arrival a departure may come |
//! | [`order`] | the order inside a slot |
//! | [`lateness`] | whether lateness tells what a packet is |

mod entropy;
mod lateness;
mod order;
mod site;
mod statistics;
mod work;

/// How many packets a test sends: so many, or as many as the variable says for a long run.
fn packets(usually: usize) -> usize {
    std::env::var("KATZENSPRUNG_ANONYMITY_PACKETS").ok().and_then(|value| value.parse().ok()).unwrap_or(usually)
}
