//! Holders, their accounts, and what was moved between these.

use ferro::prelude::*;
use ferro::values::Timestamptz;

/// Who owns accounts.
#[derive(Model, Debug, Clone)]
pub struct Holder {
    /// Counted up.
    #[ferro(key, generated)]
    pub id: i64,
    /// Its name, which no other holder has.
    #[ferro(unique, length = 80)]
    pub name: String,
}

/// An account. No error in a program can overdraw it: the database itself refuses.
#[derive(Model, Debug, Clone)]
#[ferro(check(covered: balance >= 0))]
pub struct Account {
    /// Its number, given by hand.
    #[ferro(key, length = 20)]
    pub number: String,
    /// Whose it is.
    #[ferro(references = Holder, reverse = "accounts", on_delete = restrict)]
    pub holder_id: i64,
    /// In cents.
    pub balance: i64,
}

/// Money that went from one account to another.
#[derive(Model, Debug, Clone)]
#[ferro(check(positive: cents > 0), check(elsewhere: source_number != target_number))]
pub struct Transfer {
    /// Counted up.
    #[ferro(key, generated)]
    pub id: i64,
    /// Where it came from.
    #[ferro(references = Account, relation = "source", reverse = "sent", index)]
    pub source_number: String,
    /// Where it went.
    #[ferro(references = Account, relation = "target", reverse = "received", index)]
    pub target_number: String,
    /// How much.
    pub cents: i64,
    /// What for.
    pub memo: String,
    /// When, by the database's clock.
    #[ferro(default = now)]
    pub made: Timestamptz,
}
