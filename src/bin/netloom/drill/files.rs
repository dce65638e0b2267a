//! The scripts that are to be run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// How deep folders may lie in one another.
const MAX_DEPTH: usize = 64;

/// Files as they are given, and of folders all that end in `.pkt`, by their names; each once.
pub(super) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut scripts = Vec::new();
    for path in paths {
        let metadata = fs::metadata(path).map_err(|error| {
            let cause = format_args!("{}: {error}", path.display());
            Failure::usage(cause, "give scripts, or folders of them")
        })?;
        if metadata.is_dir() {
            let before = scripts.len();
            walk(path, MAX_DEPTH, &mut scripts)?;
            if scripts.len() == before {
                let cause = format_args!("no file in {} ends in .pkt", path.display());
                return Err(Failure::usage(cause, "give scripts, or folders of them"));
            }
        } else {
            scripts.push(path.clone());
        }
    }
    scripts.sort();
    scripts.dedup();
    Ok(scripts)
}

fn walk(folder: &Path, depth: usize, scripts: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let told = |error| Failure::new(format_args!("{}: {error}", folder.display()));
    for entry in fs::read_dir(folder).map_err(told)? {
        let entry = entry.map_err(told)?;
        let path = entry.path();
        // Of links only those to files are followed: a folder may hold itself.
        if entry.file_type().map_err(told)?.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, scripts)?;
            }
        } else if path.extension().is_some_and(|end| end == "pkt") && path.is_file() {
            scripts.push(path);
        }
    }
    Ok(())
}
