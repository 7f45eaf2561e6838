//! Which model scores, and which are asked in the background.

use super::error::{ConfigError, Source};
use super::raw::{self, At, Raw, Short};
use super::resolve::{Files, place, time};
use super::wire::server;
use super::{Asked, Kserve, Origin, Upstream, Where};
use serde_saphyr::Location;
use std::time::Duration;
use tidegate_models::AnyModel;

/// For how long what a model in the background says of a client holds.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// How long a remote model may take.
const DEADLINE: Duration = Duration::from_millis(100);

/// The models of a configuration.
pub(super) struct Models {
    pub model: Option<AnyModel>,
    pub origin: Option<Origin>,
    pub advisor: Option<(Asked, Duration)>,
    pub challenger: Option<Asked>,
}

pub(super) fn models(
    source: &Source<'_>,
    files: &mut Files,
    raw: &Raw,
) -> Result<Models, ConfigError> {
    if let Some(at) = &raw.onnxruntime {
        tidegate_models::onnx::use_library(&files.path(&at.value)).map_err(|e| {
            source.error(
                at.referenced,
                e.to_string(),
                "name the library or its folder; a change of it needs a restart",
            )
        })?;
    }
    let mut models = Models { model: None, origin: None, advisor: None, challenger: None };
    if let Some(at) = &raw.model {
        let Short(written) = &at.value;
        let asked = asked(source, files, at)?;
        match asked.model {
            Where::File(model) if model.steps() == 1 => {
                if let Some(fresh) = &written.fresh_for {
                    return Err(source.error(
                        fresh.referenced,
                        "this model scores each request in line, so nothing of it stays fresh",
                        "take fresh_for away",
                    ));
                }
                (models.model, models.origin) = (Some(model), Some(asked.origin));
            }
            _ => {
                let fresh_for = time(source, written.fresh_for.as_ref(), FRESH_FOR)?;
                models.advisor = Some((asked, fresh_for));
            }
        }
    }
    if let Some(at) = &raw.challenger {
        if let Some(fresh) = &at.value.0.fresh_for {
            return Err(source.error(
                fresh.referenced,
                "a challenger has no say, so nothing of it stays fresh",
                "take fresh_for away, or name the model under `model`",
            ));
        }
        models.challenger = Some(asked(source, files, at)?);
    }
    Ok(models)
}

fn asked(
    source: &Source<'_>,
    files: &mut Files,
    at: &At<Short<raw::Model>>,
) -> Result<Asked, ConfigError> {
    let Short(written) = &at.value;
    match (&written.file, &written.kserve) {
        (Some(path), None) => file(source, files, path, at.referenced),
        (None, Some(remote)) => kserve(source, remote),
        (Some(_), Some(at)) => Err(source.error(
            at.referenced,
            "a model both from a file and from a server",
            "keep one of file and kserve",
        )),
        (None, None) => Err(source.error(
            at.referenced,
            "neither file nor kserve says which model",
            "write {file: my.model} or {kserve: {url: http://127.0.0.1:8000, model: abuse}}",
        )),
    }
}

fn file(
    source: &Source<'_>,
    files: &mut Files,
    path: &At<String>,
    outer: Location,
) -> Result<Asked, ConfigError> {
    // A short form has no place of its own.
    let path = At::new(path.value.clone(), place(path.referenced, outer), outer);
    let (found, bytes) = files.read_bytes(source, &path)?;
    let model = tidegate_models::file::load(&bytes).map(|(model, _)| model).map_err(|e| {
        source.error(
            path.referenced,
            format!("{}: {e}", found.display()),
            "or leave the key out for the model in the program alone",
        )
    })?;
    let checksum = Some(tidegate_models::file::checksum(&bytes));
    Ok(Asked { origin: Origin { name: path.value, checksum }, model: Where::File(model) })
}

fn kserve(source: &Source<'_>, at: &At<raw::Kserve>) -> Result<Asked, ConfigError> {
    let raw = &at.value;
    let (scheme, authority) = server(source, "server", &raw.url.value, raw.url.referenced)?;
    let name = raw.model.value.trim_matches('/');
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if name.is_empty() || !name.chars().all(sound) {
        return Err(source.error(
            raw.model.referenced,
            format!("`{}` is not the name of a model", raw.model.value),
            "write it as the server knows it, like abuse or abuse/versions/2",
        ));
    }
    let deadline = time(source, raw.deadline.as_ref(), DEADLINE)?;
    let server = Upstream { connect_timeout: deadline, ..Upstream::new(scheme, authority) };
    let name = name.to_owned();
    Ok(Asked {
        origin: Origin { name: format!("{} of {}", name, raw.url.value), checksum: None },
        model: Where::Kserve(Kserve { server, model: name, deadline }),
    })
}

/// The text of a model's entry, to tell when it changes.
pub(super) fn written(at: Option<&At<Short<raw::Model>>>) -> String {
    let Some(at) = at else { return String::new() };
    let Short(raw) = &at.value;
    let text = |at: Option<&At<String>>| at.map_or_else(String::new, |at| at.value.clone());
    let remote = raw.kserve.as_ref().map(|at| {
        let kserve = &at.value;
        format!("{} {} {}", kserve.url.value, kserve.model.value, text(kserve.deadline.as_ref()))
    });
    format!(
        "{} {} {}",
        text(raw.file.as_ref()),
        remote.unwrap_or_default(),
        text(raw.fresh_for.as_ref())
    )
}
