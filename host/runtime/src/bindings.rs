//! The worlds of `ferro:orm` in Rust. Their types are those of `ferro-wit`, so that values from a
//! guest reach the session without conversion.

/// The interfaces of `ferro:orm` that contain only types, for the `with` of `bindgen!`.
///
/// ```
/// mod world {
///     wasmtime::component::bindgen!({
///         path: "../../wit",
///         inline: "
///             package example:notes;
///             world notes {
///                 use ferro:orm/types@0.1.0.{error};
///                 export count: func(label: string) -> result<u64, error>;
///             }
///         ",
///         exports: { default: async },
///         with: { "ferro:orm/types": ferro_host::wit::types },
///     });
/// }
/// # fn main() {}
/// ```
pub mod wit {
    macro_rules! type_only {
        ($($name:ident),*) => {$(
            #[doc = concat!("The interface `", stringify!($name), "`.")]
            pub mod $name {
                use wasmtime::component::{HasData, Linker};

                pub use ferro_wit::$name::*;

                #[doc(hidden)]
                pub trait Host {}

                impl<T: ?Sized> Host for T {}

                #[doc(hidden)]
                pub trait HostWithStore<T>: HasData {}

                impl<T, D: HasData + ?Sized> HostWithStore<T> for D {}

                #[doc(hidden)]
                pub fn add_to_linker<T: 'static, D: HasData>(
                    _: &mut Linker<T>,
                    _: fn(&mut T) -> D::Data<'_>,
                ) -> wasmtime::Result<()> {
                    Ok(())
                }
            }
        )*};
    }

    type_only!(plan, policy, query, schema, types);
}

/// The exports of the core.
#[allow(missing_docs, clippy::all)]
pub(crate) mod core {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "ferro:orm/core",
        exports: { default: async },
        with: {
            "ferro:orm/types": super::wit::types,
            "ferro:orm/schema": super::wit::schema,
            "ferro:orm/query": super::wit::query,
            "ferro:orm/policy": super::wit::policy,
            "ferro:orm/plan": super::wit::plan,
        },
    });
}

/// The imports and exports of a plugin; a plain plugin does not import `raw-sql`.
#[allow(missing_docs, clippy::all)]
pub(crate) mod plugin {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "ferro:orm/privileged-plugin",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "ferro:orm/types": super::wit::types,
            "ferro:orm/schema": super::wit::schema,
            "ferro:orm/query": super::wit::query,
            "ferro:orm/database.session": ferro_session::Session,
            "ferro:orm/database.cursor": ferro_session::Cursor,
        },
    });
}
