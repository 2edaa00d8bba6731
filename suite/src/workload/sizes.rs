//! Numbers of elements as they are written on a command line.
//!
//! A number is `1000000`, a power `2^20`, or a power with a number added or taken away,
//! `2^20-1`. `FROM..TO` is a range with both ends in it, `FROM..TO:STEP` every STEP-th
//! of it. Between powers of one base, with the same added to both, the exponents are
//! counted: `2^10..2^28:2` is 2^10, 2^12, .., 2^28. Else numbers are: `1..4` is 1, 2, 3
//! and 4.

/// Numbers that one range stands for, at most.
const MOST: usize = 1 << 20;

/// The numbers that `text` stands for: one, or those of a range.
///
/// ```
/// use suite::workload::sizes::sizes;
///
/// assert_eq!(sizes("2^10-1..2^14-1:2"), Ok(vec![1023, 4095, 16383]));
/// ```
pub fn sizes(text: &str) -> Result<Vec<usize>, String> {
    let Some((from, rest)) = text.split_once("..") else {
        return Ok(vec![size(text)?.n]);
    };
    let (to, step) = match rest.split_once(':') {
        None => (rest, 1),
        Some((to, step)) => (to, step.trim().parse().unwrap_or(0)),
    };
    if step == 0 {
        return Err("the step of a range is 1 or more, as in 2^10..2^28:2".to_owned());
    }
    let (from, to) = (size(from)?, size(to)?);
    if from.n > to.n {
        return Err("a range goes upwards, as in 2^10..2^28".to_owned());
    }
    let exponents = from.power.zip(to.power).filter(|(a, b)| a.alike(b));
    let sizes: Vec<usize> = match exponents {
        Some((a, b)) => (a.exponent..=b.exponent)
            .step_by(step)
            .filter_map(|exponent| Power { exponent, ..a }.value())
            .collect(),
        None => (from.n..=to.n).step_by(step).take(MOST + 1).collect(),
    };
    if sizes.len() > MOST {
        return Err(format!("more than {MOST} numbers; take a larger step"));
    }
    Ok(sizes)
}

/// A number and how it was written.
struct Size {
    n: usize,
    power: Option<Power>,
}

/// A power of more than 1, with something added.
#[derive(Clone, Copy)]
struct Power {
    base: usize,
    exponent: u32,
    added: isize,
}

impl Power {
    fn value(self) -> Option<usize> {
        let power = self.base.checked_pow(self.exponent)?;
        power.checked_add_signed(self.added)
    }

    fn alike(&self, other: &Self) -> bool {
        (self.base, self.added) == (other.base, other.added)
    }
}

/// Reads a number of elements.
fn size(text: &str) -> Result<Size, String> {
    let text = text.trim();
    let (n, power) = match text.split_once('^') {
        None => (text.parse().ok(), None),
        Some((base, rest)) => {
            let power = power(base, rest);
            (power.and_then(Power::value), power)
        }
    };
    match n {
        None => {
            Err("not a number of elements in range; write it like 1000000, 2^20 or 2^20-1, or a \
             range like 2^10..2^28:2"
                .to_owned())
        }
        Some(0) => Err("nothing takes no time to sort; take 1 or more".to_owned()),
        Some(n) => Ok(Size { n, power }),
    }
}

fn power(base: &str, rest: &str) -> Option<Power> {
    let sign = rest.find(['+', '-']).unwrap_or(rest.len());
    let (exponent, added) = rest.split_at(sign);
    let power = Power {
        base: base.parse().ok()?,
        exponent: exponent.parse().ok()?,
        added: match added {
            "" => 0,
            added => added.parse().ok()?,
        },
    };
    (power.base > 1).then_some(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_read() {
        for (text, expected) in [
            ("1000000", &[1_000_000][..]),
            (" 2^10 ", &[1024]),
            ("3^2", &[9]),
            ("2^10-1", &[1023]),
            ("2^10+1", &[1025]),
            ("1..4", &[1, 2, 3, 4]),
            ("10..20:5", &[10, 15, 20]),
            ("10..20:6", &[10, 16]),
            ("2^3..2^5", &[8, 16, 32]),
            ("2^3..2^6:2", &[8, 32]),
            ("2^3-1..2^5-1", &[7, 15, 31]),
            ("2^2-1..2^2+1", &[3, 4, 5]),
            ("2^1..3^1", &[2, 3]),
            ("2^3 .. 2^4", &[8, 16]),
        ] {
            assert_eq!(sizes(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_how_to_be_written() {
        for (text, remedy) in [
            ("", "write it like 1000000, 2^20"),
            ("many", "write it like"),
            ("2^64", "in range"),
            ("2^63+9223372036854775808", "in range"),
            ("99999999999999999999", "in range"),
            ("2^", "2^20"),
            ("1^5", "2^20"),
            ("1e6", "2^20"),
            ("-5", "2^20"),
            ("2^2-5", "in range"),
            ("0", "take 1 or more"),
            ("2^2-4", "take 1 or more"),
            ("5..4", "upwards"),
            ("1..4:0", "1 or more"),
            ("1..4:x", "1 or more"),
            ("1..2^40", "take a larger step"),
            ("1...4", "write it like"),
        ] {
            let error = sizes(text).unwrap_err();
            assert!(error.contains(remedy), "{text}: {error}");
        }
    }
}
