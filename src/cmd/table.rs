//! Tables, as text in columns and as Markdown.

/// A table as text: columns are as wide as what they hold.
pub fn text(head: &[String], rows: &[Vec<String>]) -> String {
    let all = || std::iter::once(head).chain(rows.iter().map(Vec::as_slice));
    let width = |column: usize| all().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..head.len()).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &[String]| {
        let padded = row.iter().zip(&widths);
        let line: String = padded.map(|(text, width)| format!("{text:width$}  ")).collect();
        line.trim_end().to_owned() + "\n"
    };
    all().map(line).collect()
}

/// A table as Markdown.
pub fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |row: &[String]| {
        let cases: Vec<String> = row.iter().map(|case| case.replace('|', "\\|")).collect();
        format!("| {} |\n", cases.join(" | "))
    };
    let rule = "|---".repeat(head.len()) + "|\n";
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(head) + &rule + &rows
}
