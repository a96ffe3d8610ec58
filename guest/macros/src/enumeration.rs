//! `derive(Enum)`.

use ferro_wit::snake_case;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Error, Fields, LitStr, Result};

use crate::attributes::each;

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "`Enum` is for enums"));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "an enum of models has no generic parameters",
        ));
    }
    let ident = &input.ident;
    let name = literal(&input.attrs, "name")?.map_or_else(|| default_name(ident), |it| it.value());
    let mut variants = Vec::new();
    let mut values = Vec::new();
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "a variant with data has no column type: enums of models have none";
            return Err(Error::new_spanned(variant, message));
        }
        let value = literal(&variant.attrs, "value")?;
        let value = value.map_or_else(|| default_name(&variant.ident), |it| it.value());
        if values.contains(&value) {
            let message = format!("another variant is already stored as `{value}`");
            return Err(Error::new_spanned(variant, message));
        }
        values.push(value);
        variants.push(&variant.ident);
    }
    if variants.is_empty() {
        return Err(Error::new_spanned(ident, "an enum without variants has no values to store"));
    }
    let expected = format!("`{}`", values.join("`, `"));
    Ok(quote! {
        #[automatically_derived]
        impl #ident {
            fn __ferro_value(&self) -> &'static str {
                match self {
                    #(Self::#variants => #values,)*
                }
            }
        }

        #[automatically_derived]
        impl ::ferro::schema::Textual for #ident {}

        #[automatically_derived]
        impl ::ferro::Scalar for #ident {
            const KIND: ::ferro::__private::ferro_wit::types::ScalarType =
                ::ferro::__private::ferro_wit::types::ScalarType::Text;
            type Stored<'a> = &'a ::ferro::__private::ferro_wit::types::Texts;

            fn column_type() -> ::ferro::__private::ferro_wit::schema::ColumnType {
                ::ferro::__private::ferro_wit::schema::ColumnType::Enumeration(
                    ::std::string::String::from(#name),
                )
            }

            fn enum_type() -> ::core::option::Option<::ferro::__private::ferro_wit::schema::EnumType> {
                ::core::option::Option::Some(::ferro::__private::ferro_wit::schema::EnumType {
                    name: ::std::string::String::from(#name),
                    values: ::std::vec![#(::std::string::String::from(#values)),*],
                })
            }

            fn into_value(self) -> ::ferro::__private::ferro_wit::types::Value {
                ::ferro::__private::ferro_wit::types::Value::Text(
                    ::std::string::String::from(self.__ferro_value()),
                )
            }

            fn stored(
                elements: &::ferro::__private::ferro_wit::types::Elements,
            ) -> ::core::option::Option<&::ferro::__private::ferro_wit::types::Texts> {
                ::ferro::__private::stored_texts(elements)
            }

            fn read(
                stored: &::ferro::__private::ferro_wit::types::Texts,
                index: usize,
            ) -> ::core::result::Result<Self, ::std::string::String> {
                match ::ferro::__private::read_text(stored, index)? {
                    #(#values => ::core::result::Result::Ok(Self::#variants),)*
                    other => ::core::result::Result::Err(::std::format!(
                        "`{other}` is not a value of `{}`: expected {}", ::core::stringify!(#ident), #expected,
                    )),
                }
            }

            fn write(
                &self,
                to: &mut ::ferro::__private::ferro_wit::types::Elements,
            ) -> ::core::result::Result<(), ::ferro::Error> {
                ::ferro::__private::write_text(to, self.__ferro_value())
            }
        }
    })
}

/// The value of the only item of `#[ferro(…)]`.
fn literal(attributes: &[Attribute], expected: &str) -> Result<Option<LitStr>> {
    let mut value = None;
    each(attributes, &[], |name, meta| {
        if name != expected {
            return Err(meta.error(format!("expected `{expected} = \"…\"`")));
        }
        value = Some(meta.value()?.parse()?);
        Ok(())
    })?;
    Ok(value)
}

fn default_name(ident: &Ident) -> String {
    snake_case(&ident.unraw().to_string())
}
