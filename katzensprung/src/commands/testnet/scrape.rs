//! What members say over HTTP.

use pki::Epoch;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(3);
/// Bytes of the longest answer that is believed.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// A member's metrics at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    series: BTreeMap<String, f64>,
}

impl Metrics {
    /// Asks `address` for them.
    pub async fn of(address: &str) -> Result<Self, String> {
        let answer = tokio::time::timeout(LIMIT, get(address, "/metrics")).await;
        let text = answer.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())?;
        Ok(Self::parse(&text))
    }

    /// Reads a text in the Prometheus format; lines that are something else are left out.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self { series: series.collect() }
    }

    /// What a node lacks to take part in `epoch`, by its own account.
    pub fn lack_of_readiness(&self, epoch: Epoch) -> Option<String> {
        let (ready, current) = (self.sum("katzenpost_node_ready"), self.sum("katzenpost_node_current_epoch"));
        match (ready, current) {
            (Some(1.0), Some(current)) if current == epoch.0 as f64 => None,
            (Some(1.0), Some(current)) => Some(format!("its epoch is {current}, not {epoch}")),
            (Some(_), Some(_)) => Some("it is not ready".into()),
            // Older nodes only count the documents that they fetched.
            _ => {
                let fetched = self.by_label("katzenpost_fetched_pki_docs_per_epoch_total", "epoch");
                let has_document = fetched.get(&epoch.to_string()).is_some_and(|count| *count > 0.0);
                (!has_document).then(|| format!("it has no document of epoch {epoch}"))
            }
        }
    }

    /// The sum over all series of that name; none where there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let values: Vec<f64> = self.named(name).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The sums over all series of that name by one of their labels.
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let pattern = format!("{label}=\"");
        let mut sums: BTreeMap<String, f64> = BTreeMap::new();
        for (labels, value) in self.named(name) {
            let found = labels.split_once(&pattern).and_then(|(_, rest)| rest.split_once('"'));
            if let Some((label, _)) = found {
                *sums.entry(label.into()).or_default() += value;
            }
        }
        sums
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let from_there = self.series.range(name.to_owned()..);
        let alike = from_there.take_while(move |(series, _)| series.starts_with(name));
        alike.filter_map(move |(series, value)| {
            let rest = series.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('{')).then_some((rest, *value))
        })
    }
}

async fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // In the newer version an answer may come in chunks, whose lengths stand in the middle of lines.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
