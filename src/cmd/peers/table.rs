//! The table: a line an input and sort of ours.

use suite::peers::{Case, Outcome, Outcomes, Shape};

/// Columns of a table.
pub struct Table {
    /// Names of the peers that have a column.
    pub peers: Vec<String>,
}

impl Table {
    /// The line above all others.
    pub fn head(&self) -> String {
        let mut line = format!(
            "{:8} {:>10} {:14} {:12} {:>10} {:>8}",
            "type", "n", "distribution", "ours", "ours ms", "G/s"
        );
        for name in &self.peers {
            line += &format!(" {:>10} {:>6}", format!("{name} ms"), "ratio");
        }
        line + "\n"
    }

    /// The lines of one input.
    pub fn lines(&self, case: &Case, outcomes: &Outcomes) -> String {
        let line = |ours| self.line(case, ours, &outcomes.peers);
        outcomes.ours.iter().map(line).collect()
    }

    fn line(&self, case: &Case, ours: &Outcome, peers: &[Outcome]) -> String {
        let median = |outcome: &Outcome| {
            let times = outcome.times.as_ref().ok();
            times.map(|times| times.best().summary().0)
        };
        let ours_ms = median(ours);
        let rate = ours_ms.map(|ms| case.workload.n as f64 / ms / 1e6);
        let mut line = format!(
            "{:8} {:>10} {:14} {:12} {:>10} {:>8}",
            case.kind.name,
            power(case.workload.n),
            spread(case),
            ours.name,
            figure(ours_ms, 4),
            figure(rate, 2),
        );
        for column in &self.peers {
            let outcome = peers.iter().find(|outcome| outcome.name == *column);
            let theirs = outcome.and_then(median);
            let ratio = theirs.zip(ours_ms).map(|(theirs, ours)| theirs / ours);
            line += &format!(" {:>10} {:>6}", figure(theirs, 4), figure(ratio, 2));
        }
        line + "\n"
    }
}

/// A case, named in a line of its own.
pub fn title(case: &Case) -> String {
    let n = power(case.workload.n);
    format!("{}, {n}, {}", case.kind.name, spread(case))
}

/// How keys are spread; and marked where they do not lie in GPU memory.
fn spread(case: &Case) -> String {
    let mark = match case.shape {
        Shape::Resident => "",
        Shape::EndToEnd => " (host)",
    };
    case.workload.distribution.to_string() + mark
}

/// A figure, or what stands for none.
fn figure(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A number as it is, or from 1023 on as a power of two, or one off it, if it is that.
fn power(n: usize) -> String {
    let beside = [(n, ""), (n + 1, "-1"), (n - 1, "+1")];
    let found = beside
        .into_iter()
        .find(|(power, _)| power.is_power_of_two() && *power >= 1024);
    match found {
        Some((power, off)) => format!("2^{}{off}", power.ilog2()),
        None => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_short() {
        assert_eq!(power(1 << 20), "2^20");
        assert_eq!(power((1 << 20) - 1), "2^20-1");
        assert_eq!(power((1 << 20) + 1), "2^20+1");
        assert_eq!(power(512), "512");
        assert_eq!(power(1), "1");
        assert_eq!(power(50_000_000), "50000000");
        assert_eq!(figure(Some(5.4701), 2), "5.47");
        assert_eq!(figure(None, 2), "-");
    }
}
