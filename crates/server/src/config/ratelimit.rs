//! Configuration files of envoyproxy/ratelimit, accepted as they are: domains and their descriptors.
//!
//! The form is that of its README; on top of it a descriptor with a `rate_limit` may have `adaptive`,
//! which lets models move the limit between a floor and a ceiling.

use super::error::{ConfigError, Source};
use super::raw::At;
use super::resolve::Files;
use super::values::show;
use prost::Message;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_saphyr::Location;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_engine::domains::{DescriptorLimit, Domains, Level, Node, Rails, Rate, Unit};

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    domain: At<String>,
    #[serde(default)]
    descriptors: Vec<At<Descriptor>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    key: At<String>,
    #[serde(default)]
    value: Option<At<String>>,
    #[serde(default)]
    rate_limit: Option<At<RateLimit>>,
    #[serde(default)]
    adaptive: Option<At<Adaptive>>,
    #[serde(default)]
    descriptors: Option<Vec<At<Descriptor>>>,
    #[serde(default)]
    shadow_mode: bool,
    #[serde(default)]
    quota_mode: bool,
    #[serde(default)]
    detailed_metric: bool,
    #[serde(default)]
    value_to_metric: bool,
    #[serde(default)]
    share_threshold: Option<At<bool>>,
    #[serde(default)]
    metadata: Option<Json>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimit {
    #[serde(default)]
    unit: Option<At<String>>,
    #[serde(default)]
    unit_multiplier: Option<At<u64>>,
    #[serde(default)]
    requests_per_unit: Option<At<u64>>,
    #[serde(default)]
    unlimited: bool,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    replaces: Vec<At<Replaces>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replaces {
    name: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adaptive {
    #[serde(default)]
    floor: Option<At<u64>>,
    #[serde(default)]
    ceiling: Option<At<u64>>,
}

/// The domains of all files, and in plain words what each line of them does.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub domains: Domains,
    pub lines: Vec<String>,
}

impl Imported {
    /// Takes in one file.
    fn add(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let source = Source { path, text };
        let file: File = source.parse(
            "see the README of envoyproxy/ratelimit for its keys; `adaptive` is the one beside them",
        )?;
        Reader { source: &source, lines: &mut self.lines }.file(&file, &mut self.domains)
    }
}

/// What each line of such a file does; `None` for a text that is none.
pub(super) fn explain(path: &Path, text: &str) -> Option<Result<Vec<String>, ConfigError>> {
    text.lines().find(|line| line.starts_with("domain:"))?;
    let mut imported = Imported::default();
    Some(imported.add(path, text).map(|()| imported.lines))
}

/// Reads what `gateway.ratelimit` names: files, or folders of which every `*.yaml` and `*.yml` is read.
pub(super) fn import(
    source: &Source<'_>,
    files: &mut Files,
    names: &[At<String>],
) -> Result<Imported, ConfigError> {
    let mut imported = Imported::default();
    for name in names {
        let path = files.path(&name.value);
        let found = if path.is_dir() {
            files.watch(path.clone());
            let found = listing(&path).map_err(|e| {
                let message = format!("the folder {} can't be read: {e}", path.display());
                source.error(name.referenced, message, "name a folder that can be read, or files")
            })?;
            if found.is_empty() {
                return Err(source.error(
                    name.referenced,
                    format!("the folder {} holds no *.yaml and no *.yml", path.display()),
                    "put the files of envoyproxy/ratelimit there, or name them one by one",
                ));
            }
            found
        } else {
            vec![path]
        };
        for path in found {
            let named = At::new(path.display().to_string(), name.referenced, name.defined);
            let (path, text) = files.read_text(source, &named)?;
            imported.add(&path, &text)?;
        }
    }
    Ok(imported)
}

fn listing(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml");
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if yaml && !hidden && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

struct Reader<'a> {
    source: &'a Source<'a>,
    lines: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn file(&mut self, file: &File, domains: &mut Domains) -> Result<(), ConfigError> {
        let domain = file.domain.value.as_str();
        if domain.is_empty() {
            return Err(self.source.error(
                file.domain.referenced,
                "the domain is empty",
                "write the name that Envoy's rate limit filter sends as `domain`",
            ));
        }
        if file.descriptors.is_empty() {
            self.tell(file.domain.referenced, &format!("domain {domain} limits nothing"));
        }
        let level = domains.domain(domain);
        for descriptor in &file.descriptors {
            self.descriptor(descriptor, domain, level)?;
        }
        Ok(())
    }

    fn descriptor(
        &mut self,
        at: &At<Descriptor>,
        parent: &str,
        level: &mut Level,
    ) -> Result<(), ConfigError> {
        let raw = &at.value;
        let key = raw.key.value.as_str();
        if key.is_empty() {
            return Err(self.source.error(
                raw.key.referenced,
                "a descriptor without a key",
                "write the key that Envoy sends, like key: remote_address",
            ));
        }
        let value = raw.value.as_ref().map_or("", |value| &value.value);
        let mut path = format!("{parent}.{key}");
        if !value.is_empty() {
            let _ = write!(path, "_{value}");
        }
        let shared = raw.share_threshold.as_ref().filter(|at| at.value);
        if let Some(shared) = shared.filter(|_| !value.contains('*')) {
            return Err(self.source.error(
                shared.referenced,
                format!("share_threshold on `{path}`, which is no pattern"),
                "give the descriptor a value with `*`, or take share_threshold away",
            ));
        }
        let limit =
            raw.rate_limit.as_ref().map(|limit| self.limit(raw, limit, &path)).transpose()?;
        if let Some(adaptive) = raw.adaptive.as_ref().filter(|_| raw.rate_limit.is_none()) {
            return Err(self.source.error(
                adaptive.referenced,
                "`adaptive` without a rate_limit to move",
                "add rate_limit beside it, with the limit of a client that nothing is known of",
            ));
        }
        if let (Some(adaptive), Some(_)) = (&raw.adaptive, shared) {
            return Err(self.source.error(
                adaptive.referenced,
                "`adaptive` on a limit whose values share one count",
                "take one of adaptive and share_threshold away: one client would move the limit of all",
            ));
        }
        self.tell(at.referenced, &words(raw, &path, limit.as_ref()));
        let mut node = Node {
            limit: limit.map(Arc::new),
            shared: shared.is_some(),
            value_to_metric: raw.value_to_metric,
            next: Level::default(),
        };
        for inner in raw.descriptors.iter().flatten() {
            self.descriptor(inner, &path, &mut node.next)?;
        }
        level.add(key, value, node).ok_or_else(|| {
            self.source.error(
                raw.key.referenced,
                format!("the descriptor `{path}` is there already"),
                "keep one of the two, or tell them apart by a value",
            )
        })
    }

    fn limit(
        &self,
        raw: &Descriptor,
        at: &At<RateLimit>,
        path: &str,
    ) -> Result<DescriptorLimit, ConfigError> {
        let limit = &at.value;
        let name = limit.name.clone().unwrap_or_default();
        let mut replaces = Vec::new();
        for other in &limit.replaces {
            let replaced = &other.value.name;
            if replaced.value.is_empty() || replaced.value == name {
                return Err(self.source.error(
                    replaced.referenced,
                    format!("`{path}` replaces itself, or nothing"),
                    "write the name of another rate_limit",
                ));
            }
            replaces.push(replaced.value.clone());
        }
        let rate = self.rate(limit, at.referenced)?;
        let rails = match (&raw.adaptive, rate) {
            (None, _) => None,
            (Some(adaptive), Some(rate)) => Some(self.rails(adaptive, rate)?),
            (Some(adaptive), None) => {
                return Err(self.source.error(
                    adaptive.referenced,
                    "`adaptive` on a limit that is unlimited",
                    "give the rate_limit a unit and requests_per_unit, or take adaptive away",
                ));
            }
        };
        Ok(DescriptorLimit {
            name,
            replaces,
            shadow: raw.shadow_mode,
            quota_mode: raw.quota_mode,
            detailed: raw.detailed_metric,
            rails,
            attached: raw.metadata.as_ref().map(|json| wire(json).into()).unwrap_or_default(),
            ..DescriptorLimit::new(path.to_owned(), rate)
        })
    }

    fn rate(&self, limit: &RateLimit, at: Location) -> Result<Option<Rate>, ConfigError> {
        if limit.unlimited {
            let unit = limit.unit.as_ref();
            return match unit.filter(|unit| Unit::parse(&unit.value).is_some()) {
                None => Ok(None),
                Some(unit) => Err(self.source.error(
                    unit.referenced,
                    "a unit on a limit that is unlimited",
                    "keep one of unlimited and unit",
                )),
            };
        }
        let names = Unit::ALL.map(Unit::name).join(", ");
        let unit = match &limit.unit {
            Some(at) => Unit::parse(&at.value).ok_or_else(|| {
                let message = format!("`{}` is not a unit of a rate limit", at.value);
                self.source.error(at.referenced, message, format!("write one of {names}"))
            })?,
            None => {
                return Err(self.source.error(
                    at,
                    "a rate_limit without a unit",
                    format!("add unit: one of {names}, or unlimited: true"),
                ));
            }
        };
        let number = |at: Option<&At<u64>>, default: u32, least: u32, what: &str| {
            let Some(at) = at else { return Ok(default) };
            u32::try_from(at.value).ok().filter(|n| *n >= least).ok_or_else(|| {
                let message = format!("{what} of {} is out of range", at.value);
                let help = format!("write a whole number from {least} to {}", u32::MAX);
                self.source.error(at.referenced, message, help)
            })
        };
        // Left out it is 0 there, too: such a limit denies everything.
        let cells = number(limit.requests_per_unit.as_ref(), 0, 0, "requests_per_unit")?;
        let multiplier = number(limit.unit_multiplier.as_ref(), 1, 1, "unit_multiplier")?;
        let rate = Rate { cells, unit, multiplier };
        if cells > 0 && rate.quota(cells).is_none() {
            return Err(self.source.error(
                at,
                format!("a period of {multiplier} {}s is out of range", unit.name()),
                "write a smaller unit_multiplier: a period has to be shorter than 584 years",
            ));
        }
        Ok(Some(rate))
    }

    fn rails(&self, at: &At<Adaptive>, rate: Rate) -> Result<Rails, ConfigError> {
        let read = |at: &Option<At<u64>>, default: u32| {
            at.as_ref().map_or(default, |at| u32::try_from(at.value).unwrap_or(u32::MAX))
        };
        let floor = read(&at.value.floor, 1.min(rate.cells));
        let ceiling = read(&at.value.ceiling, rate.cells);
        Rails::new(rate, floor, ceiling).ok_or_else(|| {
            let cells = rate.cells;
            let written = at.value.floor.as_ref().filter(|at| at.value > cells.into());
            let written = written.or(at.value.ceiling.as_ref());
            self.source.error(
                written.map_or(at.referenced, |at| at.referenced),
                format!("rails from {floor} to {ceiling} do not hold the limit of {cells} between them"),
                "write a floor that is at most requests_per_unit, and a ceiling that is at least that",
            )
        })
    }

    fn tell(&mut self, at: Location, words: &str) {
        let path = self.source.path.display();
        self.lines.push(format!("{path}:{}: {words}.", at.line()));
    }
}

/// What one descriptor does, in plain words.
fn words(raw: &Descriptor, path: &str, limit: Option<&DescriptorLimit>) -> String {
    let inner = raw.descriptors.iter().flatten().next().is_some();
    let Some(limit) = limit else {
        return if inner {
            format!("{path} limits nothing itself; what is below it does")
        } else {
            format!("{path} is never limited")
        };
    };
    let Some(rate) = limit.rate else { return format!("{path} is unlimited, and counted") };
    let period = match rate.multiplier {
        1 => rate.unit.name().to_owned(),
        _ => show(rate.period()),
    };
    let value = raw.value.as_ref().map_or("", |value| value.value.as_str());
    let whose = match (value, raw.share_threshold.as_ref().is_some_and(|at| at.value)) {
        ("", _) => format!(" for each value of {}", raw.key.value),
        (value, false) if value.contains('*') => " for each value that matches".into(),
        (_, true) => " for all values that match together".into(),
        _ => String::new(),
    };
    let mut words = match rate.cells {
        0 => format!("{path} is always denied{whose}"),
        cells => format!("{path} has {cells} a {period}{whose}"),
    };
    if let Some(rails) = &limit.rails {
        let floor = match rails.floor {
            0 => "nothing at all".to_owned(),
            floor => format!("{floor} a {period}"),
        };
        let _ = write!(
            words,
            "; models move it from {floor}, for a client at high risk, to {} for one with a good record",
            rails.ceiling
        );
    }
    if limit.shadow {
        words.push_str(" (shadow: only counted)");
    }
    if limit.quota_mode {
        words.push_str("; a request is denied only when every limit in quota mode is used up");
    }
    if !limit.replaces.is_empty() {
        let _ = write!(words, "; where it applies, {} does not", limit.replaces.join(", "));
    }
    words
}

/// Metadata as the wire has it.
fn wire(json: &Json) -> Vec<u8> {
    match json {
        Json::Object(fields) => crate::ratelimit::structure(fields.clone()).encode_to_vec(),
        other => {
            let mut fields = serde_json::Map::new();
            fields.insert("value".into(), other.clone());
            crate::ratelimit::structure(fields).encode_to_vec()
        }
    }
}
