//! The list of denied addresses: a file that others read, replaced as a whole.

use super::clients::Network;
use crate::cli::ListFormat;
use miette::{IntoDiagnostic, WrapErr};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use tidegate_limiter::Timestamp;

/// The longest timeout that ipset knows, in seconds.
const LONGEST: u64 = 2_147_483;

/// Who may read a list that nobody has made before.
const MODE: u32 = 0o644;

/// A file of addresses.
pub(super) struct DenyList {
    path: PathBuf,
    format: ListFormat,
    /// Who stands in the file and until when; `None` before it was written.
    written: Option<BTreeMap<Network, Timestamp>>,
    /// Whether the last try to write it failed.
    fails: bool,
}

impl DenyList {
    pub(super) fn new(path: &Path, format: ListFormat) -> Self {
        Self { path: path.to_owned(), format, written: None, fails: false }
    }

    /// How many stand in the file.
    pub(super) fn len(&self) -> usize {
        self.written.as_ref().map_or(0, BTreeMap::len)
    }

    /// Writes the file unless it says the same already; answers whether it did. Once it could be
    /// written, a failure is told and made good by the next call.
    pub(super) fn publish(
        &mut self,
        listed: BTreeMap<Network, Timestamp>,
        now: Timestamp,
    ) -> miette::Result<bool> {
        let same = self.written.as_ref().is_some_and(|written| match self.format {
            // An entry that is to stay has to be told to the system again.
            ListFormat::Ipset => *written == listed,
            ListFormat::Nginx | ListFormat::Plain => written.keys().eq(listed.keys()),
        });
        if same {
            return Ok(false);
        }
        match self.replace(&text(self.format, &listed, now)) {
            Ok(()) => {
                (self.written, self.fails) = (Some(listed), false);
                Ok(true)
            }
            Err(error) if self.written.is_some() => {
                if !self.fails {
                    let path = self.path.display();
                    tracing::warn!(%path, %error, "can't write the deny list; it is tried again");
                }
                self.fails = true;
                Ok(false)
            }
            Err(error) => Err(error)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot write the deny list {}", self.path.display())),
        }
    }

    /// Whoever reads the file finds the old one or the new one, and never half of either. The new one has
    /// the mode of the old, and the owner if that is permitted.
    fn replace(&self, text: &str) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
        // A name that nobody can have put anything under; with another ending than the list's, for there
        // are programs that read every file of a folder.
        let mut new = tempfile::Builder::new()
            .prefix(".tidegate-")
            .suffix(".new")
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        new.write_all(text.as_bytes())?;
        let mode = match std::fs::metadata(&self.path) {
            Ok(old) => {
                give(new.as_file(), old.uid(), old.gid());
                old.mode() & 0o777
            }
            Err(_) => MODE,
        };
        // After the owner, for whom a change of it may take rights away.
        new.as_file().set_permissions(Permissions::from_mode(mode))?;
        new.persist(&self.path)?;
        Ok(())
    }
}

/// Gives a file to the owner and the group of another, or to the group alone, as far as is permitted.
fn give(file: &File, owner: u32, group: u32) {
    if fchown(file, Some(owner), Some(group)).is_err() {
        let _ = fchown(file, None, Some(group));
    }
}

fn text(format: ListFormat, listed: &BTreeMap<Network, Timestamp>, now: Timestamp) -> String {
    let mut text = String::new();
    if format == ListFormat::Ipset {
        for (set, family) in [("tidegate", "inet"), ("tidegate6", "inet6")] {
            // A timeout of zero: entries have timeouts of their own.
            let _ = writeln!(
                text,
                "create {set} hash:net family {family} maxelem 131072 timeout 0 -exist\nflush {set}"
            );
        }
    }
    for (network, until) in listed {
        let _ = match format {
            ListFormat::Nginx => writeln!(text, "{network} 1;"),
            ListFormat::Plain => writeln!(text, "{network}"),
            ListFormat::Ipset => {
                let set = if network.addr.is_ipv4() { "tidegate" } else { "tidegate6" };
                // Zero would be for ever.
                let seconds = until.since(now).as_secs().clamp(1, LONGEST);
                writeln!(text, "add {set} {network} timeout {seconds}")
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(path: &Path) {
        let mut list = DenyList::new(path, ListFormat::Plain);
        assert!(list.publish(BTreeMap::new(), Timestamp::EPOCH).unwrap());
    }

    #[test]
    fn a_list_keeps_the_mode_and_the_owner_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deny.conf");
        write(&path);
        let of_list = || std::fs::metadata(&path).unwrap();
        assert_eq!(of_list().mode() & 0o7777, MODE);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // Whoever runs this may give files away, or not.
        let _ = fchown(File::open(&path).unwrap(), Some(4321), Some(1234));
        let before = of_list();
        write(&path);
        let after = of_list();
        assert_ne!(before.ino(), after.ino());
        assert_eq!((before.mode(), before.uid()), (after.mode(), after.uid()));
        assert_eq!(before.gid(), after.gid());
    }

    #[test]
    fn what_others_put_beside_the_list_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("deny.conf"), folder.path().join("other"));
        std::fs::write(&other, "mine").unwrap();
        symlink(&other, folder.path().join("deny.conf.new")).unwrap();
        write(&path);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "mine");
        assert!(!path.is_symlink());
        // Nothing is left of the way there.
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
