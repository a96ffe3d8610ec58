//! Arguments in WAVE, the text format of WIT values.

use std::error::Error as _;
use std::ops::Range;

use wasmtime::component::wasm_wave::ast::{Node, NodeType};
use wasmtime::component::wasm_wave::parser::ParserError;
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::{Type, Val};

/// Reads `(3, "a")` as values of these types; the error says what is wrong. Trailing options may be
/// omitted.
pub(crate) fn read_arguments(text: &str, types: &[Type]) -> Result<Vec<Val>, String> {
    // A call needs a name; that of an export may not be valid in WAVE.
    let call = format!("f{text}");
    let fault = |error| describe(&error, &call);
    let parsed = UntypedFuncCall::parse(&call).map_err(fault)?;
    let values = parsed.to_wasm_params(types).map_err(fault)?;
    let nodes = parsed.params_node().and_then(|node| node.as_tuple().ok());
    // Unknown fields of a record are ignored above; an optional one would be lost.
    let unknown = nodes.into_iter().flatten().zip(types);
    match unknown.into_iter().find_map(|(node, ty)| unknown_field(node, ty, &call)) {
        Some(fault) => Err(fault),
        None => Ok(values),
    }
}

fn unknown_field(node: &Node, ty: &Type, call: &str) -> Option<String> {
    let within = |node: Option<&Node>, ty: Option<Type>| unknown_field(node?, &ty?, call);
    match ty {
        Type::Record(record) => node.as_record(call).ok()?.find_map(|(name, value)| {
            match record.fields().find(|field| field.name == name) {
                Some(field) => unknown_field(value, &field.ty, call),
                None => {
                    let known: Vec<_> =
                        record.fields().map(|field| format!("`{}`", field.name)).collect();
                    Some(format!("there is no field `{name}`; the fields are {}", known.join(", ")))
                }
            }
        }),
        Type::List(list) => {
            let ty = list.ty();
            node.as_list().ok()?.find_map(|item| unknown_field(item, &ty, call))
        }
        Type::Tuple(tuple) => {
            let mut items = node.as_tuple().ok()?.zip(tuple.types());
            items.find_map(|(item, ty)| unknown_field(item, &ty, call))
        }
        Type::Variant(variant) => {
            let (name, payload) = node.as_variant(call).ok()?;
            let case = variant.cases().find(|case| case.name == name)?;
            within(payload, case.ty)
        }
        // `some(…)` and `ok(…)` may be omitted.
        Type::Option(option) => match node.ty() {
            NodeType::OptionSome | NodeType::OptionNone => {
                within(node.as_option().ok()?, Some(option.ty()))
            }
            _ => unknown_field(node, &option.ty(), call),
        },
        Type::Result(result) => match node.as_result() {
            Ok(Ok(payload)) => within(payload, result.ok()),
            Ok(Err(payload)) => within(payload, result.err()),
            Err(_) => within(Some(node), result.ok()),
        },
        _ => None,
    }
}

fn describe(error: &ParserError, call: &str) -> String {
    let detail = error.detail().map(str::to_owned);
    let detail = detail.or_else(|| Some(error.source()?.to_string()));
    let detail = detail.map(|it| format!(": {it}")).unwrap_or_default();
    format!("{}{detail}{}", error.kind(), place(call, error.span()))
}

/// The location of an error: the text there, or its beginning.
fn place(call: &str, span: Range<usize>) -> String {
    // The name at the beginning was added here.
    let text = call.get(span.clone()).filter(|_| span.start > 0);
    match text.map(str::trim) {
        None | Some("") => String::new(),
        Some(text) if text.chars().count() <= 60 => format!(", at `{text}`"),
        Some(text) => format!(", at `{}…`", text.chars().take(60).collect::<String>()),
    }
}
