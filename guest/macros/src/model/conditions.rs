//! Conditions on a row in Rust syntax: of a `check(…)`, and after the `where` of an index.
//!
//! They become data, never SQL: groups of terms, one of which must hold.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{BinOp, Error, Expr, ExprBinary, ExprMethodCall, Ident, Result, UnOp};

use super::{Model, option};

const EXPECTED: &str = "expected a comparison of a field, `field.in_([…])`, `field.is_none()`, \
                        `field.is_some()`, or several of them with `&&` and `||`";

/// Maximum number of groups when `&&` over `||` is multiplied out.
const GROUPS: usize = 64;

type Groups = Vec<Vec<TokenStream>>;

impl Model<'_> {
    /// A condition in the form of the schema.
    pub(super) fn condition(&self, name: Option<&Ident>, condition: &Expr) -> Result<TokenStream> {
        let groups = self.groups(condition)?;
        let name = option(name.map(|it| {
            let name = it.unraw().to_string();
            quote!(::std::string::String::from(#name))
        }));
        Ok(quote! {
            ::ferro::__private::ferro_wit::schema::Check {
                name: #name,
                any_of: ::std::vec![#(::std::vec![#(#groups),*]),*],
            }
        })
    }

    fn groups(&self, condition: &Expr) -> Result<Groups> {
        let one = |term| Ok(vec![vec![term]]);
        match condition {
            Expr::Paren(inner) => self.groups(&inner.expr),
            Expr::Group(inner) => self.groups(&inner.expr),
            Expr::Binary(ExprBinary { left, op: BinOp::Or(_), right, .. }) => {
                Ok([self.groups(left)?, self.groups(right)?].concat())
            }
            Expr::Binary(ExprBinary { left, op: BinOp::And(_), right, .. }) => {
                let (left, right) = (self.groups(left)?, self.groups(right)?);
                if left.len() * right.len() > GROUPS {
                    let message = "too many alternatives: write several checks instead";
                    return Err(Error::new(condition.span(), message));
                }
                let with = |one: &Vec<_>| {
                    let one = one.clone();
                    right.iter().map(move |other| [one.as_slice(), other].concat())
                };
                Ok(left.iter().flat_map(with).collect())
            }
            Expr::Binary(comparison) => one(self.comparison(comparison)?),
            Expr::MethodCall(call) => one(self.call(call)?),
            Expr::Unary(not) if matches!(not.op, UnOp::Not(_)) => {
                one(self.truth(&not.expr, false)?)
            }
            Expr::Path(_) => one(self.truth(condition, true)?),
            other => Err(Error::new(other.span(), EXPECTED)),
        }
    }

    fn comparison(&self, ExprBinary { left, op, right, .. }: &ExprBinary) -> Result<TokenStream> {
        let comparison = match op {
            BinOp::Eq(_) => "Equal",
            BinOp::Ne(_) => "NotEqual",
            BinOp::Lt(_) => "Less",
            BinOp::Le(_) => "LessOrEqual",
            BinOp::Gt(_) => "Greater",
            BinOp::Ge(_) => "GreaterOrEqual",
            other => return Err(Error::new(other.span(), EXPECTED)),
        };
        let comparison = format_ident!("{comparison}");
        let field = self.field(left)?;
        let name = &field.name;
        let other = ident(right).and_then(|it| self.named(it).ok());
        if let Some(other) = other.map(|it| &it.name) {
            return Ok(
                quote!(::ferro::schema::compare_field(#name, ::ferro::__private::ferro_wit::schema::Comparison::#comparison, #other)),
            );
        }
        let ty = field.ty;
        Ok(quote_spanned! {span(right)=>
            ::ferro::schema::compare::<#ty, _>(#name, ::ferro::__private::ferro_wit::schema::Comparison::#comparison, #right)
        })
    }

    fn call(&self, call: &ExprMethodCall) -> Result<TokenStream> {
        let field = self.field(&call.receiver)?;
        let (name, ty) = (&field.name, field.ty);
        let arguments: Vec<_> = call.args.iter().collect();
        match (call.method.to_string().as_str(), arguments.as_slice()) {
            ("is_none", []) => Ok(quote!(::ferro::schema::is_null(#name))),
            ("is_some", []) => Ok(quote!(::ferro::schema::is_not_null(#name))),
            ("in_", [values]) => Ok(quote_spanned! {span(values)=>
                ::ferro::schema::one_of::<#ty, _>(#name, #values)
            }),
            _ => Err(Error::new(call.method.span(), EXPECTED)),
        }
    }

    /// A boolean field as a condition.
    fn truth(&self, condition: &Expr, value: bool) -> Result<TokenStream> {
        let field = self.field(condition)?;
        let (name, ty) = (&field.name, field.ty);
        Ok(quote_spanned! {span(condition)=>
            ::ferro::schema::compare::<#ty, bool>(
                #name,
                ::ferro::__private::ferro_wit::schema::Comparison::Equal,
                #value,
            )
        })
    }

    fn field(&self, expression: &Expr) -> Result<&super::Field<'_>> {
        let name = ident(expression)
            .ok_or_else(|| Error::new(expression.span(), "expected a field of the model"))?;
        self.named(name)
    }

    /// The field of that name, which may be written with `r#`.
    pub(super) fn named(&self, name: &Ident) -> Result<&super::Field<'_>> {
        let found = self.fields.iter().find(|it| name.unraw() == it.name);
        found.ok_or_else(|| {
            Error::new(name.span(), format!("`{}` has no field `{}`", self.ident, name.unraw()))
        })
    }
}

fn ident(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    }
}

/// The span for errors about a value, which resolves the names that this macro uses.
fn span(of: &Expr) -> Span {
    of.span().resolved_at(Span::call_site())
}
