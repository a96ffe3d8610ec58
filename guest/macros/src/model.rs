//! `derive(Model)`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, Result, Type, Visibility};

use crate::attributes::{DefaultAttribute, FieldAttributes, ModelAttributes};

/// What a model can do by itself: a column's function of the same name would hide it.
const RESERVED: [&str; 15] = [
    "assignments",
    "bulk_create",
    "columns",
    "create",
    "decode",
    "delete",
    "enums",
    "find",
    "get",
    "insert",
    "key",
    "key_is",
    "query",
    "save",
    "schema",
];

struct Model<'a> {
    ident: &'a Ident,
    visibility: &'a Visibility,
    attributes: ModelAttributes,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    ident: &'a Ident,
    /// The identifier without `r#`.
    name: String,
    visibility: &'a Visibility,
    ty: &'a Type,
    docs: Vec<&'a Attribute>,
    attributes: FieldAttributes,
}

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let model = Model::parse(&input)?;
    let columns = model.columns();
    let implementation = model.implementation();
    let insertable = model.insertable();
    let new = model.new_struct();
    let checks = model.checks();
    Ok(quote!(#columns #implementation #insertable #new #checks))
}

impl<'a> Model<'a> {
    fn parse(input: &'a DeriveInput) -> Result<Self> {
        let ident = &input.ident;
        let Data::Struct(data) = &input.data else {
            return Err(Error::new_spanned(ident, "a model is a struct"));
        };
        let Fields::Named(fields) = &data.fields else {
            return Err(Error::new_spanned(ident, "a model has named fields"));
        };
        if !input.generics.params.is_empty() {
            let message = "a model has no generic parameters: its table has fixed columns";
            return Err(Error::new_spanned(&input.generics, message));
        }
        let attributes = ModelAttributes::parse(&input.attrs)?;
        let fields = fields.named.iter().map(Field::parse).collect::<Result<Vec<_>>>()?;
        if !fields.iter().any(|it| it.attributes.key) {
            let message = "a model needs a key: mark a field with `#[ferro(key)]`, or with \
                           `#[ferro(key, generated)]` for a number that the database counts up";
            return Err(Error::new_spanned(ident, message));
        }
        for index in attributes.indexes.iter().flat_map(|it| &it.fields) {
            if !fields.iter().any(|it| it.ident == index) {
                let message = format!("`{ident}` has no field `{index}`");
                return Err(Error::new(index.span(), message));
            }
        }
        Ok(Self { ident, visibility: &input.vis, attributes, fields })
    }

    fn keys(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter().filter(|it| it.attributes.key)
    }

    /// Whether the database fills in a field, so that a new row is not yet a whole model.
    fn has_new(&self) -> bool {
        self.fields.iter().any(|it| it.attributes.generated || it.attributes.default.is_some())
    }

    /// A function for each field, that returns its column.
    fn columns(&self) -> TokenStream {
        let ident = self.ident;
        let functions = self.fields.iter().map(|field| {
            let Field { ident: name, visibility, ty, name: text, .. } = field;
            let doc = format!("The column of the field `{text}`.");
            quote_spanned! {name.span()=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every column is filtered by")]
                #visibility const fn #name() -> ::ferro::Column<Self, #ty> {
                    ::ferro::Column::new(#text)
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #ident {
                #(#functions)*
            }
        }
    }

    fn implementation(&self) -> TokenStream {
        let ident = self.ident;
        let name = self.attributes.name.as_ref().map_or_else(|| ident.to_string(), |it| it.value());
        let fields: Vec<_> = self.fields.iter().map(|it| &it.name).collect();
        let idents: Vec<_> = self.fields.iter().map(|it| it.ident).collect();
        let types: Vec<_> = self.fields.iter().map(|it| it.ty).collect();
        let keys: Vec<_> = self.keys().map(|it| it.ident).collect();
        let key_names = self.keys().map(|it| &it.name);
        let key_types: Vec<_> = self.keys().map(|it| it.ty).collect();
        let (key_type, key, key_pattern) = match (&keys[..], &key_types[..]) {
            ([key], [ty]) => (quote!(#ty), quote!(self.#key.clone()), quote!(#key)),
            _ => {
                (quote!((#(#key_types),*)), quote!((#(self.#keys.clone()),*)), quote!((#(#keys),*)))
            }
        };
        let key_is = keys.iter().map(|it| quote!(::ferro::Expression::eq(Self::#it(), #it)));
        let others = self.fields.iter().filter(|it| !it.attributes.key).map(|field| {
            let name = field.ident;
            quote_spanned!(field.type_span()=> Self::#name().set(self.#name.clone()))
        });
        let readers = self.fields.iter().enumerate().map(|(index, field)| {
            let Field { ident, ty, .. } = field;
            quote_spanned! {field.type_span()=>
                let #ident = columns.reader::<#ty>(#index)?;
            }
        });
        let schema = self.schema();
        quote! {
            #[automatically_derived]
            impl ::ferro::Model for #ident {
                type Key = #key_type;

                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = &[#(#fields),*];
                const KEY: &'static [&'static str] = &[#(#key_names),*];

                fn schema() -> ::ferro::__private::ferro_wit::schema::Model {
                    #schema
                }

                fn enums() -> ::std::vec::Vec<::ferro::__private::ferro_wit::schema::EnumType> {
                    let types = [#(::ferro::__private::enum_type::<#types>()),*];
                    ::core::iter::IntoIterator::into_iter(types).flatten().collect()
                }

                fn key(&self) -> Self::Key {
                    #key
                }

                fn key_is(#key_pattern: Self::Key) -> ::ferro::Condition<Self> {
                    #(#key_is)&*
                }

                fn assignments(&self) -> ::std::vec::Vec<::ferro::Assignment<Self>> {
                    ::std::vec![#(#others),*]
                }

                fn decode(
                    batch: &::ferro::__private::ferro_wit::types::Batch,
                ) -> ::core::result::Result<::std::vec::Vec<Self>, ::ferro::Error> {
                    let columns = ::ferro::__private::Columns::new::<Self>(batch)?;
                    #(#readers)*
                    (0..columns.rows())
                        .map(|row| ::core::result::Result::Ok(Self {
                            #(#idents: #idents.read(row)?,)*
                        }))
                        .collect()
                }
            }
        }
    }

    fn schema(&self) -> TokenStream {
        let fields = self.fields.iter().map(Field::schema);
        let foreign_keys = self.fields.iter().filter_map(Field::foreign_key);
        let indexes = self.attributes.indexes.iter().map(|index| {
            let fields = index.fields.iter().map(|it| it.unraw().to_string());
            let unique = index.unique;
            quote!(::ferro::schema::index(&[#(#fields),*], #unique))
        });
        let texts = [
            ("table", &self.attributes.table),
            ("namespace", &self.attributes.namespace),
            ("renamed_from", &self.attributes.renamed_from),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            let name = format_ident!("{name}");
            Some(quote!(#name: ::core::option::Option::Some(::std::string::String::from(#value)),))
        });
        quote! {
            ::ferro::__private::ferro_wit::schema::Model {
                #(#texts)*
                foreign_keys: ::std::vec![#(#foreign_keys),*],
                indexes: ::std::vec![#(#indexes),*],
                ..::ferro::schema::model::<Self>(::std::vec![#(#fields),*])
            }
        }
    }

    /// A whole model can be inserted as it is.
    fn insertable(&self) -> TokenStream {
        let ident = self.ident;
        let idents: Vec<_> = self.fields.iter().map(|it| it.ident).collect();
        let names: Vec<_> = self.fields.iter().map(|it| &it.name).collect();
        quote! {
            #[automatically_derived]
            impl ::ferro::Insertable for #ident {
                type Model = Self;

                fn values(&self) -> ::ferro::__private::RowValues {
                    ::core::result::Result::Ok(::std::vec![
                        #((#names, ::ferro::Field::value(&self.#idents)?)),*
                    ])
                }

                fn columns(rows: &[Self]) -> ::ferro::__private::RowColumns {
                    ::core::result::Result::Ok(::std::vec![
                        #((#names, ::ferro::__private::column(rows.iter().map(|row| &row.#idents))?)),*
                    ])
                }
            }
        }
    }

    /// The struct of a row that the database completes.
    fn new_struct(&self) -> Option<TokenStream> {
        if !self.has_new() {
            return None;
        }
        let Self { ident, visibility, .. } = self;
        let new = format_ident!("New{ident}", span = ident.span());
        let doc = format!("A row for [`{ident}`], without what the database fills in.");
        let given: Vec<_> = self.fields.iter().filter(|it| !it.attributes.generated).collect();
        let members = given.iter().map(|field| {
            let Field { ident, visibility, ty, docs, .. } = field;
            if field.attributes.default.is_some() {
                let doc = "`None`: the database's default.";
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
            given.iter().map(|Field { ident, name, attributes, .. }| match attributes.default {
                Some(_) => quote! {
                    if let ::core::option::Option::Some(value) = &self.#ident {
                        values.push((#name, ::ferro::Field::value(value)?));
                    }
                },
                None => quote!(values.push((#name, ::ferro::Field::value(&self.#ident)?));),
            });
        let columns =
            given.iter().map(|Field { ident, name, attributes, .. }| match attributes.default {
                Some(_) => quote! {
                    let given = rows.iter().map(|row| row.#ident.as_ref());
                    if let ::core::option::Option::Some(column) =
                        ::ferro::__private::column_with_default(#name, given)?
                    {
                        columns.push((#name, column));
                    }
                },
                None => quote! {
                    let given = rows.iter().map(|row| &row.#ident);
                    columns.push((#name, ::ferro::__private::column(given)?));
                },
            });
        Some(quote! {
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

    /// What the types of fields have to be, checked where the field is written.
    fn checks(&self) -> TokenStream {
        let checks = self.fields.iter().flat_map(|field| {
            let ty = field.ty;
            let key = field.attributes.key.then(|| {
                quote_spanned! {ty.span()=>
                    ::core::assert!(
                        !<#ty as ::ferro::Field>::NULLABLE,
                        "a key cannot be null: take the `Option` away",
                    );
                }
            });
            let set_null = [&field.attributes.on_delete, &field.attributes.on_update]
                .into_iter()
                .flatten()
                .find(|it| *it == "set_null")
                .map(|_| {
                    quote_spanned! {ty.span()=>
                        ::core::assert!(
                            <#ty as ::ferro::Field>::NULLABLE,
                            "`set_null` needs a field that may be null: make it an `Option`",
                        );
                    }
                });
            let same = field.attributes.references.as_ref().map(|target| {
                quote_spanned! {target.span()=>
                    let _ = ::ferro::__private::refers::<#ty, #target>;
                }
            });
            [key, set_null, same].into_iter().flatten()
        });
        quote!(const _: () = { #(#checks)* };)
    }
}

impl<'a> Field<'a> {
    fn parse(field: &'a syn::Field) -> Result<Self> {
        let ident = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "no name"))?;
        let name = ident.unraw().to_string();
        if RESERVED.contains(&name.as_str()) {
            let message = format!(
                "the function of the column `{name}` would hide `Model::{name}`: call the field \
                 `{name}_`, with `#[ferro(column = \"{name}\")]`",
            );
            return Err(Error::new(ident.span(), message));
        }
        Ok(Self {
            ident,
            name,
            visibility: &field.vis,
            ty: &field.ty,
            docs: field.attrs.iter().filter(|it| it.path().is_ident("doc")).collect(),
            attributes: FieldAttributes::parse(&field.attrs)?,
        })
    }

    /// Where an error about the field's type is shown.
    fn type_span(&self) -> Span {
        self.ty.span().resolved_at(Span::call_site())
    }

    fn schema(&self) -> TokenStream {
        let Self { name, ty, attributes, .. } = self;
        let at = self.type_span();
        let mut steps = Vec::new();
        if let Some(column) = &attributes.column {
            steps.push(quote_spanned!(at=> .column(#column)));
        }
        if let Some(former) = &attributes.renamed_from {
            steps.push(quote_spanned!(at=> .renamed_from(#former)));
        }
        if attributes.unique {
            steps.push(quote_spanned!(at=> .unique()));
        }
        if attributes.index {
            steps.push(quote_spanned!(at=> .indexed()));
        }
        if attributes.generated {
            steps.push(quote_spanned!(at=> .generated()));
        }
        if let Some(length) = &attributes.length {
            steps.push(quote_spanned!(at=> .length(#length)));
        }
        if let (Some(precision), Some(scale)) = (&attributes.precision, &attributes.scale) {
            steps.push(quote_spanned!(at=> .size(#precision, #scale)));
        }
        match &attributes.default {
            Some(DefaultAttribute::Now) => steps.push(quote_spanned!(at=> .default_now())),
            Some(DefaultAttribute::RandomUuid) => {
                steps.push(quote_spanned!(at=> .default_random_uuid()))
            }
            Some(DefaultAttribute::Constant(value)) => {
                steps.push(quote_spanned!(at=> .default_value(#value)))
            }
            None => {}
        }
        quote_spanned! {at=>
            ::ferro::schema::FieldOf::<#ty>::new(#name) #(#steps)* .done()
        }
    }

    fn foreign_key(&self) -> Option<TokenStream> {
        let Self { name, attributes, .. } = self;
        let target = attributes.references.as_ref()?;
        let relation = attributes.relation.as_ref().map_or_else(
            || name.strip_suffix("_id").map_or_else(|| format!("{name}_ref"), str::to_owned),
            |it| it.value(),
        );
        let reverse = match &attributes.reverse {
            Some(reverse) => quote!(::core::option::Option::Some(#reverse)),
            None => quote!(::core::option::Option::None),
        };
        let unique = attributes.unique;
        let on_delete = action(attributes.on_delete.as_ref());
        let on_update = action(attributes.on_update.as_ref());
        Some(quote! {
            ::ferro::schema::foreign_key::<#target>(
                #relation, #name, #reverse, #unique, #on_delete, #on_update,
            )
        })
    }
}

fn action(name: Option<&Ident>) -> TokenStream {
    let case = match name.map(ToString::to_string).as_deref() {
        None | Some("no_action") => "NoAction",
        Some("cascade") => "Cascade",
        Some("restrict") => "Restrict",
        Some("set_null") => "SetNull",
        Some("set_default") => "SetDefault",
        Some(other) => {
            let message = format!(
                "`{other}` is no action: expected `cascade`, `restrict`, `set_null`, \
                 `set_default` or `no_action`",
            );
            let span = name.map_or_else(Span::call_site, Ident::span);
            return Error::new(span, message).into_compile_error();
        }
    };
    let case = format_ident!("{case}");
    quote!(::ferro::__private::ferro_wit::schema::ReferentialAction::#case)
}
