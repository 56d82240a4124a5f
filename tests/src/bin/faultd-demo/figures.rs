//! Before, during and after, side by side.

use faultd_tests::{clock::to_ms, traffic::percentile};

use crate::client::Sample;

/// What the requests of one phase amount to.
pub struct Figures {
    requests: usize,
    errors: usize,
    answered: Vec<u64>,
}

impl Figures {
    /// Sums up.
    pub fn of(samples: &[Sample]) -> Self {
        let answered: Vec<u64> = samples.iter().filter(|s| s.ok).map(|s| s.done - s.sent).collect();
        Self { requests: samples.len(), errors: samples.len() - answered.len(), answered }
    }

    /// A percentile of the answered requests, as people read it.
    pub fn percentile(&self, percent: f64) -> String {
        if self.answered.is_empty() {
            return "–".to_owned();
        }
        let ms = to_ms(percentile(&self.answered, percent));
        if ms < 10.0 { format!("{ms:.2} ms") } else { format!("{ms:.1} ms") }
    }
}

/// The table of three phases, with the bystander's median below.
pub fn table(phases: &[Figures; 3], bystander: &[Figures; 3]) -> String {
    type Cell = fn(&Figures) -> String;
    let rows: [(&str, &[Figures; 3], Cell); 5] = [
        ("requests", phases, |f| f.requests.to_string()),
        ("p50", phases, |f| f.percentile(50.0)),
        ("p95", phases, |f| f.percentile(95.0)),
        ("errors", phases, |f| f.errors.to_string()),
        ("other port, p50", bystander, |f| f.percentile(50.0)),
    ];
    let mut text = line("", ["before", "during", "after"].map(str::to_owned));
    for (name, figures, cell) in rows {
        text += &line(name, [cell(&figures[0]), cell(&figures[1]), cell(&figures[2])]);
    }
    text
}

fn line(name: &str, cells: [String; 3]) -> String {
    let [a, b, c] = cells;
    format!("    {name:<16}{a:>12}{b:>12}{c:>12}\n")
}

/// The course of things: a character each `step` nanoseconds, as high as the
/// slowest answer, `×` where a request failed, a blank where none ended.
pub fn course(samples: &[Sample], from: u64, to: u64, step: u64) -> String {
    const HEIGHTS: [char; 5] = ['▁', '▂', '▄', '▆', '█'];
    let at = |start: u64| {
        let ended: Vec<_> =
            samples.iter().filter(|s| (start..start + step).contains(&s.done)).collect();
        if ended.iter().any(|s| !s.ok) {
            return '×';
        }
        let Some(slowest) = ended.iter().map(|s| s.done - s.sent).max() else { return ' ' };
        // Up to 1 ms, 10 ms, 100 ms, 300 ms, and beyond.
        let bounds = [1.0, 10.0, 100.0, 300.0];
        HEIGHTS[bounds.iter().filter(|b| to_ms(slowest) > **b).count()]
    };
    (from..to).step_by(step as usize).map(at).collect()
}
