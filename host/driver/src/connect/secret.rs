//! A password that is not printed by accident.

use std::fmt;

/// A text that `Debug` hides, and that can be masked in other texts.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

const MASK: &str = "***";

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the only place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// A message of a server or a library, with the secret masked.
    ///
    /// Words that are `public` are kept even if one is also the secret: in `postgres:postgres@`,
    /// masking the user name would reveal that the password is the same.
    pub(crate) fn scrub(&self, message: &str, public: &[&str]) -> String {
        if self.0.is_empty() || public.contains(&self.0.as_str()) {
            return message.to_owned();
        }
        message.replace(&self.0, MASK)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_printed_nor_left_in_messages() {
        let secret = Secret::new("hunter2".into());
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret.scrub("no hunter2, hunter2!", &[]), "no ***, ***!");
    }

    #[test]
    fn a_public_word_is_not_struck_out() {
        assert_eq!(Secret::new("app".into()).scrub("no user app", &["app"]), "no user app");
        assert_eq!(Secret::new(String::new()).scrub("text", &[]), "text");
    }
}
