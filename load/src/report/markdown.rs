//! The result in Markdown, for comments on a change.

use std::fmt::Write;

use super::view::{self, Table};
use crate::{figures::seconds, summary::Summary};

/// The result in GitHub's Markdown.
#[must_use]
pub fn markdown(summary: &Summary) -> String {
    let mut out = String::new();
    // Writing into memory cannot fail.
    let _ = write(&mut out, summary);
    out
}

fn write(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let (word, _) = view::verdict(summary);
    writeln!(out, "# {word}: {}\n", escaped(&summary.scenario.name))?;
    writeln!(
        out,
        "{} {}, started {}, by {}.\n",
        view::meaning(summary),
        seconds(summary.duration_s),
        escaped(&summary.started_at),
        escaped(&summary.tool)
    )?;
    for reason in &summary.verdict.reasons {
        writeln!(out, "- {}", escaped(reason))?;
    }
    for table in view::tables(summary) {
        writeln!(out, "\n## {}\n", table.title)?;
        if !table.note.is_empty() {
            writeln!(out, "{}\n", table.note)?;
        }
        lines(out, &table)?;
    }
    Ok(())
}

fn lines(out: &mut String, table: &Table) -> std::fmt::Result {
    let head: Vec<String> = table.columns.iter().map(|c| escaped(c)).collect();
    writeln!(out, "| {} |", head.join(" | "))?;
    let rule = |at: usize| if at < table.text_columns { "---" } else { "---:" };
    let rules: Vec<&str> = (0..table.columns.len()).map(rule).collect();
    writeln!(out, "|{}|", rules.join("|"))?;
    for row in &table.rows {
        let cells: Vec<String> = row.cells.iter().map(|c| escaped(c)).collect();
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    Ok(())
}

/// Text that means itself, on one line: no cell ends, nothing becomes a tag or a link.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\u{2028}' | '\u{2029}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn tables_keep_their_shape_whatever_names_hold() {
        let text = markdown(&sample::summary());
        assert!(
            text.starts_with("# FAILED: checkout &lt;/script&gt;&lt;b&gt;\"'&amp;\\|\\`x\\` "),
            "{text}"
        );
        let rows: Vec<&str> = text.lines().filter(|l| l.contains("buy / ")).collect();
        assert_eq!(rows.len(), 7, "two steps, two errors of each, a check: {rows:#?}");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert_eq!(bars(rows[0]), bars(rows[1]), "{rows:#?}");
        assert!(text.contains("|---|---:|"));
    }
}
