//! The account that runs the server: PostgreSQL refuses to run as root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// The account of the server, if it is not ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    other: Option<Account>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Account {
    user: u32,
    group: u32,
}

impl Owner {
    /// Our account; for root, that of `postgres` or `nobody`, which then owns what root creates in
    /// `folder`.
    pub(super) fn of_files_in(folder: &Path) -> Result<Self> {
        if fs::metadata(folder)?.uid() != 0 {
            return Ok(Self { other: None });
        }
        let accounts = fs::read_to_string("/etc/passwd")?;
        let account = ["postgres", "nobody"].iter().find_map(|name| find(&accounts, name));
        let account =
            account.context("root cannot run PostgreSQL, and there is no user `nobody`")?;
        Ok(Self { other: Some(account) })
    }

    /// A command that runs under the account.
    pub(super) fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some(Account { user, group }) = self.other {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the account the owner of a folder and its contents.
    pub(super) fn take(self, folder: &Path) -> Result<()> {
        let Some(Account { user, group }) = self.other else {
            return Ok(());
        };
        chown(folder, Some(user), Some(group))?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.is_dir() {
                true => self.take(&path)?,
                false => chown(&path, Some(user), Some(group))?,
            }
        }
        Ok(())
    }

    /// Whether the account can access a file: a home folder above it may be private.
    pub(super) fn reaches(self, path: &Path) -> bool {
        let open =
            |path: &Path| fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o001 != 0);
        self.other.is_none() || path.ancestors().filter(|it| it.is_absolute()).all(open)
    }
}

/// Reads a line such as `nobody:x:65534:65534:…`.
fn find(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let mut number = || fields.next()?.parse().ok();
        match found {
            true => {
                let _password: Option<u32> = number();
                Some(Account { user: number()?, group: number()? })
            }
            false => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name() {
        let accounts = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/no\n";
        assert_eq!(find(accounts, "nobody"), Some(Account { user: 65534, group: 65533 }));
        assert_eq!(find(accounts, "postgres"), None);
    }
}
