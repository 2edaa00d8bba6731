//! Shared arrays, as a kernel's body asks for them.
//!
//! `shared_words![T; LEN]` is an accessor. On the device it is a symbol, declared at the top of the
//! module by assembly, which has to have a name that nothing else has. The kernel's name is unique,
//! so the kernel's attribute looks for the arrays, declares each, and puts its symbol into the
//! macro's arguments: `shared_words!["name_shared_0"; T; LEN]`.
//!
//! `shared_array![T; LEN]` and `#[address_space(shared)] static mut NAME: T` are raw pointers, made
//! at the start of the kernel: there LLVM sees, for every use, that they are to shared memory. The
//! first becomes the pointer, and each use of the second's name a place behind it.

use proc_macro2::{Delimiter, Group, Ident, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::{format_ident, quote, quote_spanned};
use std::collections::BTreeMap;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, ItemStatic, Result, Token, Type, parse_quote};

/// The arrays of a kernel.
pub(crate) struct Arrays {
    kernel: Ident,
    pub words: Vec<Words>,
    pub raw: Vec<Raw>,
}

/// One array that is reached by an accessor.
pub(crate) struct Words {
    symbol: Ident,
    element: Type,
    len: Expr,
}

/// One array that is reached by a pointer.
pub(crate) struct Raw {
    symbol: Ident,
    of_type: Type,
}

impl Words {
    /// The definition of the symbol on the device, aligned for the widest access.
    pub(crate) fn declaration(&self) -> TokenStream {
        let Self { symbol, element, len } = self;
        let text = format!(".shared .align 16 .b8 {symbol}[{{}}];");
        quote! {
            #[cfg(target_os = "cuda")]
            ::core::arch::global_asm!(#text, const ::core::mem::size_of::<#element>() * (#len));
        }
    }
}

impl Raw {
    /// The pointer's variable, and the array's definition: within the kernel, where its type may
    /// be made of the kernel's own constants.
    pub(crate) fn binding_on_device(&self) -> TokenStream {
        let Self { symbol, of_type } = self;
        let text =
            format!(".shared .align 16 .b8 {symbol}_bytes[{{1}}]; mov.u32 {{0}}, {symbol}_bytes;");
        quote! {
            #[allow(non_snake_case)]
            let #symbol: *mut #of_type = {
                let address: u32;
                unsafe {
                    ::core::arch::asm!(
                        #text, out(reg32) address, const ::core::mem::size_of::<#of_type>(),
                        options(pure, nomem, nostack, preserves_flags)
                    );
                    ::cuda_std::shared::from_address(address)
                }
            };
        }
    }

    /// The pointer's variable in the emulator.
    pub(crate) fn binding_on_host(&self) -> TokenStream {
        let Self { symbol, of_type } = self;
        let name = symbol.to_string();
        quote! {
            #[allow(non_snake_case)]
            let #symbol: *mut #of_type = ::cuda_std::emu::shared_pointer(#name);
        }
    }
}

impl Arrays {
    pub(crate) fn new(kernel: &Ident) -> Self {
        Self { kernel: kernel.clone(), words: Vec::new(), raw: Vec::new() }
    }

    /// `body` with the arrays named, which are added.
    pub(crate) fn name_in(&mut self, body: TokenStream) -> Result<TokenStream> {
        let mut names = BTreeMap::new();
        let body = self.take_statics(body, &mut names)?;
        self.named(body, &names)
    }

    fn symbol(&self) -> Ident {
        let symbol = format!("{}_shared_{}", self.kernel, self.words.len() + self.raw.len());
        Ident::new(&symbol, Span::call_site())
    }

    /// `body` without its shared statics, whose symbols are added to `names`.
    fn take_statics(
        &mut self,
        body: TokenStream,
        names: &mut BTreeMap<String, Ident>,
    ) -> Result<TokenStream> {
        let mut kept = Vec::new();
        let mut tokens = body.into_iter().peekable();
        while let Some(token) = tokens.next() {
            let attribute = match (&token, tokens.peek()) {
                (hash, Some(TokenTree::Group(group))) if is_punct(hash, '#') => group.clone(),
                (TokenTree::Group(group), _) => {
                    let inner = self.take_statics(group.stream(), names)?;
                    kept.push(regrouped(group, group.delimiter(), inner).into());
                    continue;
                }
                _ => {
                    kept.push(token);
                    continue;
                }
            };
            if !attribute.stream().into_iter().any(|token| is_word(&token, "address_space")) {
                kept.push(token);
                continue;
            }
            // The attribute stays, on nothing, so that its import is used.
            kept.extend([token, attribute.clone().into()]);
            let mark = format_ident!("{}", crate::MARK);
            kept.extend(quote!(const #mark: () = ();));
            tokens.next();
            let item = tokens.by_ref().take_while(|token| !is_punct(token, ';'));
            let item: TokenStream = item.chain([Punct::new(';', Spacing::Alone).into()]).collect();
            let ItemStatic { ident, ty, .. } = syn::parse2(item).map_err(|_| {
                let message = "#[address_space(shared)] goes on `static mut NAME: TYPE = ..;`";
                Error::new_spanned(&attribute, message)
            })?;
            let symbol = self.symbol();
            names.insert(ident.to_string(), symbol.clone());
            self.raw.push(Raw { symbol, of_type: *ty });
        }
        Ok(kept.into_iter().collect())
    }

    /// `body` with a symbol in each macro, and a place for each name of a static.
    fn named(&mut self, body: TokenStream, names: &BTreeMap<String, Ident>) -> Result<TokenStream> {
        let mut named: Vec<TokenTree> = Vec::new();
        for token in body {
            match token {
                TokenTree::Group(group) if follows(&named, "shared_words") => {
                    named.push(self.name_words(&group)?.into());
                }
                TokenTree::Group(group) if follows(&named, "shared_array") => {
                    let (element, len) = element_and_len(&group, "shared_array")?;
                    let symbol = self.symbol();
                    let pointer = quote!(#symbol.cast::<#element>());
                    self.raw.push(Raw { symbol, of_type: parse_quote!([#element; #len]) });
                    // The macro's name, its `!`, and the path before it.
                    let mut path = named.len() - 2;
                    while path >= 2 && is_punct(&named[path - 1], ':') {
                        path -= 2;
                        path -=
                            (path > 0 && matches!(named[path - 1], TokenTree::Ident(_))) as usize;
                    }
                    // It stays, as nothing, so that its import is used.
                    let path: TokenStream = named.drain(path..).collect();
                    named.extend(quote!({ #path[@]; #pointer }));
                }
                TokenTree::Group(group) => {
                    let inner = self.named(group.stream(), names)?;
                    named.push(regrouped(&group, group.delimiter(), inner).into());
                }
                TokenTree::Ident(word) if names.contains_key(&word.to_string()) => {
                    let mut symbol = names[&word.to_string()].clone();
                    symbol.set_span(word.span());
                    named.extend(quote_spanned!(word.span()=> (*#symbol)));
                }
                other => named.push(other),
            }
        }
        Ok(named.into_iter().collect())
    }

    /// Reads `[T; LEN]`, and puts the symbol before it.
    fn name_words(&mut self, arguments: &Group) -> Result<Group> {
        let (element, len) = element_and_len(arguments, "shared_words")?;
        let symbol = self.symbol();
        let (name, stream) = (symbol.to_string(), arguments.stream());
        self.words.push(Words { symbol, element, len });
        Ok(regrouped(arguments, Delimiter::Bracket, quote!(#name; #stream)))
    }
}

/// Returns true if `tokens` end in the macro's name and `!`.
fn follows(tokens: &[TokenTree], macro_name: &str) -> bool {
    matches!(tokens, [.., name, bang] if is_word(name, macro_name) && is_punct(bang, '!'))
}

/// The two sides of `[T; LEN]`.
fn element_and_len(arguments: &Group, macro_name: &str) -> Result<(Type, Expr)> {
    let sides = |input: ParseStream| {
        let element = input.parse()?;
        input.parse::<Token![;]>()?;
        Ok((element, input.parse()?))
    };
    sides.parse2(arguments.stream()).map_err(|_| {
        let message = format!("{macro_name}![T; LEN] takes a type and a number of elements");
        Error::new_spanned(arguments, message)
    })
}

/// `group` with other tokens.
pub(crate) fn regrouped(group: &Group, delimiter: Delimiter, inner: TokenStream) -> Group {
    let mut new = Group::new(delimiter, inner);
    new.set_span(group.span());
    new
}

pub(crate) fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

pub(crate) fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
