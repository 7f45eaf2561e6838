//! Lists of addresses: written in the file, in a file of networks, or in a MaxMind database.

use super::error::{ConfigError, Source};
use super::raw::{At, ListValue, Networks, Reputation, Short};
use super::resolve::Files;
use serde::Deserialize;
use serde_saphyr::Location;
use std::collections::HashSet;
use tidegate_behavior::address::{AddressMap, parse_network};

/// Puts every network of `entries` into `map` with the same value.
pub(super) fn insert<T: Copy>(
    source: &Source<'_>,
    files: &mut Files,
    entries: &[At<Short<Networks>>],
    value: T,
    map: &mut AddressMap<T>,
) -> Result<(), ConfigError> {
    for entry in entries {
        let Short(networks) = &entry.value;
        if let Some(network) = &networks.network {
            let network = parse_network(network).map_err(|e| {
                source.error(entry.referenced, e.to_string(), "or {file: path} for a list")
            })?;
            map.insert(network, value);
        } else {
            insert_file(source, files, &networks.file, value, map)?;
        }
    }
    Ok(())
}

/// Puts the networks of a file, one a line with `#` before comments, into `map`.
fn insert_file<T: Copy>(
    source: &Source<'_>,
    files: &mut Files,
    file: &At<String>,
    value: T,
    map: &mut AddressMap<T>,
) -> Result<(), ConfigError> {
    let (path, text) = files.read_text(source, file)?;
    for (index, line) in text.lines().enumerate() {
        let network = line.split(['#', ';']).next().unwrap_or("").trim();
        if network.is_empty() {
            continue;
        }
        let network = parse_network(network).map_err(|e| {
            let place = format!("{}:{}", path.display(), index + 1);
            source.error(file.referenced, format!("{place}: {e}"), format!("mend line {place}"))
        })?;
        map.insert(network, value);
    }
    Ok(())
}

/// What lists say of addresses: −1 good, 1 hosting, 2 hostile. Later entries overrule earlier ones,
/// and all overrule `map`, what is known without them.
pub(super) fn reputation(
    source: &Source<'_>,
    files: &mut Files,
    entries: &[At<Reputation>],
    mut map: AddressMap<i8>,
) -> Result<AddressMap<i8>, ConfigError> {
    for entry in entries {
        match (&entry.value.file, entry.value.value, &entry.value.maxmind) {
            (Some(file), Some(value), None) => {
                let value = match value {
                    ListValue::Good => -1,
                    ListValue::Hosting => 1,
                    ListValue::Hostile => 2,
                };
                insert_file(source, files, file, value, &mut map)?;
            }
            (None, None, Some(file)) if !entry.value.hosting_asns.is_empty() => {
                let asns = entry.value.hosting_asns.iter().copied().collect();
                hosting(source, files, file, &asns, &mut map)?;
            }
            _ => {
                return Err(source.error(
                    entry.referenced,
                    "a reputation entry is neither a list nor a database",
                    "write {file: list.txt, value: hostile} (or hosting, good), or {maxmind: \
                     GeoLite2-ASN.mmdb, hosting_asns: [16509]}",
                ));
            }
        }
    }
    Ok(map)
}

#[derive(Deserialize)]
struct AsnRecord {
    autonomous_system_number: Option<u32>,
}

/// Marks every network that the database gives to one of `asns` as hosting.
fn hosting(
    source: &Source<'_>,
    files: &mut Files,
    file: &At<String>,
    asns: &HashSet<u32>,
    map: &mut AddressMap<i8>,
) -> Result<(), ConfigError> {
    let (path, bytes) = files.read_bytes(source, file)?;
    let at: Location = file.referenced;
    let broken = |e: &dyn std::fmt::Display| {
        source.error(
            at,
            format!("{}: not a MaxMind ASN database: {e}", path.display()),
            "name a .mmdb file with autonomous_system_number, such as GeoLite2-ASN.mmdb",
        )
    };
    let reader = maxminddb::Reader::from_source(bytes).map_err(|e| broken(&e))?;
    for item in reader.networks(maxminddb::WithinOptions::default()).map_err(|e| broken(&e))? {
        let item = item.map_err(|e| broken(&e))?;
        let record: Option<AsnRecord> = item.decode().map_err(|e| broken(&e))?;
        let listed =
            record.and_then(|r| r.autonomous_system_number).is_some_and(|n| asns.contains(&n));
        if listed {
            let network = item.network().map_err(|e| broken(&e))?.to_string();
            map.insert(parse_network(&network).map_err(|e| broken(&e))?, 1);
        }
    }
    Ok(())
}
