//! The catalogue's Markdown as plain text: headings, lists, tables, code. Only
//! what those pages use; a line that is none of these is printed as it is.

use super::{
    Tone,
    table::{Align, Cell, Table},
};

/// The page for a terminal; `paint` colours a piece of text, or not.
pub fn plain(page: &str, paint: impl Fn(Tone, &str) -> String) -> String {
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|l| !l.starts_with("```"));
            code.for_each(|l| push(&mut out, &indented(l)));
        } else if line.starts_with('|') {
            let mut rows = vec![line];
            while let Some(row) = lines.next_if(|l| l.starts_with('|')) {
                rows.push(row);
            }
            out.push_str(&table(&rows));
        } else if let Some(heading) = line.strip_prefix("# ") {
            push(&mut out, &paint(Tone::Strong, &inline(heading).to_uppercase()));
        } else if line.starts_with("##") {
            let heading = line.trim_start_matches('#').trim_start();
            push(&mut out, &paint(Tone::Strong, &inline(heading)));
        } else if let Some(item) = line.strip_prefix("- ") {
            push(&mut out, &format!("  • {}", inline(item)));
        } else if line.starts_with("  ") {
            // The rest of a list item.
            push(&mut out, &format!("    {}", inline(line)));
        } else {
            push(&mut out, &inline(line));
        }
    }
    out
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn indented(line: &str) -> String {
    format!("    {line}")
}

fn table(rows: &[&str]) -> String {
    let cells = |row: &str| -> Vec<String> {
        // A cell may hold `\|`.
        let row = row.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
        row.split('|').map(|cell| inline(&cell.replace('\u{0}', "|"))).collect()
    };
    let rule = |row: &str| row.chars().all(|c| "|-: ".contains(c));
    let heading = cells(rows.first().copied().unwrap_or_default());
    let columns: Vec<_> = heading.iter().map(|name| (name.as_str(), Align::Left)).collect();
    let mut table = Table::with_heading(&columns).indented("  ");
    for row in rows.iter().skip(1).filter(|row| !rule(row)) {
        let mut cells = cells(row);
        cells.truncate(columns.len());
        table.row(cells.into_iter().map(Cell::from));
    }
    table.render(false)
}

/// Without the marks of code, emphasis and links.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (i, piece) in text.trim().split('`').enumerate() {
        // Every second piece is code, where `*` and `[` mean themselves.
        if i % 2 == 1 {
            out.push_str(piece);
        } else {
            out.push_str(&unlinked(&piece.replace("**", "")));
        }
    }
    out
}

/// `[text](url)` → `text (url)`, `<url>` → `url`.
fn unlinked(text: &str) -> String {
    let text = text.replace("<http", "http").replace("/>", "/").replace('>', "");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, link)) = rest.split_once('[') {
        let Some((label, (url, after))) =
            link.split_once("](").and_then(|(label, rest)| Some((label, rest.split_once(')')?)))
        else {
            break;
        };
        out.push_str(&format!("{before}{label} ({url})"));
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_text() {
        let page = "# loss\n\nDrops **some** `--percent P`; see [netem](https://x.y/z).\n\n\
                    ## Parameters\n\n| option | bounds |\n|---|---|\n| `--percent P` | 0 \\| 100 |\n\
                    | `-x` | any |\n\n- one `a*b`\n  and more\n\n```\nfaultctl inject loss\n```\n";
        let expected = "\
LOSS

Drops some --percent P; see netem (https://x.y/z).

Parameters

  option       bounds
  --percent P  0 | 100
  -x           any

  • one a*b
    and more

    faultctl inject loss
";
        assert_eq!(plain(page, |_, text| text.to_owned()), expected);
    }

    #[test]
    fn every_page_of_the_catalogue_loses_its_marks() {
        for info in faultd_api::CATALOG {
            let text = plain(info.page, |_, text| text.to_owned());
            for line in text.lines().filter(|line| !line.starts_with("    ")) {
                assert!(!line.contains("**") && !line.contains('`'), "{}: {line}", info.kind);
                assert!(!line.starts_with('#') && !line.starts_with('|'), "{}: {line}", info.kind);
            }
        }
    }
}
