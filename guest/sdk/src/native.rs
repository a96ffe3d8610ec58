//! Stubs for code outside a component, where no host lends databases by label.

use ferro_wit::types::{Error, ErrorKind};

/// Stands in for the bindings of the interface `database`, to which a plugin's own bindings refer.
pub mod database {}
/// The same for the interface `raw-sql`.
#[cfg(feature = "raw-sql")]
pub mod raw_sql {}

pub(crate) fn open(label: &str) -> Result<Box<dyn ferro_wit::Session>, Error> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "cannot open `{label}`: only a plugin opens a session by its label; an application \
             creates one from its host's session, with `Session::new`"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_a_label_outside_a_plugin_says_what_to_do_instead() {
        let error = crate::Session::open("app").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("`Session::new`"), "{error}");
    }
}
