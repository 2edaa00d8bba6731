//! Attributes of kernels.

use proc_macro::TokenStream;

/// Makes a function an entry point of the device.
#[proc_macro_attribute]
pub fn kernel(_attr: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Bounds how a kernel may be launched.
#[proc_macro_attribute]
pub fn launch_bounds(_attr: TokenStream, item: TokenStream) -> TokenStream {
    item
}
