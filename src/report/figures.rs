//! How figures are written: few digits, a unit that fits.

use indicatif::HumanCount;
use suite::Case;
use suite::cycles::Cycles;

/// A time: `1.23 ms`.
pub fn seconds(seconds: f64) -> String {
    let (unit, per_second) = unit(seconds);
    format!("{} {unit}", digits(seconds * per_second))
}

/// The unit in which `seconds` is a number of some size, and how many are a second.
pub fn unit(seconds: f64) -> (&'static str, f64) {
    match seconds {
        1.0.. => ("s", 1.0),
        1e-3.. => ("ms", 1e3),
        1e-6.. => ("\u{b5}s", 1e6),
        _ => ("ns", 1e9),
    }
}

/// The ends of an interval, in the unit that `median_s` has: `0.98..1.25`.
pub fn interval(median_s: f64, ends_s: [f64; 2]) -> String {
    let (_, per_second) = unit(median_s);
    ends_s.map(|seconds| digits(seconds * per_second)).join("..")
}

/// Elements a second: `1.23 G`.
pub fn rate(per_second: f64) -> String {
    let (unit, one) = match per_second {
        1e9.. => ("G", 1e9),
        1e6.. => ("M", 1e6),
        1e3.. => ("k", 1e3),
        _ => ("", 1.0),
    };
    format!("{} {unit}", digits(per_second / one)).trim_end().to_owned()
}

/// Stands in the place of a figure that there is not.
pub const NONE: &str = "-";

/// A figure as `show` writes it, or what stands for none.
pub fn or_none<T>(figure: Option<T>, show: impl FnOnce(T) -> String) -> String {
    figure.map_or_else(|| NONE.to_owned(), show)
}

/// A share in per cent, or what stands for none.
pub fn share(share: Option<f64>) -> String {
    or_none(share, |share| format!("{:.1} %", 100.0 * share))
}

/// Cycles for an element, named where they are by the nominal clock; or what stands for none.
pub fn cycles(cycles: Option<Cycles>) -> String {
    or_none(cycles, |of| digits(of.per_element) + if of.nominal { " nominal" } else { "" })
}

/// A ratio as a change: `+5.0 %`.
pub fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// Three digits that count.
pub fn digits(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number with its thousands set apart: `50,000,000`.
pub fn grouped(number: usize) -> String {
    HumanCount(number as u64).to_string()
}

/// A number with its thousands set apart, or from 1023 on as a power of two, or one off it, if it
/// is that.
pub fn power(n: usize) -> String {
    let beside = [(n, ""), (n + 1, "-1"), (n.saturating_sub(1), "+1")];
    let found = beside.into_iter().find(|(power, _)| power.is_power_of_two() && *power >= 1024);
    match found {
        Some((power, off)) => format!("2^{}{off}", power.ilog2()),
        None => grouped(n),
    }
}

/// So many of what is called `what`: `one case`, `2 cases`.
pub fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("one {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// The input of a case, to be read: `u32 uniform 2^20`.
pub fn input(name: &Case) -> String {
    format!("{} {} {}", name.kind, name.distribution, power(name.n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_unit_that_fits() {
        assert_eq!(seconds(0.012345), "12.3 ms");
        assert_eq!(seconds(2.5), "2.50 s");
        assert_eq!(seconds(3e-8), "30.0 ns");
        assert_eq!(interval(1.0e-3, [0.98e-3, 1.25e-3]), "0.98..1.25");
        assert_eq!(rate(72.4e9), "72.4 G");
        assert_eq!(rate(4.0), "4.00");
        assert_eq!(share(Some(0.1234)), "12.3 %");
        assert_eq!(share(None), "-");
        let units = [2.0, 1.0, 0.5, 1e-4].map(|seconds| unit(seconds).0);
        assert_eq!(units, ["s", "s", "ms", "\u{b5}s"]);
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        let numbers = [0, 999, 1_000, 50_000_000].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "50,000,000"]);
        assert_eq!([0, 512, 1 << 20, 50_000_000].map(power), ["0", "512", "2^20", "50,000,000"]);
        assert_eq!([(1 << 20) - 1, (1 << 20) + 1].map(power), ["2^20-1", "2^20+1"]);
    }
}
