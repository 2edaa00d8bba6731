//! Static shared arrays, as a kernel's body asks for them: `shared_array![T; LEN]`.
//!
//! On the device an array is a symbol, declared at the top of the module by
//! assembly, which has to have a name that nothing else has. The kernel's name is
//! unique, so the kernel's attribute looks for the arrays, declares each, and puts
//! its symbol into the macro's arguments: `shared_array!["name_shared_0"; T; LEN]`.

use crate::{Error, parsed};
use proc_macro::{Delimiter, Group, Literal, TokenStream, TokenTree};

/// One array.
pub(crate) struct Array {
    symbol: String,
    element: TokenStream,
    len: TokenStream,
}

impl Array {
    /// The definition of the symbol on the device, aligned for the widest access.
    pub(crate) fn declaration(&self) -> TokenStream {
        let Self { symbol, element, len } = self;
        parsed(&format!(
            "#[cfg(target_os = \"cuda\")] ::core::arch::global_asm!(\
             \".shared .align 16 .b8 {symbol}[{{}}];\", \
             const ::core::mem::size_of::<{element}>() * ({len}));"
        ))
    }
}

/// `body` with a symbol in each `shared_array!`, which are added to `arrays`.
pub(crate) fn name_arrays(
    kernel: &str,
    body: TokenStream,
    arrays: &mut Vec<Array>,
) -> Result<TokenStream, Error> {
    let mut named: Vec<TokenTree> = Vec::new();
    for token in body {
        let token = match token {
            TokenTree::Group(group) if follows_name(&named) => {
                let symbol = format!("{kernel}_shared_{}", arrays.len());
                let (array, arguments) = name_array(symbol, &group)?;
                arrays.push(array);
                arguments.into()
            }
            TokenTree::Group(group) => {
                let inner = name_arrays(kernel, group.stream(), arrays)?;
                regrouped(&group, group.delimiter(), inner).into()
            }
            other => other,
        };
        named.push(token);
    }
    Ok(named.into_iter().collect())
}

/// Returns true if `tokens` end in `shared_array!`.
fn follows_name(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [.., name, bang] if is_word(name, "shared_array") && is_punct(bang, '!'))
}

/// Reads `[T; LEN]`, and puts the symbol before it.
fn name_array(symbol: String, arguments: &Group) -> Result<(Array, Group), Error> {
    let tokens: Vec<TokenTree> = arguments.stream().into_iter().collect();
    let semicolon = tokens.iter().position(|token| is_punct(token, ';'));
    let (element, len) = match semicolon {
        Some(at) if at > 0 && at + 1 < tokens.len() => (&tokens[..at], &tokens[at + 1..]),
        _ => {
            let message = "shared_array![T; LEN] takes a type and a number of elements";
            return Err(Error::at(&arguments.clone().into(), message));
        }
    };
    let mut named = TokenStream::from(TokenTree::from(Literal::string(&symbol)));
    named.extend(parsed(";"));
    named.extend(arguments.stream());
    let array = Array {
        symbol,
        element: element.iter().cloned().collect(),
        len: len.iter().cloned().collect(),
    };
    Ok((array, regrouped(arguments, Delimiter::Bracket, named)))
}

/// `group` with other tokens.
pub(crate) fn regrouped(group: &Group, delimiter: Delimiter, inner: TokenStream) -> Group {
    let mut new = Group::new(delimiter, inner);
    new.set_span(group.span());
    new
}

pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == word)
}

pub(crate) fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
