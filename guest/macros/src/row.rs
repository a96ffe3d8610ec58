//! `derive(Row)`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Error, Fields, Ident, Result, Type};

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let DeriveInput { ident, vis, generics, data, .. } = &input;
    let Data::Struct(data) = data else {
        return Err(Error::new_spanned(ident, "a row is a struct"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(ident, "a row has named fields"));
    };
    if !generics.params.is_empty() {
        return Err(Error::new_spanned(generics, "a row has no generic parameters"));
    }
    if fields.named.is_empty() {
        return Err(Error::new_spanned(ident, "a row has at least one field"));
    }
    let idents: Vec<_> = fields.named.iter().filter_map(|it| it.ident.as_ref()).collect();
    let names: Vec<_> = idents.iter().map(|it| it.unraw().to_string()).collect();
    let types: Vec<_> = fields.named.iter().map(|it| &it.ty).collect();
    let visibilities: Vec<_> = fields.named.iter().map(|it| &it.vis).collect();
    let parameters: Vec<_> = (0..idents.len()).map(|it| format_ident!("__{it}")).collect();
    let name = ident.unraw().to_string();
    let select = format_ident!("Select{}", ident.unraw(), span = ident.span());
    let doc = format!("The expressions that a query selects for the fields of [`{ident}`].");
    let columns = names.iter().map(|it| format!("The column of the field `{it}`."));
    let docs = names.iter().map(|it| format!("The expression for the field `{it}`."));
    let fields = idents.iter().zip(&names).zip(&types);
    let fields: Vec<_> =
        fields.map(|((ident, name), ty)| RowField { ident, column: name.clone(), ty }).collect();
    let columns_of = quote!(::ferro::__private::Columns::named(batch, #name, &[#(#names),*]));
    let row = implementation(ident, &columns_of, &fields);
    Ok(quote! {
        #row

        #[automatically_derived]
        impl ::ferro::Record for #ident {
            const FIELDS: &'static [&'static str] = &[#(#names),*];
        }

        #[automatically_derived]
        #[allow(dead_code, reason = "only tables that are made of such rows have columns")]
        impl #ident {
            #(
                #[doc = #columns]
                #[must_use]
                #visibilities const fn #idents() -> ::ferro::Column<Self, #types> {
                    ::ferro::Column::new(#names)
                }
            )*
        }

        #[doc = #doc]
        #[derive(Debug, Clone)]
        #[must_use = "a selection does nothing until a query uses it"]
        #vis struct #select<#(#parameters),*> {
            #(#[doc = #docs] #visibilities #idents: #parameters,)*
        }

        #[automatically_derived]
        impl<__M, #(#parameters),*> ::ferro::Selection<__M> for #select<#(#parameters),*>
        where
            #(#parameters: ::ferro::Expression<Model = __M, Type = #types>,)*
        {
            type Row = #ident;

            fn outputs(self) -> ::ferro::__private::Outputs {
                ::std::vec![#((
                    ::std::borrow::Cow::Borrowed(#names),
                    ::ferro::Expression::into_tree(self.#idents),
                )),*]
            }
        }
    })
}

/// A field for reading rows, with its column name.
pub(crate) struct RowField<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) column: String,
    pub(crate) ty: &'a Type,
}

/// Decoding a batch into rows of a struct, whose columns an expression computes from `batch`.
pub(crate) fn implementation(
    of: &Ident,
    columns: &TokenStream,
    fields: &[RowField<'_>],
) -> TokenStream {
    let idents = fields.iter().map(|it| it.ident);
    let types = fields.iter().map(|it| it.ty);
    let names = fields.iter().map(|it| &it.column);
    // Not the names of the fields, which could shadow names used here.
    let readers: Vec<_> = (0..fields.len()).map(|it| format_ident!("__{it}")).collect();
    let reading = fields.iter().zip(&readers).enumerate().map(|(index, (field, reader))| {
        let ty = field.ty;
        quote_spanned!(type_span(ty)=> let #reader = columns.reader::<#ty>(#index)?;)
    });
    quote! {
        #[automatically_derived]
        impl ::ferro::Row for #of {
            fn decode(
                batch: &::ferro::__private::ferro_wit::types::Batch,
            ) -> ::core::result::Result<::std::vec::Vec<Self>, ::ferro::Error> {
                let columns = #columns?;
                #(#reading)*
                (0..columns.rows())
                    .map(|row| ::core::result::Result::Ok(Self {
                        #(#idents: #readers.read(row)?,)*
                    }))
                    .collect()
            }

            fn layout() -> ::ferro::__private::Layout {
                ::ferro::__private::Layout::named(::std::vec![
                    #((#names, ::ferro::__private::Slot::of::<#types>()),)*
                ])
            }
        }
    }
}

/// The span for errors about a field's type.
pub(crate) fn type_span(ty: &Type) -> Span {
    ty.span().resolved_at(Span::call_site())
}
