//! ONNX Runtime: a library that is found and loaded when the first model needs it, and not before.

use super::error::OnnxError;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The environment variables that may name the library, first one first.
const VARIABLES: [&str; 2] = ["TIDEGATE_ONNXRUNTIME", "ORT_DYLIB_PATH"];
/// What the library is called.
const NAME: &str = "libonnxruntime.so";

/// What the operator named; a process has one runtime.
static NAMED: Mutex<Option<PathBuf>> = Mutex::new(None);
static LOADED: OnceLock<PathBuf> = OnceLock::new();
/// Held while the library is loaded, which must happen once.
static LOADING: Mutex<()> = Mutex::new(());

/// Names the library to load, or its folder, before any model needs it.
///
/// # Errors
/// When there is none, or another one is loaded already.
pub fn use_library(path: &Path) -> Result<(), OnnxError> {
    let found = file(path)?;
    match LOADED.get() {
        Some(loaded) if *loaded != found => Err(OnnxError::Loaded { loaded: loaded.clone() }),
        Some(_) => Ok(()),
        None => {
            *NAMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            Ok(())
        }
    }
}

/// Loads the library unless it is loaded; answers which it is.
///
/// # Errors
/// When there is none, or it can't be used. It is looked for anew at the next call.
pub fn start() -> Result<&'static Path, OnnxError> {
    let _once = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let named = NAMED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let path = match named {
        Some(path) => path,
        None => find()?,
    };
    let cannot =
        |e: String| OnnxError::Runtime { found: format!("ONNX Runtime can't be used: {e}") };
    let environment = ort::init_from(&path).map_err(|e| cannot(e.to_string()))?;
    environment.with_name("tidegate").with_telemetry(false).commit();
    Ok(LOADED.get_or_init(|| path))
}

/// Where the environment says the library is, else in the active virtual environment, else where
/// the system's loader looks.
fn find() -> Result<PathBuf, OnnxError> {
    for variable in VARIABLES {
        if let Some(path) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
            return file(Path::new(&path));
        }
    }
    let packages = std::env::var_os("VIRTUAL_ENV").and_then(|root| in_environment(root.as_ref()));
    if let Some(found) = packages {
        return Ok(found);
    }
    for folder in
        ["/usr/lib", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]
    {
        if let Some(found) = in_folder(Path::new(folder)) {
            return Ok(found);
        }
    }
    Err(OnnxError::Runtime {
        found: "an ONNX model needs ONNX Runtime, which was not found".into(),
    })
}

fn file(path: &Path) -> Result<PathBuf, OnnxError> {
    // The folder of the wheel is as good as the file in it.
    let found =
        if path.is_dir() { in_folder(path) } else { path.is_file().then(|| path.to_owned()) };
    found.ok_or_else(|| OnnxError::Runtime {
        found: format!("there is no ONNX Runtime at {}", path.display()),
    })
}

/// The library in a Python environment's packages.
fn in_environment(root: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(root.join("lib")).ok()?;
    let of = |entry: std::fs::DirEntry| entry.path().join("site-packages/onnxruntime/capi");
    versions.flatten().find_map(|entry| in_folder(&of(entry)))
}

/// The library in a folder; of several, the last by name.
fn in_folder(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?;
    let named = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NAME))
    };
    files.flatten().map(|entry| entry.path()).filter(named).max()
}
