//! A comparison for people.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::{Change, Comparison, Line, Unit};
use crate::figures::{NONE, ms, number, percent};

/// The comparison as an aligned table and a verdict.
pub fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing into memory cannot fail.
    let _ = write(&mut out, comparison);
    out
}

fn write(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    for warning in &comparison.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let head = ["", "baseline", "current", "change", "noise", ""].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(comparison.lines.iter().map(cells)).collect();
    let widths: Vec<usize> =
        (0..6).map(|at| rows.iter().map(|r| r[at].width()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.width());
            match at {
                0 | 5 => write!(line, "{cell}{space}  ")?,
                _ => write!(line, "{space}{cell}  ")?,
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    let worse: Vec<&str> = of(comparison, Change::Worse);
    let threshold = number(comparison.threshold_percent);
    match worse.as_slice() {
        [] => writeln!(
            out,
            "\nno regression: nothing is worse by more than {threshold}% and by more than noise"
        ),
        names => writeln!(
            out,
            "\nREGRESSION by more than {threshold}% and by more than noise: {}",
            names.join(", ")
        ),
    }
}

fn of(comparison: &Comparison, change: Change) -> Vec<&str> {
    let lines = comparison.lines.iter().filter(|l| l.change == change);
    lines.map(|l| l.name.as_str()).collect()
}

fn cells(line: &Line) -> Vec<String> {
    let shown = |value: f64| match line.unit {
        Unit::Ms => ms(value),
        Unit::Rate => format!("{}/s", number(value)),
        Unit::Ratio => percent(value),
    };
    let maybe = |value: Option<f64>| value.map_or_else(|| NONE.into(), shown);
    let change = match (line.change_percent, line.baseline, line.current) {
        (Some(change), ..) => {
            format!("{}{}%", if change >= 0.0 { "+" } else { "" }, number(change))
        }
        (None, Some(_), Some(new)) if new > 0.0 => "from none".into(),
        _ => NONE.into(),
    };
    let noise = line.difference.map_or_else(
        || NONE.into(),
        |(low, high)| {
            format!("{}{} to {}{}", sign(low), shown(low.abs()), sign(high), shown(high.abs()))
        },
    );
    let word = match line.change {
        Change::Worse => "WORSE",
        Change::Better => "better",
        Change::Noise => "may be noise",
        Change::Same => "",
        Change::Missing => "not in both",
    };
    vec![line.name.clone(), maybe(line.baseline), maybe(line.current), change, noise, word.into()]
}

fn sign(value: f64) -> &'static str {
    if value < 0.0 { "-" } else { "+" }
}
