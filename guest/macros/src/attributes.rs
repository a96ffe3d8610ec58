//! Parsing `#[ferro(…)]` attributes.

use syn::meta::ParseNestedMeta;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Expr, Ident, LitInt, LitStr, Path, Result, Token, parenthesized};

#[derive(Default)]
pub(crate) struct ModelAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) table: Option<LitStr>,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) renamed_from: Option<LitStr>,
    pub(crate) comment: Option<LitStr>,
    pub(crate) indexes: Vec<IndexAttribute>,
    pub(crate) checks: Vec<CheckAttribute>,
    pub(crate) many_to_manys: Vec<ManyToManyAttribute>,
}

/// `many_to_many(tags: Tag, through = PostTag, reverse = "posts")`.
pub(crate) struct ManyToManyAttribute {
    pub(crate) name: Ident,
    pub(crate) target: Path,
    pub(crate) through: Option<Path>,
    pub(crate) reverse: Option<LitStr>,
}

/// `index(by_date: author, written where published)`.
pub(crate) struct IndexAttribute {
    pub(crate) name: Option<Ident>,
    pub(crate) fields: Vec<Ident>,
    pub(crate) condition: Option<Expr>,
    pub(crate) unique: bool,
}

/// `check(positive: price > 0)`.
pub(crate) struct CheckAttribute {
    pub(crate) name: Option<Ident>,
    pub(crate) condition: Expr,
}

#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) key: bool,
    pub(crate) generated: bool,
    pub(crate) version: bool,
    pub(crate) unique: bool,
    pub(crate) index: bool,
    pub(crate) column: Option<LitStr>,
    pub(crate) length: Option<LitInt>,
    pub(crate) precision: Option<LitInt>,
    pub(crate) scale: Option<LitInt>,
    pub(crate) sql_type: Option<SqlType>,
    pub(crate) default: Option<DefaultAttribute>,
    pub(crate) references: Option<Path>,
    pub(crate) relation: Option<LitStr>,
    pub(crate) reverse: Option<LitStr>,
    pub(crate) on_delete: Option<Ident>,
    /// What happens to it if the key that it refers to changes.
    pub(crate) on_update: Option<Ident>,
    /// What every update sets it to.
    pub(crate) update_value: Option<UpdateAttribute>,
    pub(crate) renamed_from: Option<LitStr>,
}

/// `on_update = now`.
pub(crate) enum UpdateAttribute {
    Now,
    RandomUuid,
}

pub(crate) enum DefaultAttribute {
    Now,
    RandomUuid,
    Constant(Expr),
    /// A function that the program calls for the value.
    With(Expr),
}

/// `sql_type = "varchar(20)"`: a column type, by the name that both databases use. A name is data:
/// SQL text never reaches a statement.
pub(crate) enum SqlType {
    /// The width, by its name in `IntegerWidth`.
    Integer(&'static str),
    Real,
    Double,
    Numeric(Option<(u16, u16)>),
    Text(Option<u32>),
}

impl ModelAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut all = Self::default();
        each(attributes, &["index", "unique", "check", "many_to_many"], |name, meta| {
            match name {
                "name" => all.name = Some(meta.value()?.parse()?),
                "table" => all.table = Some(meta.value()?.parse()?),
                "namespace" => all.namespace = Some(meta.value()?.parse()?),
                "renamed_from" => all.renamed_from = Some(meta.value()?.parse()?),
                "comment" => all.comment = Some(meta.value()?.parse()?),
                kind @ ("index" | "unique") => {
                    let content;
                    parenthesized!(content in meta.input);
                    let index: IndexAttribute = content.parse()?;
                    if index.fields.is_empty() {
                        return Err(meta.error("names no field: write `index(a, b)`"));
                    }
                    all.indexes.push(IndexAttribute { unique: kind == "unique", ..index });
                }
                "check" => {
                    let content;
                    parenthesized!(content in meta.input);
                    all.checks.push(content.parse()?);
                }
                "many_to_many" => {
                    let content;
                    parenthesized!(content in meta.input);
                    all.many_to_manys.push(content.parse()?);
                }
                _ => {
                    return Err(meta.error(
                        "unknown attribute of a model: expected `table`, `name`, `namespace`, \
                         `comment`, `index`, `unique`, `check`, `many_to_many` or `renamed_from`",
                    ));
                }
            }
            Ok(())
        })?;
        Ok(all)
    }
}

impl Parse for IndexAttribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = label(input)?;
        let mut fields = Vec::new();
        while !input.is_empty() && !input.peek(Token![where]) {
            fields.push(input.parse()?);
            if input.parse::<Option<Token![,]>>()?.is_none() {
                break;
            }
        }
        let condition = match input.parse::<Option<Token![where]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        match input.is_empty() {
            true => Ok(Self { name, fields, condition, unique: false }),
            false => Err(input.error("expected `,` and a field, or `where` and a condition")),
        }
    }
}

impl Parse for CheckAttribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        Ok(Self { name: label(input)?, condition: input.parse()? })
    }
}

/// The optional name at the start: `positive: …`.
fn label(input: ParseStream<'_>) -> Result<Option<Ident>> {
    if !input.peek2(Token![:]) || input.peek2(Token![::]) {
        return Ok(None);
    }
    let name = input.parse()?;
    input.parse::<Token![:]>()?;
    Ok(Some(name))
}

impl Parse for ManyToManyAttribute {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![:]>()?;
        let target = input.parse()?;
        let mut all = Self { name, target, through: None, reverse: None };
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let name: Ident = input.parse()?;
            input.parse::<Token![=]>()?;
            match name.to_string().as_str() {
                "through" => all.through = Some(input.parse()?),
                "reverse" => all.reverse = Some(input.parse()?),
                _ => return Err(Error::new(name.span(), "expected `through` or `reverse`")),
            }
        }
        Ok(all)
    }
}

impl FieldAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut all = Self::default();
        each(attributes, &[], |name, meta| {
            match name {
                "key" => all.key = true,
                "generated" => all.generated = true,
                "version" => all.version = true,
                "unique" => all.unique = true,
                "index" => all.index = true,
                "column" => all.column = Some(meta.value()?.parse()?),
                "length" => all.length = Some(meta.value()?.parse()?),
                "precision" => all.precision = Some(meta.value()?.parse()?),
                "scale" => all.scale = Some(meta.value()?.parse()?),
                "sql_type" => all.sql_type = Some(meta.value()?.parse()?),
                "default" | "default_with" if all.default.is_some() => {
                    return Err(meta.error("a field has one default"));
                }
                "default" => all.default = Some(default(meta.value()?.parse()?)),
                "default_with" => {
                    all.default = Some(DefaultAttribute::With(meta.value()?.parse()?));
                }
                "references" => all.references = Some(meta.value()?.parse()?),
                "relation" => all.relation = Some(meta.value()?.parse()?),
                "reverse" => all.reverse = Some(meta.value()?.parse()?),
                "on_delete" => all.on_delete = Some(meta.value()?.parse()?),
                "on_update" => {
                    let value: Ident = meta.value()?.parse()?;
                    match value.to_string().as_str() {
                        "now" => all.update_value = Some(UpdateAttribute::Now),
                        "random_uuid" => all.update_value = Some(UpdateAttribute::RandomUuid),
                        _ => all.on_update = Some(value),
                    }
                }
                "renamed_from" => all.renamed_from = Some(meta.value()?.parse()?),
                _ => {
                    return Err(meta.error(
                        "unknown attribute of a field: expected `key`, `generated`, `version`, \
                         `unique`, `index`, `column`, `length`, `precision`, `scale`, `sql_type`, \
                         `default`, `default_with`, `references`, `relation`, `reverse`, `on_delete`, `on_update` or \
                         `renamed_from`",
                    ));
                }
            }
            Ok(())
        })?;
        all.check(attributes)?;
        Ok(all)
    }

    /// Rejects attributes that require another one that is missing.
    fn check(&self, attributes: &[Attribute]) -> Result<()> {
        let at = attributes.iter().find(|it| it.path().is_ident("ferro"));
        let refuse = |message| match at {
            Some(attribute) => Err(Error::new_spanned(attribute, message)),
            None => Ok(()),
        };
        if self.generated && !self.key {
            return refuse("`generated` is for a key: write `key, generated`");
        }
        if self.version && (self.key || self.default.is_some()) {
            return refuse("a version cannot be a key or have a `default`: it begins at 0");
        }
        if self.update_value.is_some() && (self.key || self.references.is_some()) {
            return refuse(
                "`on_update = now` and `random_uuid` are for a field that is neither a key nor a \
                 foreign key",
            );
        }
        if self.generated && self.default.is_some() {
            return refuse("a generated key has no `default`");
        }
        if self.precision.is_some() != self.scale.is_some() {
            return refuse("`precision` and `scale` go together");
        }
        if self.sql_type.is_some() && (self.length.is_some() || self.precision.is_some()) {
            return refuse("a size is a part of `sql_type`: write `varchar(20)`, `numeric(12, 2)`");
        }
        let of_relation = self.relation.is_some()
            || self.reverse.is_some()
            || self.on_delete.is_some()
            || self.on_update.is_some();
        if self.references.is_none() && of_relation {
            return refuse(
                "`relation`, `reverse`, `on_delete` and `on_update` need `references = Model`; \
                 without it, updates may set a field: `on_update = now` or `random_uuid`",
            );
        }
        Ok(())
    }
}

impl Parse for SqlType {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let literal: LitStr = input.parse()?;
        let text = literal.value().to_ascii_lowercase();
        let (name, sizes) = match text.strip_suffix(')').and_then(|it| it.split_once('(')) {
            Some((name, sizes)) => (name.trim(), sizes.split(',').map(str::trim).collect()),
            None => (text.trim(), Vec::new()),
        };
        let size = |text: &str, most: u32| match text.parse::<u32>() {
            Ok(size) if (1..=most).contains(&size) => Ok(size),
            _ => Err(Error::new(literal.span(), format!("`{text}` is not a size of `{name}`"))),
        };
        let digits = |text: &str| match text.parse::<u16>() {
            Ok(digits) if digits <= 1_000 => Ok(digits),
            _ => Err(Error::new(literal.span(), format!("`{text}` is not a number of digits"))),
        };
        Ok(match (name, &sizes[..]) {
            ("smallint" | "int2", []) => Self::Integer("Small"),
            ("integer" | "int" | "int4", []) => Self::Integer("Regular"),
            ("bigint" | "int8", []) => Self::Integer("Big"),
            ("real" | "float4", []) => Self::Real,
            ("double precision" | "double" | "float8", []) => Self::Double,
            ("numeric" | "decimal", []) => Self::Numeric(None),
            ("numeric" | "decimal", [precision]) => Self::Numeric(Some((digits(precision)?, 0))),
            ("numeric" | "decimal", [precision, scale]) => {
                Self::Numeric(Some((digits(precision)?, digits(scale)?)))
            }
            ("text" | "varchar" | "character varying", []) => Self::Text(None),
            ("varchar" | "character varying", [length]) => {
                Self::Text(Some(size(length, 10_485_760)?))
            }
            _ => {
                let message = format!(
                    "`{}` is not a supported `sql_type`: expected `smallint`, `integer`, `bigint`, \
                     `real`, `double precision`, `numeric`, `numeric(12, 2)`, `text` or \
                     `varchar(20)`",
                    literal.value()
                );
                return Err(Error::new(literal.span(), message));
            }
        })
    }
}

/// The items of all `#[ferro(…)]` among the attributes, by name. Only some may be repeated.
pub(crate) fn each(
    attributes: &[Attribute],
    repeatable: &[&str],
    mut item: impl FnMut(&str, ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let mut seen = Vec::new();
    attributes.iter().filter(|it| it.path().is_ident("ferro")).try_for_each(|it| {
        it.parse_nested_meta(|meta| {
            let name = meta.path.require_ident()?.to_string();
            if seen.contains(&name) && !repeatable.contains(&name.as_str()) {
                return Err(meta.error(format!("duplicate attribute `{name}`")));
            }
            item(&name, meta)?;
            seen.push(name);
            Ok(())
        })
    })
}

fn default(value: Expr) -> DefaultAttribute {
    match &value {
        Expr::Path(path) if path.path.is_ident("now") => DefaultAttribute::Now,
        Expr::Path(path) if path.path.is_ident("random_uuid") => DefaultAttribute::RandomUuid,
        _ => DefaultAttribute::Constant(value),
    }
}
