//! `exports`: converts async functions to the plain ones that a component exports.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ImplItem, ItemImpl, parse_quote};

pub(crate) fn expand(mut item: ItemImpl) -> TokenStream {
    for it in &mut item.items {
        if let ImplItem::Fn(function) = it
            && function.sig.asyncness.take().is_some()
        {
            let body = &function.block;
            function.block = parse_quote!({ ::ferro::run(async move #body) });
        }
    }
    quote!(#item)
}
