//! The report of a replay: HTML for people, Markdown for tickets, JSON for programs, and what is printed.

mod chart;
mod document;
mod html;
mod markdown;
mod tables;
pub(crate) mod terminal;
mod words;

pub(crate) use document::Document;

use miette::{IntoDiagnostic, WrapErr, miette};
use std::io;
use std::path::{Path, PathBuf};

/// The report as a page.
pub(crate) fn page(document: &Document<'_>) -> String {
    html::page(document)
}

/// What was found, in a sentence or two.
pub(crate) fn sentences(document: &Document<'_>) -> Vec<String> {
    std::iter::once(words::headline(document)).chain(words::unnoticed(document)).collect()
}

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Html,
    Markdown,
    Json,
}

/// A file that a report is written to.
#[derive(Debug)]
pub(crate) struct Target {
    path: PathBuf,
    form: Form,
}

impl Target {
    /// The path's ending says what is written. A folder that is not there is told before anything is read:
    /// a long log should not be decided in vain.
    pub(crate) fn new(path: &Path) -> miette::Result<Self> {
        let ending = path.extension().map(|it| it.to_string_lossy().to_lowercase());
        let form = match ending.as_deref() {
            Some("html" | "htm") => Form::Html,
            Some("md" | "markdown") => Form::Markdown,
            Some("json") => Form::Json,
            _ => {
                return Err(miette!(
                    "cannot tell from `{}` what report to write: end its name with .html, .md or .json",
                    path.display()
                ));
            }
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(miette!(
                "cannot write the report {}: there is no folder {}; make it first",
                path.display(),
                folder.display()
            ));
        }
        Ok(Self { path: path.to_owned(), form })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, document: &Document<'_>) -> miette::Result<()> {
        let text = match self.form {
            Form::Html => html::page(document),
            Form::Markdown => markdown::text(document).into_diagnostic()?,
            Form::Json => serde_json::to_string_pretty(document).into_diagnostic()? + "\n",
        };
        self.replace(&text)
            .into_diagnostic()
            .wrap_err_with(|| format!("cannot write the report {}", self.path.display()))
    }

    /// First beside the file, then in its place: whoever opens it finds a whole report.
    fn replace(&self, text: &str) -> io::Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let done =
            std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &self.path));
        if done.is_err() {
            // What is half written helps nobody; that it can't be removed says nothing new.
            let _ = std::fs::remove_file(&beside);
        }
        done
    }
}

#[cfg(test)]
mod tests;
