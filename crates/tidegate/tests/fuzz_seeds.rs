//! The bodies of the fuzz targets, on every seed, on its beginnings, and on it with one byte changed.
#![allow(clippy::unwrap_used)]

// Built here, with the dependencies that everything else has, and not a second time for `fuzz/`.
#[allow(unreachable_pub)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Runs a body on each seed, on its beginnings, and on it with one byte changed.
fn seeds(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let seed = std::fs::read(entry.unwrap().path()).unwrap();
        body(&seed);
        let stride = (seed.len() / 48).max(1);
        for at in (0..seed.len()).step_by(stride) {
            body(&seed[..at]);
            for wrong in [0, b'"', b'%', 0x7f, 0xff] {
                let mut other = seed.clone();
                other[at] = wrong;
                body(&other);
            }
        }
        count += 1;
    }
    assert!(count > 0, "no seeds in {}", folder.display());
}

macro_rules! targets {
    ($($target:ident)*) => {
        $(#[test] fn $target() { seeds(stringify!($target), targets::$target); })*
    };
}

targets! { log_line log_format model_file config labels ticket path address resp report_line }

#[test]
fn the_checksum_is_the_standard_one() {
    assert_eq!(targets::crc32(b"123456789"), 0xcbf4_3926);
}

#[test]
fn seeds_of_models_are_of_this_schema() {
    // Those of another are refused at their header, and nothing behind it would be tried.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/model_file");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let loaded = tidegate_models::file::load(&std::fs::read(&path).unwrap());
        assert!(loaded.is_ok(), "{}: {:?}", path.display(), loaded.err());
    }
}
