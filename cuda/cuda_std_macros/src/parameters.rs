//! A kernel's parameters: their patterns and types, and slices as two parameters.

use crate::function::{skip_attributes, split_at_commas};
use crate::parsed;
use crate::shared::{is_punct, is_word};
use proc_macro::{Delimiter, Spacing, TokenStream, TokenTree};

/// One parameter, in tokens.
pub(crate) struct Parameter {
    pub attributes: TokenStream,
    pub pattern: TokenStream,
    pub of_type: Vec<TokenTree>,
}

/// The parameters between a function's parentheses.
pub(crate) fn read(parameters: TokenStream) -> Vec<Parameter> {
    split_at_commas(parameters, true).into_iter().filter_map(read_one).collect()
}

fn read_one(parameter: Vec<TokenTree>) -> Option<Parameter> {
    // A colon that is no part of `::` ends the pattern.
    let is_colon = |i: usize| is_punct(&parameter[i], ':');
    let ends_pattern = |&i: &usize| {
        matches!(&parameter[i], TokenTree::Punct(p) if p.spacing() == Spacing::Alone)
            && is_colon(i)
            && (i == 0 || !is_colon(i - 1))
    };
    let colon = (0..parameter.len()).find(ends_pattern)?;
    let attributes = skip_attributes(&parameter);
    Some(Parameter {
        attributes: parameter[..attributes].iter().cloned().collect(),
        pattern: parameter[attributes..colon].iter().cloned().collect(),
        of_type: parameter[colon + 1..].to_vec(),
    })
}

/// The element's type of `&[T]` or `&mut [T]`, and whether it is the latter.
fn slice(of_type: &[TokenTree]) -> Option<(TokenStream, bool)> {
    let [reference, rest @ ..] = of_type else { return None };
    let rest = match rest {
        [tick, _, rest @ ..] if is_punct(tick, '\'') => rest,
        rest => rest,
    };
    let (rest, is_mutable) = match rest {
        [word, rest @ ..] if is_word(word, "mut") => (rest, true),
        rest => (rest, false),
    };
    match rest {
        [TokenTree::Group(group)]
            if is_punct(reference, '&')
                && group.delimiter() == Delimiter::Bracket
                // `[T; N]` is an array.
                && !group.stream().into_iter().any(|token| is_punct(&token, ';')) =>
        {
            Some((group.stream(), is_mutable))
        }
        _ => None,
    }
}

/// The parameters with each slice as a pointer and a length, and the statements that put the
/// slices together again.
pub(crate) fn split_slices(parameters: TokenStream) -> (TokenStream, TokenStream) {
    let (mut split, mut bindings) = (TokenStream::new(), TokenStream::new());
    for (i, parameter) in read(parameters).into_iter().enumerate() {
        let Parameter { attributes, pattern, of_type } = parameter;
        split.extend(attributes);
        let Some((element, is_mutable)) = slice(&of_type) else {
            split.extend(pattern);
            split.extend(parsed(":"));
            split.extend(of_type);
            split.extend(parsed(","));
            continue;
        };
        let (pointer, suffix) = if is_mutable { ("*mut", "_mut") } else { ("*const", "") };
        split.extend(parsed(&format!("__pointer_{i}: {pointer}")));
        split.extend(element);
        split.extend(parsed(&format!(", __len_{i}: usize,")));
        bindings.extend(parsed("let"));
        bindings.extend(pattern);
        bindings.extend(parsed(":"));
        bindings.extend(of_type);
        bindings.extend(parsed(&format!(
            "= unsafe {{ ::core::slice::from_raw_parts{suffix}(__pointer_{i}, __len_{i}) }};"
        )));
    }
    (split, bindings)
}
