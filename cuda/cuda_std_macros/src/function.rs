//! A function as the attributes see it: all of Rust's grammar but its body's.

use crate::shared::{Arrays, regrouped};
use proc_macro2::{Delimiter, Group, Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, FnArg, PatType, Result, ReturnType, Safety, Signature, Token, Type,
    TypeReference, TypeSlice, Visibility, parse_quote,
};

/// A function item.
#[derive(Clone)]
pub(crate) struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream) -> Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, visibility, signature, body } = self;
        tokens.extend(quote!(#(#attributes)* #visibility #signature #body));
    }
}

impl Function {
    /// Reads `item`, to which the attribute called `attribute` was put.
    pub(crate) fn read(attribute: &str, item: TokenStream) -> Result<Self> {
        syn::parse2(item).map_err(|error| {
            Error::new(error.span(), format!("#[{attribute}] goes on a function: {error}"))
        })
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.signature.ident
    }

    /// The function whose body begins with `first`.
    fn beginning_with(&self, first: TokenStream) -> Self {
        let inner = self.body.stream();
        let body = regrouped(&self.body, Delimiter::Brace, quote!(#first #inner));
        Self { body, ..self.clone() }
    }

    /// The typed parameters.
    fn parameters(&self) -> impl Iterator<Item = &PatType> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
    }

    /// The entry point on the device, where each slice is a pointer and a length.
    pub(crate) fn on_device(&self, arrays: &Arrays) -> Self {
        let (mut inputs, mut first) = (Punctuated::<FnArg, Token![,]>::new(), TokenStream::new());
        for (i, parameter) in self.parameters().enumerate() {
            let PatType { attrs, pat, ty, .. } = parameter;
            let Some((element, is_mutable)) = slice(ty) else {
                inputs.push(FnArg::Typed(parameter.clone()));
                continue;
            };
            let (kind, whole) = match is_mutable {
                true => (quote!(mut), quote!(from_raw_parts_mut)),
                false => (quote!(const), quote!(from_raw_parts)),
            };
            let (pointer, len) = (format_ident!("__pointer_{i}"), format_ident!("__len_{i}"));
            inputs.push(parse_quote!(#(#attrs)* #pointer: *#kind #element));
            inputs.push(parse_quote!(#len: usize));
            first.extend(
                quote! { let #pat: #ty = unsafe { ::core::slice::#whole(#pointer, #len) }; },
            );
        }
        first.extend(arrays.raw.iter().map(|array| array.binding_on_device()));
        let mut entry = self.beginning_with(first);
        entry.signature.abi = Some(parse_quote!(extern "ptx-kernel"));
        entry.signature.inputs = inputs;
        entry
    }

    /// The whole function for the host, whose body begins by reporting its parameters to
    /// the emulator: for each its pattern and its type.
    pub(crate) fn on_host(&self, arrays: &Arrays, is_instrumented: bool) -> Self {
        let name = self.name().to_string();
        let parameters = self.parameters().map(|PatType { attrs, pat, ty, .. }| {
            let pattern = pat.to_token_stream().to_string();
            quote!(#(#attrs)* (#pattern, ::core::any::type_name::<#ty>()))
        });
        let bindings = arrays.raw.iter().map(|array| array.binding_on_host());
        self.beginning_with(quote! {
            ::cuda_std::emu::enter_kernel(#name, &[#(#parameters),*], #is_instrumented);
            #(#bindings)*
        })
    }

    /// The function on the device, and on the host one that panics.
    pub(crate) fn gpu_only(&self) -> TokenStream {
        let message = format!("`{}` is for the device only", self.name());
        let panics = quote!(::core::unimplemented!(#message));
        let body = regrouped(&self.body, Delimiter::Brace, panics);
        let on_host = Self { body, ..self.clone() };
        quote! {
            #[cfg(target_os = "cuda")]
            #self
            #[cfg(not(target_os = "cuda"))]
            #[allow(unused_variables)]
            #on_host
        }
    }

    /// Gives each shared array of the body a symbol by the function's name.
    pub(crate) fn name_shared_arrays(&mut self) -> Result<Arrays> {
        let mut arrays = Arrays::new(self.name());
        let named = arrays.name_in(self.body.stream())?;
        self.body = regrouped(&self.body, Delimiter::Brace, named);
        Ok(arrays)
    }

    /// Refuses a function that cannot be an entry point of the device.
    pub(crate) fn check_entry_point(&self) -> Result<()> {
        let Signature { constness, asyncness, safety, abi, generics, output, .. } = &self.signature;
        let name = self.name();
        let refused = |at: &dyn ToTokens, reason: &str| {
            Err(Error::new_spanned(at, format!("kernel `{name}` {reason}")))
        };
        if let Some(word) = constness {
            return refused(word, "cannot be `const`: write `unsafe fn`");
        }
        if let Some(word) = asyncness {
            return refused(word, "cannot be `async`: write `unsafe fn`");
        }
        if let Some(abi) = abi {
            return refused(abi, "cannot be `extern`: write `unsafe fn`");
        }
        if !matches!(safety, Safety::Unsafe(_)) {
            let reason = "must be an `unsafe fn`: a launch checks neither its arguments nor its \
                          shape";
            return refused(name, reason);
        }
        if !generics.params.is_empty() {
            let reason = "cannot have generic parameters: its name is exported; write a generic \
                          function and one kernel for each instance";
            return refused(generics, reason);
        }
        match output {
            ReturnType::Default => Ok(()),
            ReturnType::Type(..) => {
                refused(output, "cannot return a value: nobody receives it; write it to memory")
            }
        }
    }
}

/// The element's type of `&[T]` or `&mut [T]`, and true of the latter.
fn slice(of_type: &Type) -> Option<(&Type, bool)> {
    let Type::Reference(TypeReference { mutability, elem, .. }) = of_type else { return None };
    let Type::Slice(TypeSlice { elem, .. }) = &**elem else { return None };
    Some((elem, mutability.is_some()))
}
