//! The table: a line an input and sort of ours.

use cudamark::report::figures::{cycles, or_none, power};
use suite::Case;
use suite::turns::Outcome;

use super::options::CLASSIC;

/// The line above all others, where `peers` have a column each.
pub(crate) fn head(peers: &[String]) -> String {
    let mut line = format!(
        "{:20} {:>10} {:14} {:12} {:>10} {:>8} {:>12}",
        "type", "n", "distribution", "ours", "ours ms", "G/s", "cycles/key"
    );
    for name in peers {
        line += &format!(" {:>10} {:>6}", format!("{name} ms"), "ratio");
    }
    line + "\n"
}

/// A line for each of ours.
pub(crate) fn lines(peers: &[String], case: &Case, outcomes: &[Outcome]) -> String {
    let ours = outcomes.iter().filter(|outcome| !outcome.is_peer());
    ours.map(|ours| line(peers, case, ours, outcomes)).collect()
}

fn line(peers: &[String], case: &Case, ours: &Outcome, outcomes: &[Outcome]) -> String {
    let median = |outcome: &Outcome| Some(outcome.best()?.summary().0);
    let ours_ms = median(ours);
    let rate = ours_ms.map(|ms| case.n as f64 / ms / 1e6);
    let mut line = format!(
        "{:20} {:>10} {:14} {:12} {:>10} {:>8} {:>12}",
        case.kind,
        power(case.n),
        spread(case),
        ours.name,
        figure(ours_ms, 4),
        figure(rate, 2),
        cycles(ours.best().and_then(|times| times.cycles)),
    );
    for column in peers {
        let outcome = outcomes.iter().find(|outcome| outcome.name == *column);
        let theirs = outcome.and_then(median);
        let ratio = theirs.zip(ours_ms).map(|(theirs, ours)| theirs / ours);
        line += &format!(" {:>10} {:>6}", figure(theirs, 4), figure(ratio, 2));
    }
    line + "\n"
}

/// A case, named in a line of its own.
pub(crate) fn title(case: &Case) -> String {
    let n = power(case.n);
    format!("{}, {n}, {}", case.kind, spread(case))
}

/// How keys are spread; and marked where they do not lie in GPU memory.
fn spread(case: &Case) -> String {
    let mark = if case.group == CLASSIC { " (host)" } else { "" };
    case.distribution.clone() + mark
}

/// A figure, or what stands for none.
fn figure(value: Option<f64>, decimals: usize) -> String {
    or_none(value, |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use suite::Error;
    use suite::cycles::Cycles;
    use suite::peers::Variant;
    use suite::turns::Times;

    fn outcome(name: &str, times_ms: &[f64]) -> Outcome {
        let variant = Variant { name: "only".to_owned(), temporary_bytes: None };
        let times_ms = times_ms.to_vec();
        Outcome {
            name: name.to_owned(),
            version: (!name.starts_with("gpu")).then(|| "1.0".to_owned()),
            times: Ok(vec![Times { variant, times_ms, cycles: None }]),
        }
    }

    #[test]
    fn a_row_has_a_figure_or_a_dash_for_every_peer() {
        let mut wrong = outcome("torch", &[]);
        wrong.times = Err(Error::LevelZero);
        let case: Case = "device/i32-uniform/gpu/1/1048576".parse().unwrap();
        let with_cycles = |name: &str, time_ms: f64, nominal: bool| {
            let mut ours = outcome(name, &[time_ms]);
            let cycles = Some(Cycles { per_element: 12.34, nominal });
            ours.times.iter_mut().for_each(|times| times[0].cycles = cycles);
            ours
        };
        let outcomes = [
            with_cycles("gpu", 0.05, false),
            with_cycles("gpu-ballots", 0.08, true),
            outcome("cub", &[0.1]),
            wrong,
        ];
        let peers = ["cub", "torch"].map(str::to_owned);
        let lines = lines(&peers, &case, &outcomes);
        let words = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        assert_eq!(
            words.collect::<Vec<_>>(),
            [
                "i32 2^20 uniform gpu 0.0500 20.97 12.3 0.1000 2.00 - -",
                "i32 2^20 uniform gpu-ballots 0.0800 13.11 12.3 nominal 0.1000 1.25 - -",
            ]
        );
        assert_eq!(lines.len(), 2 * head(&peers).len());
    }

    #[test]
    fn figures_are_shown_short() {
        assert_eq!(figure(Some(5.4701), 2), "5.47");
        assert_eq!(figure(None, 2), "-");
    }
}
