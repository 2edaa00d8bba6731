//! A group's figures in sentences for a reader who has just come to the page.

use suite::Group;
use suite::engines::{BOUNDS, RACES, RANDOM, WRITTEN};
use suite::summary::{Curve, Figures, Summary};

use super::figures::{count, input, rate, seconds, share};
use super::text::peers;

/// Intervals wider than this share of their median are pointed out.
const WIDE: f64 = 0.2;

/// The paragraph of a group: a sentence a fact.
pub fn paragraph(summary: &Summary, group: Group) -> String {
    let cases = summary.of_group(group);
    if cases.is_empty() {
        return "Nothing was measured here.".to_owned();
    }
    let mut sentences = Vec::new();
    if group == Group::Emulator {
        let inputs = cases.chunk_by(|a, b| a.name.input() == b.name.input());
        sentences.extend(inputs.filter_map(checks));
    }
    sentences.extend(fastest(summary, group));
    if group.asks_for_levels() {
        let curves = summary.curves(group);
        let several = curves.iter().any(|curve| curve.input != curves[0].input);
        for curve in &curves {
            sentences.extend(levels(curve, several));
            if let (true, [copy]) = (group.is_copy(), &curve.points[..]) {
                let (engine, time) = (&curve.engine, seconds(copy.median_s));
                sentences.push(format!("{engine} takes {time}."));
            }
        }
    }
    sentences.extend(against_peers(summary, group));
    sentences.extend(peak(&cases));
    sentences.extend(noise(&cases));
    sentences.join(" ")
}

/// Cost of each check of the emulator for one input, against the one of `cases` that
/// checks least.
fn checks(cases: &[&Figures]) -> Option<String> {
    let what = [
        (BOUNDS, "bounds alone checked"),
        (WRITTEN, "reads of unwritten memory looked for as well"),
        (RACES, "races looked for as well"),
        (RANDOM, "a random schedule and stale reads besides"),
    ];
    let mut measured = what.into_iter().filter_map(|(engine, what)| {
        let case = cases.iter().find(|case| case.name.engine == engine)?;
        Some((*case, what))
    });
    let (least, what) = measured.next()?;
    let costs: Vec<(&Figures, String)> = measured
        .map(|(case, what)| {
            let ratio = case.median_s / least.median_s;
            let engine = &case.name.engine;
            (case, format!("{ratio:.2} times as long with {what} ({engine})"))
        })
        .collect();
    let most = costs.last().map_or(least, |(case, _)| *case);
    let costs: Vec<&str> = costs.iter().map(|(_, text)| text.as_str()).collect();
    let costs = match costs.is_empty() {
        true => String::new(),
        false => format!("; a sort takes {}", costs.join(", ")),
    };
    Some(format!(
        "With {what} ({}), the emulator sorts {} in {}, {} keys a second{costs}. Under {}, a test \
         affords {} such sorts a minute.",
        least.name.engine,
        input(&least.name),
        seconds(least.median_s),
        rate(least.per_second),
        most.name.engine,
        rate(60.0 / most.median_s)
    ))
}

fn fastest(summary: &Summary, group: Group) -> Option<String> {
    let ranks = summary.rank(group);
    let (first, others) = ranks.split_first()?;
    let others: Vec<String> =
        others.iter().map(|rank| format!("{} {:.2}", rank.engine, rank.over_best)).collect();
    Some(format!(
        "Over the {} that all engines have, {} is nearest to the fastest, with {:.2} times its \
         time in the geometric mean; then {}.",
        count(first.cases, "case"),
        first.engine,
        first.over_best,
        others.join(", ")
    ))
}

/// Effect of a higher level; of several inputs, this one is named.
fn levels(curve: &Curve, several: bool) -> Option<String> {
    let knee = curve.knee()?;
    let (first, best, last) = (curve.points.first()?, curve.best(), curve.points.last()?);
    let who = match several {
        true => format!("{} with {}", curve.engine, input(&first.name)),
        false => curve.engine.clone(),
    };
    let gain = best.per_second / first.per_second;
    let mut sentence = match best.name.level == first.name.level {
        true => format!(
            "{who} is at its best at level {} ({}): more gains nothing.",
            first.name.level,
            seconds(first.median_s)
        ),
        false => format!(
            "{who} reaches {gain:.2} times the throughput of level {} at level {} ({}); its knee \
             is at level {}.",
            first.name.level,
            best.name.level,
            seconds(best.median_s),
            knee.name.level
        ),
    };
    if let Some(overlap) = best.overlap {
        sentence +=
            &format!(" There {overlap:.1} of its {} streams were busy at a time.", best.name.level);
    }
    let lost = 1.0 - last.per_second / best.per_second;
    if lost > 0.1 && last.name.level != best.name.level {
        sentence +=
            &format!(" At level {} it is {:.0} % below its best.", last.name.level, 100.0 * lost);
    }
    Some(sentence)
}

fn against_peers(summary: &Summary, group: Group) -> Option<String> {
    let engines = summary.engines_of(group);
    let ours = engines.first()?;
    if !group.has_rivals() {
        return None;
    }
    let cases = summary.of_group(group);
    let parts: Vec<String> = peers(&engines)
        .filter_map(|peer| {
            let mine = cases.iter().filter(|case| case.name.engine == *ours);
            let ratios: Vec<f64> = mine.filter_map(|case| summary.ratio(case, peer)).collect();
            let least = ratios.iter().copied().reduce(f64::min)?;
            let greatest = ratios.iter().copied().reduce(f64::max)?;
            Some(format!("{peer} takes {least:.2} to {greatest:.2} times as long"))
        })
        .collect();
    match parts.is_empty() {
        true => None,
        false => Some(format!("Against {ours}, {}.", parts.join("; "))),
    }
}

fn peak(cases: &[&Figures]) -> Option<String> {
    let shared = cases.iter().filter(|case| case.share_once.is_some());
    let best = shared.max_by(|a, b| {
        a.share_once.partial_cmp(&b.share_once).unwrap_or(std::cmp::Ordering::Equal)
    })?;
    let passes = match best.share_passes {
        Some(_) => format!(", {} if the bytes of all passes are counted", share(best.share_passes)),
        None => String::new(),
    };
    Some(format!(
        "The nearest to what a plain copy moves is {} with {}: {} elements a second, {} of the \
         copy{passes}.",
        best.name.engine,
        input(&best.name),
        rate(best.per_second),
        share(best.share_once)
    ))
}

fn noise(cases: &[&Figures]) -> Option<String> {
    let width = |case: &Figures| (case.high_s - case.low_s) / case.median_s;
    let wide = cases.iter().filter(|case| width(case) > WIDE).count();
    let slowed: usize = cases.iter().map(|case| case.slowed).sum();
    let mut parts = Vec::new();
    if wide > 0 {
        parts.push(format!(
            "The intervals of {} of {} are wider than {:.0} % of the median: small differences \
             there mean nothing.",
            wide,
            count(cases.len(), "case"),
            100.0 * WIDE
        ));
    }
    if slowed > 0 {
        parts.push(format!(
            "Of a GPU that was slowed down there {}; all are kept, and marked.",
            match slowed {
                1 => "is one sample".to_owned(),
                _ => format!("are {slowed} samples"),
            }
        ));
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use suite::environment::Environment;
    use suite::lines::{EnvironmentLine, Line, Sample};
    use suite::records::Contents;

    fn said(group: Group, cases: &[(&str, f64)]) -> String {
        let environment = EnvironmentLine::new(Environment::here(None), 42, "quick");
        let id = environment.id.clone();
        let mut contents = Contents::default();
        contents.add(Line::Environment(Box::new(environment)));
        for &(case, seconds) in cases {
            let sample = Sample::by_host(&id, case.parse().unwrap(), 0, seconds);
            contents.add(Line::Sample(Box::new(sample)));
        }
        paragraph(&Summary::of(&contents), group)
    }

    #[test]
    fn checks_are_held_against_the_least_of_them_and_not_ranked() {
        let text = said(
            Group::Emulator,
            &[
                ("emulator/u32-uniform/bounds/1/100000", 0.1),
                ("emulator/u32-uniform/races/1/100000", 0.4),
                ("emulator/u32-uniform/random/1/100000", 1.5),
                ("emulator/u64-uniform/races/1/100000", 2.0),
            ],
        );
        assert_eq!(
            text,
            "With bounds alone checked (bounds), the emulator sorts u32 uniform 100,000 in 100 ms, \
             1.00 M keys a second; a sort takes 4.00 times as long with races looked for as well \
             (races), 15.00 times as long with a random schedule and stale reads besides \
             (random). Under random, a test affords 40.0 such sorts a minute. With races looked \
             for as well (races), the emulator sorts u64 uniform 100,000 in 2.00 s, 50.0 k keys a \
             second. Under races, a test affords 30.0 such sorts a minute."
        );
        assert_eq!(said(Group::Emulator, &[]), "Nothing was measured here.");
    }
}
