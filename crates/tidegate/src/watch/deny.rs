//! The list of denied addresses: a file that others read, replaced as a whole.

use super::clients::Network;
use crate::cli::ListFormat;
use miette::{IntoDiagnostic, WrapErr};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use tidegate_limiter::Timestamp;

/// The longest timeout that ipset knows, in seconds.
const LONGEST: u64 = 2_147_483;

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

    /// Whoever reads the file finds the old one or the new one, and never half of either.
    fn replace(&self, text: &str) -> io::Result<()> {
        let mut new = self.path.clone().into_os_string();
        new.push(".new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &self.path)
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
