//! A distribution of times, in a form that can be read, and merged.

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Histograms count nanoseconds, people read milliseconds.
pub const NANOS_PER_MS: f64 = 1e6;

/// A histogram that came from outside cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a V2 histogram.
    #[error("not an HDR histogram in the V2 format: {0}")]
    Format(String),
}

/// A distribution of times. Without samples every figure is `null`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Number of samples.
    pub count: u64,
    /// The shortest, in milliseconds.
    pub min_ms: Option<f64>,
    /// The mean, in milliseconds.
    pub mean_ms: Option<f64>,
    /// The standard deviation, in milliseconds.
    pub stddev_ms: Option<f64>,
    /// Half of the samples are at most this, in milliseconds.
    pub p50_ms: Option<f64>,
    /// 75 % of the samples.
    pub p75_ms: Option<f64>,
    /// 90 % of the samples.
    pub p90_ms: Option<f64>,
    /// 95 % of the samples.
    pub p95_ms: Option<f64>,
    /// 99 % of the samples.
    pub p99_ms: Option<f64>,
    /// 99.9 % of the samples.
    pub p99_9_ms: Option<f64>,
    /// 99.99 % of the samples.
    pub p99_99_ms: Option<f64>,
    /// The longest, in milliseconds.
    pub max_ms: Option<f64>,
    /// All of it: an `HdrHistogram` of nanoseconds, in the compressed V2 format,
    /// as base64. Empty without samples.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub histogram: String,
}

/// An empty histogram as results hold it: nanoseconds, three digits, from a
/// microsecond to an hour.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are constants that the crate takes"))
}

impl Latency {
    /// The figures and the wire form of a histogram of nanoseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let ms = |nanos: u64| Some(nanos as f64 / NANOS_PER_MS);
        let at = |quantile: f64| ms(histogram.value_at_quantile(quantile).min(histogram.max()));
        Self {
            count: histogram.len(),
            min_ms: ms(histogram.min()),
            mean_ms: Some(histogram.mean() / NANOS_PER_MS),
            stddev_ms: Some(histogram.stdev() / NANOS_PER_MS),
            p50_ms: at(0.5),
            p75_ms: at(0.75),
            p90_ms: at(0.9),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            p99_9_ms: at(0.999),
            p99_99_ms: at(0.9999),
            max_ms: ms(histogram.max()),
            histogram: encode(histogram),
        }
    }

    /// The histogram behind the figures, in nanoseconds; an empty one without
    /// samples.
    ///
    /// # Errors
    /// If the text is no histogram.
    pub fn histogram(&self) -> Result<Histogram<u64>, WireError> {
        if self.histogram.is_empty() {
            return Ok(histogram());
        }
        let bytes = STANDARD.decode(&self.histogram)?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|e| WireError::Format(e.to_string()))
    }

    /// The value that `percent` of the samples do not exceed, in milliseconds:
    /// from the histogram, so any percentile. `None` without samples.
    ///
    /// # Errors
    /// If the histogram cannot be read.
    pub fn percentile_ms(&self, percent: f64) -> Result<Option<f64>, WireError> {
        let histogram = self.histogram()?;
        if histogram.is_empty() {
            return Ok(None);
        }
        let nanos = histogram.value_at_percentile(percent).min(histogram.max());
        Ok(Some(nanos as f64 / NANOS_PER_MS))
    }

    /// The distribution of both together, as if one process had measured it.
    ///
    /// # Errors
    /// If a histogram cannot be read.
    pub fn merged(&self, other: &Self) -> Result<Self, WireError> {
        let mut all = self.histogram()?;
        all.auto(true);
        all.add(other.histogram()?).map_err(|e| WireError::Format(e.to_string()))?;
        Ok(Self::of(&all))
    }
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Writing into memory cannot fail; were it to, the figures still stand.
    match V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => STANDARD.encode(bytes),
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_ms(values: impl IntoIterator<Item = u64>) -> Latency {
        let mut all = histogram();
        for ms in values {
            all.record(ms * 1_000_000).unwrap();
        }
        Latency::of(&all)
    }

    #[test]
    fn figures_come_back_from_the_wire() {
        let latency = of_ms(1..=1000);
        assert_eq!(latency.count, 1000);
        assert!((latency.p95_ms.unwrap() - 950.0).abs() < 1.0, "{latency:?}");
        assert_eq!(Latency::of(&latency.histogram().unwrap()), latency);
        let p42 = latency.percentile_ms(42.0).unwrap().unwrap();
        assert!((p42 - 420.0).abs() < 1.0, "{p42}");
    }

    #[test]
    fn two_halves_merge_to_the_whole() {
        let merged = of_ms(1..=500).merged(&of_ms(501..=1000)).unwrap();
        let whole = of_ms(1..=1000);
        assert_eq!(
            (merged.count, merged.p99_ms, merged.max_ms),
            (1000, whole.p99_ms, whole.max_ms)
        );
        assert_eq!(of_ms([]).merged(&whole).unwrap(), whole);
    }

    #[test]
    fn without_samples_there_are_no_figures() {
        let none = of_ms([]);
        assert_eq!(none, Latency::default());
        assert_eq!(none.percentile_ms(99.0).unwrap(), None);
    }

    #[test]
    fn nonsense_on_the_wire_is_an_error() {
        for text in ["%%%", "AAAA", "SGVsbG8gd29ybGQ="] {
            let latency = Latency { histogram: text.into(), ..Latency::default() };
            assert!(latency.histogram().is_err(), "{text}");
        }
    }
}
