//! A kernel that a macro makes: a finding has the macro's call, and the line of its body.

use cuda_std::emu::{Buffer, Kind, Options, launch};
use cuda_std::{ext::*, prelude::*};

macro_rules! rotated {
    ($($name:ident: $word:ident;)*) => { $(
        /// Takes each element from its neighbour, without a barrier.
        #[kernel]
        unsafe fn $name(words: Global<$word>) {
            let t = thread::thread_idx_x() as usize;
            unsafe {
                let next = words.get((t + 1) % 96);
                words.set(t, next);
            }
        }
    )* };
}

rotated! {
    rotated_u16: u16;
}

#[test]
fn a_finding_has_the_line_in_the_macros_body() {
    let source = include_str!("macros.rs");
    let line_of = |code| source.lines().position(|line| line.contains(code)).unwrap() + 1;
    let body = [line_of("words.get((t + 1) % 96)"), line_of("words.set(t, next)")];
    let words = Buffer::from_slice(&[0u16; 96]);
    let array = words.global();
    for seed in 0..10 {
        let finding = launch(1, 96, 0, &Options::random(seed), || unsafe { rotated_u16(array) });
        let finding = finding.unwrap_err();
        assert_eq!(finding.kind, Kind::Race);
        let call = finding.site.unwrap().location.line() as usize;
        assert_eq!(call, line_of("rotated! {"), "{finding}");
        let in_macro = finding.in_macro.clone().unwrap();
        let is_line = |line| in_macro.contains(&format!("planted/macros.rs:{line}:"));
        assert!(body.into_iter().any(is_line), "{finding}");
        assert!(finding.to_string().contains(&format!("in a macro, at {in_macro}")), "{finding}");
    }
}
