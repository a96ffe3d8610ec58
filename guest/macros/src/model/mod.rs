//! `derive(Model)`.

mod conditions;
mod new;
mod relations;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Path, Result, Type, Visibility,
};

use crate::attributes::{
    DefaultAttribute, FieldAttributes, ModelAttributes, SqlType, UpdateAttribute,
};
use crate::row::{self, RowField, type_span};

use self::relations::Relation;

/// The functions of every model, which a column's function of the same name would hide.
const RESERVED: [&str; 22] = [
    "bulk_create",
    "bulk_upsert",
    "changes",
    "columns",
    "create",
    "decode",
    "delete",
    "enums",
    "find",
    "get",
    "get_or_create",
    "insert",
    "key",
    "key_is",
    "missing",
    "query",
    "schema",
    "unchanged",
    "update",
    "update_or_create",
    "upsert",
    "values",
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
    /// The relation that is based on the field.
    relation: Option<Relation>,
}

pub(crate) fn derive(input: DeriveInput) -> Result<TokenStream> {
    let model = Model::parse(&input)?;
    let columns = model.columns();
    let path = model.path();
    let reverses = model.reverses();
    let row = model.row();
    let implementation = model.implementation()?;
    let insertable = model.insertable();
    let new = model.new_struct();
    let checks = model.checks();
    Ok(quote!(#columns #path #reverses #implementation #row #insertable #new #checks))
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
        let mut attributes = ModelAttributes::parse(&input.attrs)?;
        let mut fields = fields.named.iter().map(Field::parse).collect::<Result<Vec<_>>>()?;
        let targets = fields.iter_mut().filter_map(|it| it.attributes.references.as_mut());
        let pairs = attributes.many_to_manys.iter_mut().map(|it| &mut it.target);
        targets.chain(pairs).for_each(|it| name_self(it, ident));
        if let Some(second) = fields.iter().filter(|it| it.attributes.version).nth(1) {
            return Err(Error::new(second.ident.span(), "a model has one version at most"));
        }
        if !fields.iter().any(|it| it.attributes.key) {
            let message = "a model needs a key: mark a field with `#[ferro(key)]`, or with \
                           `#[ferro(key, generated)]` for a number that the database generates";
            return Err(Error::new_spanned(ident, message));
        }
        for relation in &attributes.many_to_manys {
            check_reserved(&relation.name.unraw().to_string(), relation.name.span())?;
        }
        let model = Self { ident, visibility: &input.vis, attributes, fields };
        for index in model.attributes.indexes.iter().flat_map(|it| &it.fields) {
            model.named(index)?;
        }
        Ok(model)
    }

    fn keys(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter().filter(|it| it.attributes.key)
    }

    /// Whether the database sets a field, so that a new row is not a whole model.
    fn has_new(&self) -> bool {
        self.fields.iter().any(|it| it.attributes.generated || it.attributes.default.is_some())
    }

    /// A function for each field that returns its column.
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
        let relations = self.relations();
        quote! {
            #[automatically_derived]
            impl #ident {
                #(#functions)*
                #(#relations)*
            }
        }
    }

    fn implementation(&self) -> Result<TokenStream> {
        let ident = self.ident;
        let name = self
            .attributes
            .name
            .as_ref()
            .map_or_else(|| ident.unraw().to_string(), |it| it.value());
        let fields: Vec<_> = self.fields.iter().map(|it| &it.name).collect();
        // A field with another column type needs no enum.
        let own_types = self.fields.iter().filter(|it| it.attributes.sql_type.is_none());
        let types: Vec<_> = own_types.map(|it| it.ty).collect();
        let path = self.path_name();
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
        let changes = self.fields.iter().filter(|it| !it.attributes.version).map(|field| {
            let name = field.ident;
            quote_spanned! {type_span(field.ty)=>
                if ::ferro::__private::differs(&self.#name, &to.#name)? {
                    changes.push(Self::#name().set(to.#name.clone()));
                }
            }
        });
        let version = self.fields.iter().find(|it| it.attributes.version);
        let version_name = option(version.map(|it| it.name.to_token_stream()));
        let set_by_updates = self.fields.iter().filter(|it| it.attributes.update_value.is_some());
        let set_by_updates = set_by_updates.map(|it| &it.name);
        let unchanged = version.map(|field| {
            let name = field.ident;
            quote! {
                fn unchanged(&self) -> ::ferro::Condition<Self> {
                    let version = ::ferro::Expression::eq(Self::#name(), self.#name);
                    Self::key_is(::ferro::Model::key(self)) & version
                }
            }
        });
        let schema = self.schema()?;
        Ok(quote! {
            #[automatically_derived]
            impl ::ferro::Model for #ident {
                type Key = #key_type;
                type Path<R: ::ferro::Model, N: ::ferro::Presence> = #path<R, N>;

                const NAME: &'static str = #name;
                const FIELDS: &'static [&'static str] = &[#(#fields),*];
                const KEY: &'static [&'static str] = &[#(#key_names),*];
                const VERSION: ::core::option::Option<&'static str> = #version_name;
                const SET_BY_UPDATES: &'static [&'static str] = &[#(#set_by_updates),*];

                fn schema() -> ::ferro::__private::ferro_wit::schema::Model {
                    #schema
                }

                fn enums() -> ::std::vec::Vec<::ferro::__private::ferro_wit::schema::EnumType> {
                    let mut types = ::std::vec::Vec::new();
                    #(types.extend(::ferro::__private::enum_type::<#types>());)*
                    types
                }

                fn key(&self) -> Self::Key {
                    #key
                }

                fn key_is(#key_pattern: Self::Key) -> ::ferro::Condition<Self> {
                    #(#key_is)&*
                }

                fn changes(&self, to: &Self) -> ::ferro::__private::Changes<Self> {
                    let mut changes = ::std::vec::Vec::new();
                    #(#changes)*
                    ::core::result::Result::Ok(changes)
                }

                #unchanged
            }
        })
    }

    /// Decoding a batch into rows.
    fn row(&self) -> TokenStream {
        let fields = self.fields.iter().map(|it| {
            let column =
                it.attributes.column.as_ref().map_or_else(|| it.name.clone(), LitStr::value);
            RowField { ident: it.ident, column, ty: it.ty }
        });
        let columns = quote!(::ferro::__private::Columns::new::<Self>(batch));
        row::implementation(self.ident, &columns, &fields.collect::<Vec<_>>())
    }

    fn schema(&self) -> Result<TokenStream> {
        let fields = self.fields.iter().map(Field::schema);
        let foreign_keys = self.fields.iter().filter_map(Field::foreign_key);
        let many_to_manys = self.many_to_manys();
        let indexes = self.attributes.indexes.iter().map(|index| {
            let name = option(index.name.as_ref().map(|it| {
                let name = it.unraw().to_string();
                quote!(::std::string::String::from(#name))
            }));
            let fields = index.fields.iter().map(|it| it.unraw().to_string());
            let unique = index.unique;
            let condition = index.condition.as_ref().map(|it| self.condition(None, it));
            let condition = option(condition.transpose()?);
            Ok(quote! {
                ::ferro::__private::ferro_wit::schema::Index {
                    name: #name,
                    condition: #condition,
                    ..::ferro::schema::index(&[#(#fields),*], #unique)
                }
            })
        });
        let indexes = indexes.collect::<Result<Vec<_>>>()?;
        let checks = self.attributes.checks.iter();
        let checks = checks.map(|it| self.condition(it.name.as_ref(), &it.condition));
        let checks = checks.collect::<Result<Vec<_>>>()?;
        let texts = [
            ("table", &self.attributes.table),
            ("namespace", &self.attributes.namespace),
            ("comment", &self.attributes.comment),
            ("renamed_from", &self.attributes.renamed_from),
        ];
        let texts = texts.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            let name = format_ident!("{name}");
            Some(quote!(#name: ::core::option::Option::Some(::std::string::String::from(#value)),))
        });
        Ok(quote! {
            ::ferro::__private::ferro_wit::schema::Model {
                #(#texts)*
                foreign_keys: ::std::vec![#(#foreign_keys),*],
                many_to_manys: ::std::vec![#(#many_to_manys),*],
                indexes: ::std::vec![#(#indexes),*],
                checks: ::std::vec![#(#checks),*],
                ..::ferro::schema::model::<Self>(::std::vec![#(#fields),*])
            }
        })
    }

    /// Inserting a whole model.
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

    /// Checks of the field types, reported at the field.
    fn checks(&self) -> TokenStream {
        let checks = self.fields.iter().flat_map(|field| {
            let ty = field.ty;
            let key = field.attributes.key.then(|| {
                quote_spanned! {ty.span()=>
                    ::core::assert!(
                        !<#ty as ::ferro::Field>::NULLABLE,
                        "a key cannot be null: remove the `Option`",
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

/// Replaces `Self` by the model, as generated code may be outside its `impl`.
fn name_self(target: &mut Path, model: &Ident) {
    if target.is_ident("Self") {
        let mut model = model.clone();
        model.set_span(target.span());
        *target = model.into();
    }
}

impl<'a> Field<'a> {
    fn parse(field: &'a syn::Field) -> Result<Self> {
        let ident = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "no name"))?;
        let name = ident.unraw().to_string();
        check_reserved(&name, ident.span())?;
        let attributes = FieldAttributes::parse(&field.attrs)?;
        Ok(Self {
            ident,
            visibility: &field.vis,
            ty: &field.ty,
            docs: field.attrs.iter().filter(|it| it.path().is_ident("doc")).collect(),
            relation: Relation::of(&name, ident, &attributes)?,
            name,
            attributes,
        })
    }

    fn schema(&self) -> TokenStream {
        let Self { name, ty, attributes, .. } = self;
        let at = type_span(ty);
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
        if attributes.version {
            steps.push(quote_spanned!(at=> .version()));
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
        if let Some(sql_type) = &attributes.sql_type {
            steps.push(match sql_type {
                SqlType::Integer(width) => {
                    let width = format_ident!("{width}");
                    let width = quote!(::ferro::__private::ferro_wit::schema::IntegerWidth::#width);
                    quote_spanned!(at=> .as_integer(#width))
                }
                SqlType::Real => quote_spanned!(at=> .as_real()),
                SqlType::Double => quote_spanned!(at=> .as_double()),
                SqlType::Numeric(None) => quote_spanned!(at=> .as_numeric()),
                SqlType::Numeric(Some((precision, scale))) => {
                    quote_spanned!(at=> .size(#precision, #scale))
                }
                SqlType::Text(length) => {
                    let length = option(length.map(|it| quote!(#it)));
                    quote_spanned!(at=> .as_text(#length))
                }
            });
        }
        match &attributes.default {
            Some(DefaultAttribute::Now) => steps.push(quote_spanned!(at=> .default_now())),
            Some(DefaultAttribute::RandomUuid) => {
                steps.push(quote_spanned!(at=> .default_random_uuid()))
            }
            Some(DefaultAttribute::Constant(value)) => {
                steps.push(quote_spanned!(at=> .default_value(#value)))
            }
            Some(DefaultAttribute::With(_)) => {
                steps.push(quote_spanned!(at=> .default_of_client()))
            }
            None => {}
        }
        match &attributes.update_value {
            Some(UpdateAttribute::Now) => steps.push(quote_spanned!(at=> .now_on_update())),
            Some(UpdateAttribute::RandomUuid) => {
                steps.push(quote_spanned!(at=> .random_uuid_on_update()))
            }
            None => {}
        }
        quote_spanned! {at=>
            ::ferro::schema::FieldOf::<#ty>::new(#name) #(#steps)* .done()
        }
    }
}

fn option(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

/// Rejects names that would hide a function of every model.
fn check_reserved(name: &str, span: Span) -> Result<()> {
    match RESERVED.contains(&name) {
        true => {
            let message = format!(
                "a function `{name}` of the model would hide `Model::{name}`: call the field or \
                 relation `{name}_`; `#[ferro(column = \"{name}\")]` keeps the name of a column",
            );
            Err(Error::new(span, message))
        }
        false => Ok(()),
    }
}
