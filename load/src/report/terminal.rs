//! The result on a terminal.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::view::{self, Row, Table, Tone};
use crate::{figures::seconds, summary::Summary};

/// The result as text, aligned; `colour` says whether with colours.
#[must_use]
pub fn terminal(summary: &Summary, colour: bool) -> String {
    let mut out = String::new();
    // Writing into memory cannot fail.
    let _ = write(&mut out, summary, colour);
    out
}

fn write(out: &mut String, summary: &Summary, colour: bool) -> std::fmt::Result {
    let (word, tone) = view::verdict(summary);
    let name = one_line(&summary.scenario.name);
    writeln!(out, "{}  {name}, {}", paint(word, tone, colour, true), seconds(summary.duration_s))?;
    writeln!(out, "{}", view::meaning(summary))?;
    for reason in &summary.verdict.reasons {
        writeln!(out, "  {} {}", paint("✗", Tone::Bad, colour, false), one_line(reason))?;
    }
    for table in view::tables(summary) {
        writeln!(out, "\n{}", bold(table.title, colour))?;
        table_lines(out, &table, colour)?;
    }
    Ok(())
}

fn table_lines(out: &mut String, table: &Table, colour: bool) -> std::fmt::Result {
    let clean = |row: &Row| row.cells.iter().map(|c| shortened(&one_line(c))).collect::<Vec<_>>();
    let rows: Vec<(Tone, Vec<String>)> = table.rows.iter().map(|r| (r.tone, clean(r))).collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|at| {
            let cells = rows.iter().map(|(_, cells)| cells[at].width());
            cells.max().unwrap_or(0).max(table.columns[at].width())
        })
        .collect();
    if table.columns.iter().any(|c| !c.is_empty()) {
        let head: Vec<String> = table.columns.iter().map(|c| (*c).to_owned()).collect();
        let line = aligned(&head, &widths, table.text_columns);
        writeln!(out, "  {}", dim(line.trim_end(), colour))?;
    }
    for (tone, cells) in rows {
        let line = aligned(&cells, &widths, table.text_columns);
        writeln!(out, "  {}", paint(line.trim_end(), tone, colour, false))?;
    }
    Ok(())
}

fn aligned(cells: &[String], widths: &[usize], text_columns: usize) -> String {
    let mut line = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let space = " ".repeat(width - cell.width());
        if at > 0 {
            line.push_str("  ");
        }
        match at < text_columns {
            true => line.extend([cell.as_str(), &space]),
            false => line.extend([space.as_str(), cell]),
        }
    }
    line
}

/// Whatever a name holds, it stays on its line and cannot steer the terminal.
fn one_line(text: &str) -> String {
    let odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}');
    text.chars().map(|c| if odd(c) { ' ' } else { c }).collect()
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn paint(text: &str, tone: Tone, colour: bool, is_bold: bool) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Warn => "33",
        Tone::Bad => "31",
        Tone::Plain => return text.to_owned(),
    };
    match (colour, is_bold) {
        (false, _) => text.to_owned(),
        (true, false) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        (true, true) => format!("\u{1b}[1;{code}m{text}\u{1b}[0m"),
    }
}

fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}

fn dim(text: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[2m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn columns_are_aligned_and_names_stay_on_their_line() {
        let text = terminal(&sample::summary(), false);
        assert!(text.starts_with("FAILED  checkout </script>"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{2028}'));
        let lines: Vec<&str> = text.lines().collect();
        let at = lines.iter().position(|l| *l == "Phases").unwrap();
        let phases = &lines[at + 1..at + 5];
        let widths: Vec<usize> = phases.iter().map(|l| l.width()).collect();
        assert!(widths.iter().all(|w| *w == widths[0]), "{phases:#?}");
        assert!(text.contains("✗  p95 < 500ms"), "{text}");
    }

    #[test]
    fn colours_only_where_asked_for() {
        assert!(terminal(&sample::summary(), true).starts_with("\u{1b}[1;31mFAILED\u{1b}[0m"));
    }
}
