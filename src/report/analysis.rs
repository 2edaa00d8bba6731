//! A group's figures in short sentences, a number each, for a reader who has just come.
//!
//! Every group with rivals answers the same [`TOPICS`]. Where its question is what a level
//! changes, the answers are of the best levels for its main input; otherwise they are of all
//! cases that its engines have in common.

use std::fmt;

use suite::Group;
use suite::engines::{STAGED_IN, STAGED_OUT};
use suite::summary::{Curve, Figures, Summary};

use super::figures::{count, grouped, input, rate, seconds, share};

/// Intervals wider than this share of their median are pointed out.
const WIDE: f64 = 0.2;

/// Topics that a reader wants to know of first.
const TOPICS: [&str; 5] = [FASTEST, MARGIN, LEVEL, COPY, TRUST];
const FASTEST: &str = "Fastest";
const MARGIN: &str = "By how much";
const LEVEL: &str = "Concurrency";
const COPY: &str = "Beside a copy";
const TRUST: &str = "Trust";

/// A sentence about a topic: its text before the number, the number, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The topic.
    pub topic: String,
    /// Text before the number: all, of a sentence without one.
    pub before: String,
    /// The number with its unit.
    pub number: String,
    /// Text after it.
    pub after: String,
}

/// An answer whose number stands between two stars in `text`.
fn answer(topic: &str, text: &str) -> Answer {
    let mut parts = text.split('*').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Answer { topic: topic.to_owned(), before: next(), number: next(), after: next() }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}{}", self.topic, self.before, self.number, self.after)
    }
}

/// The answers of a group: five at most of rivals, and else one for each engine.
pub fn answers(summary: &Summary, group: Group) -> Vec<Answer> {
    match (group.has_rivals(), group.asks_for_levels()) {
        (false, _) => one_by_one(summary, group),
        (true, true) => over_levels(summary, group),
        (true, false) => over_inputs(summary, group),
    }
}

/// The same of the first group of a page, with the benchmark to run for each topic that it
/// says nothing about.
pub fn first_answers(summary: &Summary, group: Group) -> Vec<Answer> {
    let mut answers = answers(summary, group);
    if group.has_rivals() {
        for (index, topic) in TOPICS.into_iter().enumerate() {
            if !answers.iter().any(|answer| answer.topic == topic) {
                let bench = if topic == COPY { "transfer" } else { "classic" };
                let text = format!("Not measured yet: cargo bench --bench {bench} does it.");
                answers.insert(index.min(answers.len()), answer(topic, &text));
            }
        }
    }
    answers
}

/// The curves of the input that most engines sort, and of those the largest; the fastest
/// curve first.
pub fn main_curves(summary: &Summary, group: Group) -> Vec<Curve> {
    let mut curves = summary.curves(group);
    let engines = |input: &str| curves.iter().filter(|curve| curve.input == input).count();
    let main = curves.iter().max_by_key(|curve| (engines(&curve.input), curve.points[0].name.n));
    if let Some(main) = main.map(|curve| curve.input.clone()) {
        curves.retain(|curve| curve.input == main);
    }
    curves.sort_by(|a, b| b.best().per_second.total_cmp(&a.best().per_second));
    curves
}

fn over_levels(summary: &Summary, group: Group) -> Vec<Answer> {
    let curves = main_curves(summary, group);
    let Some(curve) = curves.first() else { return Vec::new() };
    let (engine, best) = (&curve.engine, curve.best());
    let next = curves.get(1).map(|next| (&next.engine, next.best()));
    let fastest = match group == Group::Batch {
        true => format!("{engine} sorts *{}* keys a second.", rate(best.per_second)),
        false => format!("{engine} takes *{}* at its best level.", seconds(best.median_s)),
    };
    let margin = match next {
        Some((next, other)) => {
            let times = best.per_second / other.per_second;
            format!("{next}, the next, takes *{times:.2}* times as long.")
        }
        None => format!("{engine} was measured alone."),
    };
    let wide = format!("*{:.1} %* wide", 100.0 * width(best));
    let trust = match next {
        _ if best.confidence < 0.95 => {
            format!("Too few samples for a 95 % interval: *{}*.", best.samples)
        }
        None => format!("The interval of {engine} is {wide}."),
        Some((_, other)) if are_apart(best, other) => {
            format!("The intervals of both are apart; that of {engine} is {wide}.")
        }
        Some(_) => "The intervals of both overlap: call neither faster.".to_owned(),
    };
    let mut answers = vec![answer(FASTEST, &fastest), answer(MARGIN, &margin)];
    answers.extend(level(curve).map(|text| answer(LEVEL, &text)));
    answers.extend(copy(summary, best).map(|text| answer(COPY, &text)));
    answers.push(answer(TRUST, &trust));
    answers
}

/// The level from which on concurrency gains nothing.
fn level(curve: &Curve) -> Option<String> {
    let engine = &curve.engine;
    if curve.ignores_level() {
        return Some(format!("{engine} works alike at every level."));
    }
    let (knee, last) = (curve.knee()?.name.level, curve.points.last()?.name.level);
    Some(match knee == last {
        true => format!("It helps {engine} up to level *{knee}*, the highest measured."),
        false => format!("It stops helping {engine} at level *{knee}*."),
    })
}

/// How near a time is to that of a copy.
fn copy(summary: &Summary, figures: &Figures) -> Option<String> {
    if figures.share_once.is_some() {
        return Some(format!("It comes to *{}* of a copy's speed.", share(figures.share_once)));
    }
    // From and to host memory there are two copies, of which the fastest are taken.
    let least = |engine: &str| {
        let curves = summary.curves(Group::Transfer);
        let input = figures.name.input();
        let curve = curves.iter().find(|curve| curve.engine == engine && curve.input == input);
        curve.map(|curve| curve.best().median_s)
    };
    let copies = least(STAGED_IN)? + least(STAGED_OUT)?;
    let part = share(Some(copies / figures.median_s));
    Some(format!("Its copies alone, in and then out, take *{part}* of that time."))
}

fn over_inputs(summary: &Summary, group: Group) -> Vec<Answer> {
    let ranks = summary.rank(group);
    let engines = summary.engines_of(group);
    let Some(engine) = ranks.first().map(|rank| &*rank.engine).or(engines.first().copied()) else {
        return Vec::new();
    };
    let has = |case: &Figures, engine| summary.beside(&case.name, engine).is_some();
    let mut cases = summary.of_group(group);
    cases.retain(|case| case.name.engine == engine);
    cases.retain(|case| engines.iter().all(|other| has(case, other)));
    let greatest = |of: fn(&Figures) -> f64| cases.iter().map(|case| of(case)).fold(0.0, f64::max);
    let rate = rate(greatest(|case| case.per_second));
    let fastest = answer(FASTEST, &format!("{engine} sorts up to *{rate}* keys a second."));
    let mut answers = match (&ranks[..], engines.len()) {
        ([first, next, ..], _) => {
            let (next, times) = (&next.engine, next.over_best / first.over_best);
            let mean = format!("{next}, the next, takes *{times:.2}* times as long (mean).");
            vec![fastest, answer(MARGIN, &mean)]
        }
        (_, 1) => vec![fastest, answer(MARGIN, &format!("{engine} was measured alone."))],
        _ => return vec![answer(FASTEST, "No input was sorted by all engines.")],
    };
    let nearest = greatest(|case| case.share_once.unwrap_or(0.0));
    if nearest > 0.0 {
        let text = format!("It comes to *{}* of a copy's speed at best.", share(Some(nearest)));
        answers.push(answer(COPY, &text));
    }
    if let Some(next) = ranks.get(1) {
        let doubtful = cases.iter().filter(|case| {
            let other = summary.beside(&case.name, &next.engine);
            other.is_some_and(|other| !are_apart(case, other))
        });
        let text = match doubtful.count() {
            0 => "The intervals of both are apart in every case.".to_owned(),
            1 => "The intervals of both overlap in *one case*.".to_owned(),
            cases => format!("The intervals of both overlap in *{cases} cases*."),
        };
        answers.push(answer(TRUST, &text));
    }
    answers
}

/// The best time of each engine of a group without rivals.
fn one_by_one(summary: &Summary, group: Group) -> Vec<Answer> {
    let curves = main_curves(summary, group);
    let time = |curve: &Curve| {
        let at = if curve.points.len() > 1 { " at its best level" } else { "" };
        answer(&curve.engine, &format!("takes *{}*{at}.", seconds(curve.best().median_s)))
    };
    curves.iter().map(time).collect()
}

/// Width of a case's interval as a share of its median.
fn width(case: &Figures) -> f64 {
    (case.high_s - case.low_s) / case.median_s
}

/// True if the intervals of two have nothing in common; of batches, of one element's time.
fn are_apart(one: &Figures, other: &Figures) -> bool {
    let per_element = |case: &Figures| case.per_second * case.median_s;
    let [a, b] = [one, other].map(|case| [case.low_s, case.high_s].map(|s| s / per_element(case)));
    a[1] < b[0] || b[1] < a[0]
}

/// Worth of the figures of `cases`, in sentences with a number at most.
pub fn trust(cases: &[&Figures]) -> Vec<String> {
    let samples: usize = cases.iter().map(|case| case.samples).sum();
    let wide = cases.iter().filter(|case| width(case) > WIDE).count();
    let slowed: usize = cases.iter().map(|case| case.slowed).sum();
    let mut said = vec![format!("Every result was verified: {} samples.", grouped(samples))];
    if wide > 0 {
        said.push(format!(
            "Small differences mean nothing where the interval is wider than a fifth of the \
             median: {}.",
            count(wide, "case")
        ));
    }
    if slowed > 0 {
        said.push(format!("Taken of a GPU that was slowed down: {}.", count(slowed, "sample")));
    }
    said
}

/// A sentence where records are of several machines, whose times do not compare.
pub fn machines(summary: &Summary) -> Option<String> {
    let machines = summary.machines();
    (machines > 1).then(|| {
        format!("Records of {machines} machines: call no engine or case faster than another's.")
    })
}

/// One line on the groups in which nothing was measured, and the engines that could not run,
/// each with the reason; empty if there are none.
pub fn not_measured(summary: &Summary) -> String {
    let mut empty: Vec<Group> = Group::ALL.to_vec();
    empty.retain(|group| summary.of_group(*group).is_empty());
    let mut reasons: Vec<&String> = summary.skipped.values().collect();
    reasons.sort();
    reasons.dedup();
    let lacks = |group: &Group, reason: &String| {
        let skipped = group.engines().into_iter().map(|engine| summary.skipped.get(engine));
        let skipped: Option<Vec<&String>> = skipped.collect();
        skipped.is_some_and(|reasons| reasons.first() == Some(&reason))
    };
    let mut parts = Vec::new();
    for reason in reasons {
        let of = |(engine, of): (&String, &String)| (of == reason).then(|| engine.clone());
        let engines: Vec<String> = summary.skipped.iter().filter_map(of).collect();
        let why = format!("{}: {reason}", engines.join(", "));
        let for_want = empty.extract_if(.., |group| lacks(group, reason));
        let groups: Vec<&str> = for_want.map(Group::name).collect();
        parts.push(match groups.is_empty() {
            true => why,
            false => format!("{} ({why})", groups.join(", ")),
        });
    }
    if !empty.is_empty() {
        let names: Vec<&str> = empty.iter().map(|group| group.name()).collect();
        parts.push(format!("{} (not run)", names.join(", ")));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!("Not measured: {}.", parts.join("; ")),
    }
}

/// The input that a group's answers are of, where it has several.
pub fn about(summary: &Summary, group: Group) -> Option<String> {
    let curves = summary.curves(group);
    let several = curves.iter().any(|curve| curve.input != curves[0].input);
    let main = main_curves(summary, group).first().map(|curve| input(&curve.points[0].name));
    match group.asks_for_levels() || !group.has_rivals() {
        true => main.filter(|_| several),
        false => {
            let cases = summary.rank(group).first()?.cases;
            Some(count(cases, "case") + " that all engines have")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::of;

    /// Sentences about `group`, none of which has more than a number.
    fn said(summary: &Summary, group: Group) -> Vec<String> {
        let answers = answers(summary, group);
        for Answer { before, after, .. } in &answers {
            let words = [before, after].map(|text| text.replace("u32", "").replace("95 %", ""));
            let digits = words.iter().any(|text| text.contains(|c: char| c.is_ascii_digit()));
            assert!(!digits, "{words:?}");
        }
        answers.iter().map(Answer::to_string).collect()
    }

    #[test]
    fn a_group_of_levels_is_judged_at_the_best_levels() {
        let mut cases = vec![
            ("classic/i32-classic-1000000/cpu-radix/1", 0.004),
            ("classic/i32-classic-1000000/cpu-radix/2", 0.002),
            ("classic/i32-classic-1000000/cpu-radix/4", 0.002),
            ("classic/i32-classic-1000000/cpu-std/1", 0.010),
            ("classic/i32-classic-1000000/cpu-std/4", 0.005),
            // Of fewer engines, though larger.
            ("classic/i32-classic-2000000/cpu-std/4", 0.001),
        ];
        let all = of(&cases);
        let expected = [
            "Fastest: cpu-radix takes *2.01 ms* at its best level.",
            "By how much: cpu-std, the next, takes *2.50* times as long.",
            "Concurrency: It stops helping cpu-radix at level *2*.",
            "Beside a copy: It comes to *39.8 %* of a copy's speed.",
            "Trust: The intervals of both are apart; that of cpu-radix is *0.7 %* wide.",
        ];
        assert_eq!(said(&all, Group::Classic), expected.map(|line| line.replace('*', "")));
        assert_eq!(about(&all, Group::Classic).unwrap(), "i32 classic 1,000,000");
        let numbers = answers(&all, Group::Classic).into_iter().map(|answer| answer.number);
        let marked = expected.map(|line| line.split('*').nth(1).unwrap().to_owned());
        assert_eq!(numbers.collect::<Vec<_>>(), marked);

        cases.retain(|(case, _)| case.contains("1000000/cpu-radix"));
        cases.push(("classic/i32-classic-1000000/cpu-std/4", 0.002));
        let lines = said(&of(&cases), Group::Classic);
        assert_eq!(lines[4], "Trust: The intervals of both overlap: call neither faster.");
        cases.truncate(2);
        let lines = said(&of(&cases), Group::Classic);
        assert_eq!(lines[1], "By how much: cpu-radix was measured alone.");
        assert_eq!(
            lines[2],
            "Concurrency: It helps cpu-radix up to level 2, the highest measured."
        );
        assert_eq!(about(&of(&cases), Group::Classic), None);
    }

    #[test]
    fn a_sort_on_the_gpu_is_compared_with_the_copies_to_it_and_back() {
        let summary = of(&[
            ("classic/i32-classic-1000/gpu/1", 0.010),
            ("classic/i32-classic-1000/cupy/1", 0.020),
            ("transfer/i32-classic-1000/staged-in/1", 0.009),
            ("transfer/i32-classic-1000/staged-in/4", 0.003),
            ("transfer/i32-classic-1000/staged-out/1", 0.002),
        ]);
        let lines = said(&summary, Group::Classic);
        assert_eq!(lines[1], "By how much: cupy, the next, takes 2.00 times as long.");
        assert_eq!(
            lines[2],
            "Beside a copy: Its copies alone, in and then out, take 50.0 % of that time."
        );
        let copies = said(&summary, Group::Transfer);
        assert_eq!(copies[1], "staged-in: takes 3.01 ms at its best level.");
        // One level says nothing of concurrency, which the first group tells how to measure.
        let first = first_answers(&summary, Group::Classic);
        assert_eq!(first.iter().map(|answer| &answer.topic).collect::<Vec<_>>(), TOPICS.each_ref());
        assert_eq!(first[2].before, "Not measured yet: cargo bench --bench classic does it.");
    }

    #[test]
    fn a_group_of_inputs_is_judged_over_those_that_all_engines_have() {
        let summary = of(&[
            ("cpu/u32-uniform/cpu-std/1/1000", 0.002),
            ("cpu/u32-uniform/cpu-radix/1/1000", 0.001),
            ("cpu/u32-uniform/cpu-std/1/2000", 0.004),
            ("cpu/u32-uniform/cpu-radix/1/2000", 0.001),
            ("cpu/u32-sorted/cpu-std/1/1000", 0.001),
            ("cpu/u32-sorted/cpu-radix/1/1000", 0.001),
            ("cpu/u32-zipf/cpu-std/1/1000", 0.000_001),
        ]);
        let expected = [
            "Fastest: cpu-radix sorts up to 1.99 M keys a second.",
            "By how much: cpu-std, the next, takes 2.00 times as long (mean).",
            "Beside a copy: It comes to 0.2 % of a copy's speed at best.",
            "Trust: The intervals of both overlap in one case.",
        ];
        assert_eq!(said(&summary, Group::Cpu), expected);
        assert_eq!(about(&summary, Group::Cpu).unwrap(), "3 cases that all engines have");
        let alone = of(&[("cpu/u32-uniform/cpu-std/1/1000", 0.002)]);
        assert_eq!(said(&alone, Group::Cpu)[1], "By how much: cpu-std was measured alone.");
    }

    #[test]
    fn checks_of_the_emulator_are_not_ranked() {
        let summary = of(&[
            ("emulator/u32-uniform/bounds/1/100000", 0.1),
            ("emulator/u32-uniform/races/1/100000", 0.4),
            ("emulator/u64-uniform/races/1/100000", 2.0),
        ]);
        let expected = ["bounds: takes 100 ms.", "races: takes 402 ms."];
        assert_eq!(said(&summary, Group::Emulator), expected);
        assert_eq!(about(&summary, Group::Emulator).unwrap(), "u32 uniform 100,000");
        assert_eq!(answers(&summary, Group::Classic), []);
    }

    #[test]
    fn groups_without_measurements_are_one_line_with_their_reasons() {
        let mut summary = of(&[("classic/i32-classic-1000/cpu-std/1", 0.010)]);
        for engine in ["gpu", "cub", "cupy", "torch"] {
            summary.skipped.insert(engine.to_owned(), "no driver".to_owned());
        }
        assert_eq!(
            not_measured(&summary),
            "Not measured: device, device-cold, device-graph, devices, segments, ragged (cub, \
             cupy, gpu, torch: no driver); split, batch, pairs, cpu, transfer, emulator (not run)."
        );
    }

    #[test]
    fn doubts_are_counted() {
        let mut summary = of(&[("cpu/u32-uniform/cpu-std/1/1000", 0.010)]);
        let figures = summary.cases.values_mut().next().unwrap();
        assert_eq!(trust(&[figures]), ["Every result was verified: 10 samples."]);
        figures.high_s *= 1.5;
        figures.slowed = 1;
        assert_eq!(
            trust(&[figures])[1..],
            [
                "Small differences mean nothing where the interval is wider than a fifth of the \
                 median: one case.",
                "Taken of a GPU that was slowed down: one sample.",
            ]
        );
    }
}
