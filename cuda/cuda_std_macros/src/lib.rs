//! Attributes of kernels: [`macro@kernel`] and [`macro@launch_bounds`].
//!
//! One kernel source serves two targets, so both attributes write two forms of what they mark and
//! leave the choice to `cfg(target_os = "cuda")`: for the device an entry point, and for the host
//! the function just as it stands, which the emulator calls.
//!
//! Of a function, all but the body is read by `syn`. The body is looked through token by token, for
//! shared arrays stand in the arguments of other macros too.
//!
//! ```
//! use cuda_std_macros::{kernel, launch_bounds};
//!
//! /// Writes its own index to each element.
//! #[kernel]
//! #[launch_bounds(256, 2)]
//! pub unsafe fn iota(output: *mut u32, n: u32) {
//!     for i in 0..n as usize {
//!         unsafe { *output.add(i) = i as u32 };
//!     }
//! }
//!
//! let mut output = [0; 3];
//! unsafe { iota(output.as_mut_ptr(), 3) };
//! assert_eq!(output, [0, 1, 2]);
//! ```

mod function;
mod shared;

use function::Function;
use proc_macro::TokenStream;
use proc_macro2::{Group, Ident, Span, TokenStream as TokenStream2, TokenTree};
use quote::quote;
use std::iter;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Result, Token, parse_quote};

/// Makes a function an entry point of the device, exported under its own name.
///
/// The function is `unsafe` (a launch does not check its arguments), has no generic parameters (an
/// exported name stands for one function) and returns nothing. `macro_rules!` may stamp an entry
/// point for each instance of a generic function.
///
/// On the device, `pub unsafe fn name(..)` becomes
/// `#[unsafe(no_mangle)] pub unsafe extern "ptx-kernel" fn name(..)`, for which the crate enables
/// the feature `abi_ptx`. On the host it is the same function with `#[inline]`, so that only a
/// crate that calls it spends time on its code. It first tells the emulator the types of its
/// parameters: a launch of a kernel with a raw pointer or a slice is refused, unless the crate is
/// compiled with a call of the emulator before each access (`docs/EMULATOR.md`).
///
/// A parameter `&[T]` or `&mut [T]` is two on the device: a pointer and a length, as a host passes
/// them.
///
/// Each `shared_array![T; LEN]`, `shared_words![T; LEN]` and `#[address_space(shared)] static mut`
/// in the body is given a symbol of its own, by the kernel's name.
#[proc_macro_attribute]
pub fn kernel(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = expand_kernel(arguments.into(), item.into());
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Bounds how a kernel may be launched: `launch_bounds(threads)`,
/// `launch_bounds(threads, min_blocks_per_sm)` or
/// `launch_bounds(threads, min_blocks_per_sm, max_registers)`.
///
/// - `threads`: the most threads in a block, 1 to 1024. A launch with more fails.
/// - `min_blocks_per_sm`: the blocks that a multiprocessor can hold at once; the assembler keeps
///   the registers low enough for that.
/// - `max_registers`: the most registers in a thread.
///
/// 0 for either of the last two, or none, leaves it to the assembler. The arguments are constant
/// expressions of any integer type.
///
/// Rust cannot hand these numbers to its PTX backend. They travel as a comment in the PTX, which
/// `cuda_builder` turns into the directives `.maxntid`, `.minnctapersm` and `.maxnreg`. The crate
/// enables the feature `asm_experimental_arch` on the device. On the host nothing is left.
#[proc_macro_attribute]
pub fn launch_bounds(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = expand_launch_bounds(arguments.into(), item.into());
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Marks a `static mut` in the body of a [`macro@kernel`] as one in the block's shared memory:
/// `#[address_space(shared)]`. The kernel's attribute takes this one away.
#[proc_macro_attribute]
pub fn address_space(_: TokenStream, item: TokenStream) -> TokenStream {
    let item = TokenStream2::from(item);
    if item.clone().into_iter().nth(1).is_some_and(|name| shared::is_word(&name, MARK)) {
        return TokenStream::new();
    }
    let span = item.into_iter().next().map_or_else(Span::call_site, |token| token.span());
    let message = "#[address_space(shared)] stands on a `static mut` in the body of a #[kernel]; \
                   a function that kernels share takes a pointer to it";
    Error::new(span, message).into_compile_error().into()
}

/// The item on the device; on the host the same signature with a body that says so.
#[proc_macro_attribute]
pub fn gpu_only(_: TokenStream, item: TokenStream) -> TokenStream {
    let expanded = Function::read("gpu_only", item.into()).map(|function| function.gpu_only());
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Puts a name together: `with_name! { [parts] tokens }` is the tokens, with the word that the
/// parts make in the place of each `NAME`.
///
/// ```
/// cuda_std_macros::with_name! { [sort_ 2 x 4] fn NAME() -> u32 { 8 } }
/// assert_eq!(sort_2x4(), 8);
/// ```
#[proc_macro]
pub fn with_name(input: TokenStream) -> TokenStream {
    let mut tokens = TokenStream2::from(input).into_iter();
    let expanded = match tokens.next() {
        Some(TokenTree::Group(parts)) => named(&joined(parts.stream()), tokens.collect()),
        _ => quote!(::core::compile_error! { "with_name! begins with parts in brackets" }),
    };
    expanded.into()
}

/// The word that parts make, those in invisible groups included.
fn joined(parts: TokenStream2) -> String {
    let word = |part| match part {
        TokenTree::Group(group) => joined(group.stream()),
        other => other.to_string(),
    };
    parts.into_iter().map(word).collect()
}

/// `tokens` with `name` in the place of each `NAME`.
fn named(name: &str, tokens: TokenStream2) -> TokenStream2 {
    let replaced = |token: TokenTree| match token {
        TokenTree::Ident(word) if word == "NAME" => Ident::new(name, word.span()).into(),
        TokenTree::Group(group) => {
            Group::new(group.delimiter(), named(name, group.stream())).into()
        }
        other => other,
    };
    tokens.into_iter().map(replaced).collect()
}

/// The symbol behind `cuda_std`'s `dynamic_shared`. It has to be declared in the
/// crate that is compiled to PTX: module-level assembly of a library whose
/// functions are all inlined does not get there. PTX allows the repetition.
const DYNAMIC_SHARED: &str = ".extern .shared .align 128 .b8 cuda_std_dynamic_shared[];";

/// The item that a kernel's attribute leaves behind in the place of a shared static.
const MARK: &str = "__CUDA_STD_SHARED_STATIC";

/// Set by the compiler's wrapper where a crate is compiled with a call of the emulator before each
/// access.
const INSTRUMENTED_VARIABLE: &str = "CUDA_STD_INSTRUMENTED";

fn expand_kernel(arguments: TokenStream2, item: TokenStream2) -> Result<TokenStream2> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "#[kernel] takes no arguments"));
    }
    let mut function = Function::read("kernel", item)?;
    function.check_entry_point()?;
    let arrays = function.name_shared_arrays()?;

    let declarations = arrays.words.iter().map(shared::Words::declaration);
    let on_device = function.on_device(&arrays);
    // In another crate, where it would be inlined, no call of the emulator would be in it.
    let is_instrumented = std::env::var_os(INSTRUMENTED_VARIABLE).is_some();
    let inline = if is_instrumented { quote!(inline(never)) } else { quote!(inline) };
    let on_host = function.on_host(&arrays, is_instrumented);
    Ok(quote! {
        #[cfg(target_os = "cuda")]
        ::core::arch::global_asm!(#DYNAMIC_SHARED);
        #(#declarations)*
        #[cfg(target_os = "cuda")]
        #[unsafe(no_mangle)]
        #on_device
        #[cfg(not(target_os = "cuda"))]
        #[#inline]
        #on_host
    })
}

fn expand_launch_bounds(arguments: TokenStream2, item: TokenStream2) -> Result<TokenStream2> {
    let function = Function::read("launch_bounds", item)?;
    let name = function.name();
    let given = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(arguments)?;
    if !(1..=3).contains(&given.len()) {
        let message = format!(
            "#[launch_bounds(threads, min_blocks_per_sm, max_registers)] takes one to three \
             constant expressions, found {}",
            given.len()
        );
        return Err(Error::new_spanned(name, message));
    }
    let text = format!("// .launch_bounds {name} {{}} {{}} {{}}");
    let bounds = given.into_iter().chain(iter::repeat(parse_quote!(0))).take(3);
    Ok(quote! {
        #[cfg(target_os = "cuda")]
        ::core::arch::global_asm!(#text #(, const #bounds)*);
        #function
    })
}
