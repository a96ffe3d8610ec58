//! Checks of a plugin's bytes before it is compiled, which takes most of the time and memory of a
//! load.

use ferro_wit::types::{Error, ErrorKind};
use wasmparser::{BinaryReaderError, CompositeInnerType, FunctionBody, Parser, Payload};

/// Maximum bytes of one function. Compiling that takes seconds, and some hundred MiB.
const FUNCTION_BYTES: u64 = 1024 * 1024;
/// Maximum of a function's bytes times its parameters and locals: wherever control paths meet, the
/// compiler visits all variables. It is twenty times the value of the largest function in Ferro's
/// core, and takes some seconds.
const FUNCTION_WORK: u64 = 1 << 27;
/// Maximum of that product, summed over all functions.
const WORK: u64 = 1 << 30;

/// Rejects what is not a binary component, is larger than `limit` bytes, or would take
/// disproportionately long to compile.
///
/// # Errors
///
/// `invalid-configuration`.
pub fn check_component(name: &str, bytes: &[u8], limit: u64) -> Result<(), Error> {
    let refused = |fault: String| {
        Error::new(ErrorKind::InvalidConfiguration, format!("the plugin `{name}` {fault}"))
    };
    if bytes.len() as u64 > limit {
        return Err(refused(format!("is larger than {limit} bytes, the most that can be loaded")));
    }
    match bytes {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => {}
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => {
            return Err(refused(
                "is a core module and not a component: build it for the target wasm32-wasip2"
                    .into(),
            ));
        }
        [0, b'a', b's', b'm', ..] => {
            return Err(refused("is of an unknown version of the component format".into()));
        }
        [0x7f, b'E', b'L', b'F', ..] => {
            return Err(refused(
                "is machine code, which is never loaded: load the component that it was compiled \
                 from"
                    .into(),
            ));
        }
        _ if is_text(bytes) => {
            return Err(refused(
                "is WebAssembly in text form: load the component in binary form".into(),
            ));
        }
        _ => return Err(refused("is not a WebAssembly component".into())),
    }
    match fault_of_code(bytes) {
        Ok(None) => Ok(()),
        Ok(Some(fault)) => Err(refused(fault)),
        Err(error) => Err(Error::new(
            ErrorKind::InvalidConfiguration,
            format!("the plugin `{name}` is not a valid component: {error}"),
        )),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"(") || text.starts_with(b";;")
}

/// The fault in the sizes of functions in a component's modules, if any.
fn fault_of_code(bytes: &[u8]) -> Result<Option<String>, BinaryReaderError> {
    let (mut module, mut work) = (Module::default(), 0_u64);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            // Modules are nested in components, but not in other modules.
            Payload::Version { .. } => module = Module::default(),
            Payload::TypeSection(groups) => {
                for group in groups {
                    for ty in group?.into_types() {
                        module.parameters.push(match ty.composite_type.inner {
                            CompositeInnerType::Func(function) => function.params().len() as u64,
                            _ => 0,
                        });
                    }
                }
            }
            Payload::FunctionSection(types) => {
                for ty in types {
                    module.types.push(ty?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let size = body.as_bytes().len() as u64;
                if size > FUNCTION_BYTES {
                    return Ok(Some(format!(
                        "has a function of {size} bytes, but at most {FUNCTION_BYTES} can be \
                         compiled: split it"
                    )));
                }
                let own = size.saturating_mul(module.next(&body)?);
                if own > FUNCTION_WORK {
                    return Ok(Some(format!(
                        "has a function of {size} bytes whose parameters and locals are too many to \
                         be compiled: split it, or build it with optimizations"
                    )));
                }
                work = work.saturating_add(own);
                if work > WORK {
                    let fault = "has functions with too many locals to be compiled: build it with \
                                 optimizations";
                    return Ok(Some(fault.into()));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// A core module, as read so far.
#[derive(Default)]
struct Module {
    /// The number of parameters of each function type.
    parameters: Vec<u64>,
    /// The types of its functions.
    types: Vec<u32>,
    /// The number of functions read so far.
    read: usize,
}

impl Module {
    /// The number of parameters and locals of the next function.
    fn next(&mut self, body: &FunctionBody<'_>) -> Result<u64, BinaryReaderError> {
        // A function without a type is invalid, and not compiled.
        let ty = self.types.get(self.read).and_then(|it| self.parameters.get(*it as usize));
        self.read += 1;
        let mut locals = ty.copied().unwrap_or_default();
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(u64::from(group?.0));
        }
        Ok(locals)
    }
}
