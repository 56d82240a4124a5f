//! Aligned tables: as wide as their content, never wrapped.

use unicode_width::UnicodeWidthStr;

use super::{Tone, one_line};

/// Between two columns.
const GAP: &str = "  ";

/// A cell and what its colour says.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Text in a tone.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: one_line(text.as_ref()).into_owned(), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Which edge of its column a cell sits at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells; all rows have as many as there are columns.
#[derive(Debug, Default)]
pub struct Table {
    align: Vec<Align>,
    rows: Vec<Vec<Cell>>,
    indent: &'static str,
}

impl Table {
    /// A table with a heading row.
    pub fn with_heading(columns: &[(&str, Align)]) -> Self {
        let heading = columns.iter().map(|(name, _)| Cell::new(name, Tone::Strong)).collect();
        Self {
            align: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![heading],
            indent: "",
        }
    }

    /// A table without a heading: names and values.
    pub fn plain(columns: usize) -> Self {
        Self { align: vec![Align::Left; columns], ..Self::default() }
    }

    /// Sets every line in.
    #[must_use]
    pub fn indented(self, indent: &'static str) -> Self {
        Self { indent, ..self }
    }

    /// Adds a row; cells beyond the last column are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().collect();
        cells.resize_with(self.align.len(), || Cell::from(""));
        self.rows.push(cells);
    }

    /// The lines, each with its line end; no line has blanks at its end.
    pub fn render(&self, colour: bool) -> String {
        let widths: Vec<usize> = (0..self.align.len())
            .map(|i| self.rows.iter().map(|row| row[i].text.width()).max().unwrap_or_default())
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = self.indent.to_owned();
            // Blanks are owed until something follows them.
            let mut owed = 0;
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.align) {
                let fill = width - cell.text.width();
                if *align == Align::Right {
                    owed += fill;
                }
                if !cell.text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', owed));
                    line.push_str(&cell.tone.paint(&cell.text, colour));
                    owed = 0;
                } else if *align == Align::Right {
                    owed += width - fill;
                }
                if *align == Align::Left {
                    owed += fill;
                }
                owed += GAP.len();
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_letters() {
        let mut table = Table::with_heading(&[
            ("NAME", Align::Left),
            ("N", Align::Right),
            ("TEXT", Align::Left),
        ]);
        table.row(["东京".into(), "7".into(), "x".into()]);
        table.row(["café".into(), "1234".into(), "".into()]);
        table.row(["".into(), "".into(), "tail".into()]);
        let expected = "NAME     N  TEXT\n东京     7  x\ncafé  1234\n            tail\n";
        assert_eq!(table.render(false), expected);
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::plain(2).indented("  ");
        table.row([Cell::new("a", Tone::Good), "1".into()]);
        table.row(["bbb".into(), "2".into()]);
        assert_eq!(table.render(true), "  \u{1b}[32ma\u{1b}[0m    1\n  bbb  2\n");
    }
}
