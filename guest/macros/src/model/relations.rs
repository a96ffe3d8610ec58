//! Relations: the functions of a model that lead to others, the path to it, and their entries in
//! the schema.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::{Error, Ident, LitStr};

use super::{Field, Model};
use crate::attributes::{FieldAttributes, ManyToManyAttribute};

impl Model<'_> {
    /// The name of the path to one row of this model.
    pub(super) fn path_name(&self) -> Ident {
        format_ident!("{}Path", self.ident, span = self.ident.span())
    }

    /// The functions of the model that lead to other models.
    pub(super) fn relations(&self) -> Vec<TokenStream> {
        let to_one = self.fields.iter().filter_map(|field| {
            let target = field.attributes.references.as_ref()?;
            let Relation { name: relation, function } = field.relation.as_ref()?;
            let (visibility, ty) = (field.visibility, field.ty);
            let doc = format!("The path to the row that `{}` refers to.", field.name);
            Some(quote_spanned! {target_span(target)=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every relation is crossed")]
                #visibility fn #function()
                    -> <#target as ::ferro::Model>::Path<Self, <#ty as ::ferro::Field>::Presence>
                {
                    ::ferro::Path::new(::std::vec![#relation])
                }
            })
        });
        let to_many = self.attributes.many_to_manys.iter().map(|it| {
            let ManyToManyAttribute { name, target, .. } = it;
            let visibility = self.visibility;
            let text = name.unraw().to_string();
            let doc = format!("The rows that belong to this one by the relation `{text}`.");
            quote_spanned! {name.span()=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every relation is crossed")]
                #visibility fn #name() -> ::ferro::ToMany<Self, #target> {
                    ::ferro::ToMany::new(::std::vec![#text])
                }
            }
        });
        to_one.chain(to_many).collect()
    }

    /// The path struct from other models to one row of this model.
    pub(super) fn path(&self) -> TokenStream {
        let Self { ident, visibility, .. } = self;
        let path = self.path_name();
        let doc = format!("The path from a model to a row of [`{ident}`], with its fields.");
        let fields = self.fields.iter().map(|field| {
            let Field { ident: name, visibility, ty, name: text, .. } = field;
            let doc = format!("The field `{text}` at the end of the path.");
            quote_spanned! {name.span()=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every field is looked at from elsewhere")]
                #visibility fn #name(self) -> ::ferro::Expr<__R, __N::Of<#ty>> {
                    ::ferro::Expr::across(self.steps, #text)
                }
            }
        });
        let to_one = self.fields.iter().filter_map(|field| {
            let target = field.attributes.references.as_ref()?;
            let Relation { name: relation, function } = field.relation.as_ref()?;
            let (visibility, ty) = (field.visibility, field.ty);
            let doc = format!("Continues to the row that `{}` refers to.", field.name);
            Some(quote_spanned! {target_span(target)=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every relation is crossed")]
                #visibility fn #function(mut self) -> <#target as ::ferro::Model>::Path<
                    __R,
                    __N::Then<<#ty as ::ferro::Field>::Presence>,
                > {
                    self.steps.push(#relation);
                    ::ferro::Path::new(self.steps)
                }
            })
        });
        let to_many = self.attributes.many_to_manys.iter().map(|it| {
            let ManyToManyAttribute { name, target, .. } = it;
            let text = name.unraw().to_string();
            let doc = format!("The rows that belong to that one by the relation `{text}`.");
            quote_spanned! {name.span()=>
                #[doc = #doc]
                #[allow(dead_code, reason = "not every relation is crossed")]
                #visibility fn #name(mut self) -> ::ferro::ToMany<__R, #target> {
                    self.steps.push(#text);
                    ::ferro::ToMany::new(self.steps)
                }
            }
        });
        quote! {
            #[doc = #doc]
            #[must_use = "a path does nothing until a query uses it"]
            #visibility struct #path<__R, __N = ::ferro::Required> {
                steps: ::ferro::__private::Steps,
                types: ::core::marker::PhantomData<fn() -> (__R, __N)>,
            }

            impl<__R: ::ferro::Model, __N: ::ferro::Presence> #path<__R, __N> {
                #(#fields)*
                #(#to_one)*
                #(#to_many)*
            }

            #[automatically_derived]
            impl<__R: ::ferro::Model, __N: ::ferro::Presence> ::ferro::Path for #path<__R, __N> {
                type Source = __R;
                type Target = #ident;
                type Presence = __N;

                fn new(steps: ::ferro::__private::Steps) -> Self {
                    Self { steps, types: ::core::marker::PhantomData }
                }

                fn into_steps(self) -> ::ferro::__private::Steps {
                    self.steps
                }
            }

            #[automatically_derived]
            impl<__R, __N> ::core::clone::Clone for #path<__R, __N> {
                fn clone(&self) -> Self {
                    Self {
                        steps: ::core::clone::Clone::clone(&self.steps),
                        types: ::core::marker::PhantomData,
                    }
                }
            }
        }
    }

    /// The reverse relations, as functions of the target models.
    pub(super) fn reverses(&self) -> TokenStream {
        let Self { ident, visibility, .. } = self;
        let of_keys = self.fields.iter().filter_map(|field| {
            let target = field.attributes.references.as_ref()?;
            let reverse = field.attributes.reverse.as_ref()?;
            let function = match function(&reverse.value(), reverse.span()) {
                Ok(function) => function,
                Err(error) => return Some(error.into_compile_error()),
            };
            let relation = &field.relation.as_ref()?.name;
            Some(match field.attributes.unique {
                true => {
                    let doc =
                        format!("The path to the [`{ident}`] whose `{relation}` is this row.");
                    quote_spanned! {reverse.span()=>
                        impl #target {
                            #[doc = #doc]
                            #[allow(dead_code, reason = "not every relation is crossed")]
                            #visibility fn #function()
                                -> <#ident as ::ferro::Model>::Path<Self, ::ferro::Optional>
                            {
                                ::ferro::Path::new(::std::vec![#reverse])
                            }
                        }
                    }
                }
                false => {
                    let doc = format!("The rows of [`{ident}`] whose `{relation}` is this row.");
                    way_back(visibility, &doc, target, ident, &function, reverse)
                }
            })
        });
        let of_pairs = self.attributes.many_to_manys.iter().filter_map(|it| {
            let reverse = it.reverse.as_ref()?;
            let function = match function(&reverse.value(), reverse.span()) {
                Ok(function) => function,
                Err(error) => return Some(error.into_compile_error()),
            };
            let name = it.name.unraw();
            let doc = format!("The rows of [`{ident}`] whose `{name}` contain this row.");
            Some(way_back(visibility, &doc, &it.target, ident, &function, reverse))
        });
        of_keys.chain(of_pairs).collect()
    }

    /// The many-to-many relations of the schema.
    pub(super) fn many_to_manys(&self) -> impl Iterator<Item = TokenStream> {
        self.attributes.many_to_manys.iter().map(|it| {
            let ManyToManyAttribute { name, target, through, reverse } = it;
            let name = name.unraw().to_string();
            let through =
                optional(through.as_ref().map(|it| quote!(<#it as ::ferro::Model>::NAME)));
            let reverse = optional(reverse.as_ref().map(|it| quote!(#it)));
            quote!(::ferro::schema::many_to_many::<#target>(#name, #through, #reverse))
        })
    }
}

/// The name of a foreign key, and of its function.
pub(super) struct Relation {
    pub(super) name: String,
    function: Ident,
}

impl Relation {
    /// The relation that is based on a field, if it refers to a model.
    pub(super) fn of(
        field: &str,
        ident: &Ident,
        attributes: &FieldAttributes,
    ) -> syn::Result<Option<Self>> {
        let FieldAttributes { references: Some(_), relation, .. } = attributes else {
            return Ok(None);
        };
        let (name, span) = match relation {
            Some(name) => (name.value(), name.span()),
            None => {
                let name = field.strip_suffix("_id").map(str::to_owned);
                (name.unwrap_or_else(|| format!("{field}_ref")), ident.span())
            }
        };
        let function = function(&name, span)?;
        Ok(Some(Self { name, function }))
    }
}

impl Field<'_> {
    /// The foreign key of the schema.
    pub(super) fn foreign_key(&self) -> Option<TokenStream> {
        let Self { name, attributes, .. } = self;
        let target = attributes.references.as_ref()?;
        let relation = &self.relation.as_ref()?.name;
        let reverse = optional(attributes.reverse.as_ref().map(|it| quote!(#it)));
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

/// A function of the target model that returns the rows of this one.
fn way_back(
    visibility: &syn::Visibility,
    doc: &str,
    target: &syn::Path,
    ident: &Ident,
    function: &Ident,
    reverse: &LitStr,
) -> TokenStream {
    quote_spanned! {reverse.span()=>
        impl #target {
            #[doc = #doc]
            #[allow(dead_code, reason = "not every relation is crossed")]
            #visibility fn #function() -> ::ferro::ToMany<Self, #ident> {
                ::ferro::ToMany::new(::std::vec![#reverse])
            }
        }
    }
}

/// Names that a function cannot have, even with `r#`.
const NO_FUNCTIONS: [&str; 5] = ["_", "self", "Self", "super", "crate"];

/// The function name of a relation, with `r#` if it is a keyword.
fn function(name: &str, span: Span) -> syn::Result<Ident> {
    super::check_reserved(name, span)?;
    let known = Ident::parse_any.parse_str(name).is_ok_and(|it| it.unraw() == name);
    if !known || NO_FUNCTIONS.contains(&name) {
        let message = format!(
            "`{name}` cannot be the name of a relation, which becomes a function: choose another \
             one with `relation = \"…\"`, or with `reverse = \"…\"` for the reverse relation",
        );
        return Err(Error::new(span, message));
    }
    Ok(match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, span),
        Err(_) => Ident::new_raw(name, span),
    })
}

fn target_span(target: &syn::Path) -> Span {
    use syn::spanned::Spanned as _;
    target.span().resolved_at(Span::call_site())
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
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
                "`{other}` is not an action: expected `cascade`, `restrict`, `set_null`, \
                 `set_default` or `no_action`",
            );
            let span = name.map_or_else(Span::call_site, Ident::span);
            return Error::new(span, message).into_compile_error();
        }
    };
    let case = format_ident!("{case}");
    quote!(::ferro::__private::ferro_wit::schema::ReferentialAction::#case)
}
