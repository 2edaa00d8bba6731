//! A function as the attributes see it: the tokens up to its name, and the generic
//! parameters or return type after it.

use crate::parameters::{self, Parameter};
use crate::shared::{Arrays, is_punct, is_word, regrouped};
use crate::{Error, parsed};
use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// A function item, split at the word `fn`.
pub(crate) struct Function {
    tokens: Vec<TokenTree>,
    /// Index of the first qualifier (`pub`, `unsafe`, ..): behind the attributes.
    qualifiers: usize,
    /// Index of `fn`; the function's name is the token behind it.
    keyword: usize,
}

impl Function {
    /// Reads `item`, to which the attribute called `attribute` was put.
    pub(crate) fn parse(attribute: &str, item: TokenStream) -> Result<Self, Error> {
        let tokens = without_invisible_groups(item);
        let qualifiers = skip_attributes(&tokens);
        let keyword = tokens[qualifiers..]
            .iter()
            .take_while(|token| is_qualifier(token))
            .position(|token| is_word(token, "fn"))
            .map(|i| qualifiers + i);
        match keyword {
            Some(keyword) if keyword + 1 < tokens.len() => Ok(Self { tokens, qualifiers, keyword }),
            _ => {
                let message = format!("#[{attribute}] goes on a function");
                let span = tokens.get(qualifiers).map(TokenTree::span);
                Err(Error { span: span.unwrap_or_else(proc_macro::Span::call_site), message })
            }
        }
    }

    pub(crate) fn name(&self) -> &TokenTree {
        &self.tokens[self.keyword + 1]
    }

    /// The tokens before `fn`, attributes included, and the others.
    pub(crate) fn halves(&self) -> [TokenStream; 2] {
        let (before, onward) = self.tokens.split_at(self.keyword);
        [before, onward].map(|half| half.iter().cloned().collect())
    }

    /// The parameters and the body, of a function without generic parameters or a result.
    fn parts(&self) -> Option<(&Group, &Group)> {
        match (self.tokens.get(self.keyword + 2), self.tokens.last()) {
            (Some(TokenTree::Group(parameters)), Some(TokenTree::Group(body))) => {
                Some((parameters, body))
            }
            _ => None,
        }
    }

    /// The tokens up to the parameters, with `abi` before `fn`; `parameters`, and a body that
    /// begins with `first`.
    fn rebuilt(&self, abi: &str, parameters: TokenStream, first: TokenStream) -> TokenStream {
        let Some((old, body)) = self.parts() else {
            return self.tokens.iter().cloned().collect();
        };
        let mut inner = first;
        inner.extend(body.stream());
        let mut rebuilt: TokenStream = self.tokens[..self.keyword].iter().cloned().collect();
        rebuilt.extend(parsed(abi));
        rebuilt.extend(self.tokens[self.keyword..self.keyword + 2].iter().cloned());
        rebuilt.extend([
            TokenTree::from(regrouped(old, Delimiter::Parenthesis, parameters)),
            TokenTree::from(regrouped(body, Delimiter::Brace, inner)),
        ]);
        rebuilt
    }

    /// The entry point on the device.
    pub(crate) fn on_device(&self, arrays: &Arrays) -> TokenStream {
        let Some((parameters, _)) = self.parts() else {
            return self.tokens.iter().cloned().collect();
        };
        let (parameters, mut first) = parameters::split_slices(parameters.stream());
        first.extend(arrays.raw.iter().map(|array| array.binding_on_device()));
        self.rebuilt("extern \"ptx-kernel\"", parameters, first)
    }

    /// The whole function for the host, whose body begins by reporting its parameters to
    /// the emulator: for each its pattern and its type.
    pub(crate) fn on_host(&self, arrays: &Arrays, is_instrumented: bool) -> TokenStream {
        let Some((parameters, _)) = self.parts() else {
            return self.tokens.iter().cloned().collect();
        };
        let mut list = TokenStream::new();
        for Parameter { attributes, pattern, of_type } in parameters::read(parameters.stream()) {
            let mut pair = parsed(&format!("{:?}, ::core::any::type_name::<", pattern.to_string()));
            pair.extend(of_type);
            pair.extend(parsed(">()"));
            list.extend(attributes);
            list.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, pair))]);
            list.extend(parsed(","));
        }
        let mut call = parsed(&format!("{:?}, &", self.name().to_string()));
        call.extend([TokenTree::from(Group::new(Delimiter::Bracket, list))]);
        call.extend(parsed(&format!(", {is_instrumented}")));
        let mut first = parsed("::cuda_std::emu::enter_kernel");
        first.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, call))]);
        first.extend(parsed(";"));
        first.extend(arrays.raw.iter().map(|array| array.binding_on_host()));
        self.rebuilt("", parameters.stream(), first)
    }

    /// The function on the device, and on the host one that panics.
    pub(crate) fn gpu_only(self) -> TokenStream {
        let mut both = parsed("#[cfg(target_os = \"cuda\")]");
        both.extend(self.tokens.iter().cloned());
        both.extend(parsed("#[cfg(not(target_os = \"cuda\"))] #[allow(unused_variables)]"));
        let name = self.name().to_string();
        let body = parsed(&format!("::core::unimplemented!(\"`{name}` is for the device only\")"));
        both.extend(self.tokens[..self.tokens.len() - 1].iter().cloned());
        both.extend([TokenTree::from(Group::new(Delimiter::Brace, body))]);
        both
    }

    /// Gives each shared array of the body a symbol by the function's name.
    pub(crate) fn name_shared_arrays(&mut self) -> Result<Arrays, Error> {
        let mut arrays = Arrays::new(self.name().to_string());
        if let Some(body) = self.tokens.pop() {
            let named = arrays.name_in(body.into())?;
            self.tokens.extend(named);
        }
        Ok(arrays)
    }

    /// Refuses a function that cannot be an entry point of the device.
    pub(crate) fn check_entry_point(&self) -> Result<(), Error> {
        let name = self.name();
        let qualifiers = &self.tokens[self.qualifiers..self.keyword];
        for word in ["const", "async", "extern"] {
            if let Some(token) = qualifiers.iter().find(|token| is_word(token, word)) {
                let message = format!("kernel `{name}` cannot be `{word}`: write `unsafe fn`");
                return Err(Error::at(token, &message));
            }
        }
        if !qualifiers.iter().any(|token| is_word(token, "unsafe")) {
            let message = format!(
                "kernel `{name}` must be an `unsafe fn`: a launch checks neither its arguments \
                 nor its shape"
            );
            return Err(Error::at(name, &message));
        }

        let behind_name = &self.tokens[self.keyword + 2..];
        if let Some(token) = behind_name.first().filter(|token| is_punct(token, '<')) {
            let message = format!(
                "kernel `{name}` cannot have generic parameters: its name is exported; write a \
                 generic function and one kernel for each instance"
            );
            return Err(Error::at(token, &message));
        }
        let arrow =
            behind_name.windows(2).find(|pair| is_punct(&pair[0], '-') && is_punct(&pair[1], '>'));
        if let Some(pair) = arrow {
            let message = format!(
                "kernel `{name}` cannot return a value: nobody receives it; write it to memory"
            );
            return Err(Error::at(&pair[0], &message));
        }
        Ok(())
    }
}

/// The tokens, with the groups opened that `macro_rules!` puts around what it inserts (a
/// `$vis:vis`, a whole `$item:item`). Brackets and what they hold stay as they are.
fn without_invisible_groups(tokens: TokenStream) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                flat.extend(without_invisible_groups(group.stream()));
            }
            other => flat.push(other),
        }
    }
    flat
}

/// The tokens between top-level commas; one comma may end the last. Of types, a comma in
/// angle brackets is not top-level.
pub(crate) fn split_at_commas(tokens: TokenStream, of_types: bool) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    let (mut depth, mut before_is_dash) = (0, false);
    for token in tokens {
        if is_punct(&token, ',') && depth == 0 {
            parts.push(Vec::new());
            continue;
        }
        if of_types {
            depth += is_punct(&token, '<') as i32;
            depth -= (is_punct(&token, '>') && !before_is_dash) as i32;
        }
        before_is_dash = is_punct(&token, '-');
        parts.last_mut().expect("there is a first part").push(token);
    }
    parts.pop_if(|last| last.is_empty());
    parts
}

/// Index of the first token behind the leading `#[..]`.
pub(crate) fn skip_attributes(tokens: &[TokenTree]) -> usize {
    let mut at = 0;
    while let [hash, TokenTree::Group(_), ..] = &tokens[at..] {
        if !is_punct(hash, '#') {
            break;
        }
        at += 2;
    }
    at
}

/// Returns true if `token` can stand between the attributes and the name of a function.
fn is_qualifier(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => matches!(
            word.to_string().as_str(),
            "pub" | "default" | "const" | "async" | "safe" | "unsafe" | "extern" | "fn"
        ),
        // The path in `pub(crate)`, and the ABI in `extern "C"`.
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        TokenTree::Literal(_) => true,
        TokenTree::Punct(_) => false,
    }
}
