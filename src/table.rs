//! Tables: in columns for a terminal, and in Markdown.

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table in columns.
    Text,
    /// A table in Markdown.
    Markdown,
    /// One object.
    Json,
}

impl Format {
    /// A table of words.
    pub fn table(self, head: &[&str], rows: Vec<Vec<String>>) -> String {
        match self {
            Self::Markdown => markdown(head, rows),
            _ => text(head, rows, head.len()),
        }
    }
}

/// A table in columns, of which all from `numbers` on are aligned to the right.
pub fn text(head: &[&str], rows: Vec<Vec<String>>, numbers: usize) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head).add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index >= numbers {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

/// A table in Markdown.
pub fn markdown(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let escaped = |text: &str| text.replace('|', "\\|");
    let rows = rows.iter().map(|row| row.iter().map(|cell| escaped(cell)));
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(head.iter().map(|cell| escaped(cell))).add_rows(rows);
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_on_the_left_and_numbers_on_the_right() {
        let rows = vec![
            vec!["\u{b5}s".to_owned(), "1.00".to_owned()],
            vec!["a|b".to_owned(), "10.0".to_owned()],
        ];
        assert_eq!(
            text(&["unit", "n"], rows.clone(), 1),
            "unit     n\n\u{b5}s    1.00\na|b   10.0\n"
        );
        let said = "| unit | n    |\n|------|------|\n| \u{b5}s   | 1.00 |\n| a\\|b | 10.0 |\n";
        assert_eq!(markdown(&["unit", "n"], rows), said);
    }
}
