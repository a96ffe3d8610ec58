//! `New…`: a row that the database completes.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use super::{Field, Model};
use crate::attributes::DefaultAttribute;

impl Model<'_> {
    /// The struct of a row that the database completes.
    pub(super) fn new_struct(&self) -> Option<TokenStream> {
        if !self.has_new() {
            return None;
        }
        let Self { ident, visibility, .. } = self;
        let new = format_ident!("New{ident}", span = ident.span());
        // Hygienic variables, which do not shadow a function of `default_with` with the same name.
        let here = Span::mixed_site();
        let doc = format!("A row for [`{ident}`], without the values that the database generates.");
        let given: Vec<_> = self.fields.iter().filter(|it| !it.attributes.generated).collect();
        let members = given.iter().map(|field| {
            let Field { ident, visibility, ty, docs, .. } = field;
            if let Some(default) = &field.attributes.default {
                let doc = match default {
                    DefaultAttribute::With(_) => "`None` for the default, computed by the insert.",
                    _ => "`None`: the database's default.",
                };
                return quote! {
                    #(#docs)*
                    #[doc = ""]
                    #[doc = #doc]
                    #visibility #ident: ::core::option::Option<#ty>
                };
            }
            let fallback = docs.is_empty().then(|| {
                let doc = format!("The field `{}`.", field.name);
                quote!(#[doc = #doc])
            });
            quote!(#(#docs)* #fallback #visibility #ident: #ty)
        });
        let values =
            given.iter().map(|Field { ident, name, ty, attributes, .. }| {
                match &attributes.default {
                    Some(DefaultAttribute::With(make)) => quote_spanned! {here=>
                        let value: #ty = self.#ident.clone().unwrap_or_else(#make);
                        values.push((#name, ::ferro::Field::value(&value)?));
                    },
                    Some(_) => quote_spanned! {here=>
                        if let ::core::option::Option::Some(value) = &self.#ident {
                            values.push((#name, ::ferro::Field::value(value)?));
                        }
                    },
                    None => quote_spanned! {here=>
                        values.push((#name, ::ferro::Field::value(&self.#ident)?));
                    },
                }
            });
        let columns =
            given.iter().map(|Field { ident, name, ty, attributes, .. }| {
                match &attributes.default {
                    Some(DefaultAttribute::With(make)) => quote_spanned! {here=>
                        let given = rows.iter().map(|row| row.#ident.clone().unwrap_or_else(#make));
                        let given: ::std::vec::Vec<#ty> = given.collect();
                        columns.push((#name, ::ferro::__private::column(given.iter())?));
                    },
                    Some(_) => quote_spanned! {here=>
                        let given = rows.iter().map(|row| row.#ident.as_ref());
                        if let ::core::option::Option::Some(column) =
                            ::ferro::__private::column_with_default(#name, given)?
                        {
                            columns.push((#name, column));
                        }
                    },
                    None => quote_spanned! {here=>
                        let given = rows.iter().map(|row| &row.#ident);
                        columns.push((#name, ::ferro::__private::column(given)?));
                    },
                }
            });
        Some(quote_spanned! {here=>
            #[doc = #doc]
            #[derive(Debug, Clone)]
            #[allow(dead_code, reason = "rows may also be inserted as they are")]
            #visibility struct #new {
                #(#members,)*
            }

            #[automatically_derived]
            impl ::ferro::Insertable for #new {
                type Model = #ident;

                #[allow(unused_mut, reason = "all fields may be generated")]
                fn values(&self) -> ::ferro::__private::RowValues {
                    let mut values = ::std::vec::Vec::new();
                    #(#values)*
                    ::core::result::Result::Ok(values)
                }

                #[allow(unused_mut, unused_variables, reason = "all fields may be generated")]
                fn columns(rows: &[Self]) -> ::ferro::__private::RowColumns {
                    let mut columns = ::std::vec::Vec::new();
                    #(#columns)*
                    ::core::result::Result::Ok(columns)
                }
            }
        })
    }
}
