//! Finds librsprof.a, which `make` leaves in build/: at RSPROF_LIB_DIR, else in the tree that this crate is in.

use std::env;
use std::path::{Path, PathBuf};

const ARCHIVE: &str = "librsprof.a";

fn folder() -> PathBuf {
    match env::var_os("RSPROF_LIB_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => {
            let here = env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
            Path::new(&here).join("../../../build")
        }
    }
}

fn is_target(name: &str, value: &str) -> bool {
    env::var(name).map(|found| found == value).unwrap_or(false)
}

fn main() {
    println!("cargo:rerun-if-env-changed=RSPROF_LIB_DIR");
    if env::var_os("CARGO_FEATURE_PROFILING").is_none() {
        return;
    }
    let is_known = is_target("CARGO_CFG_TARGET_OS", "linux")
        && is_target("CARGO_CFG_TARGET_ENV", "gnu")
        && is_target("CARGO_CFG_TARGET_ARCH", "x86_64");
    let is_static = env::var("CARGO_CFG_TARGET_FEATURE")
        .map(|features| features.split(',').any(|feature| feature == "crt-static"))
        .unwrap_or(false);
    if !is_known || is_static {
        panic!("rsprof's agent is for x86-64 Linux with a shared glibc; build without the feature \"profiling\"");
    }
    let folder = folder();
    let archive = folder.join(ARCHIVE);
    if !archive.is_file() {
        panic!(
            "{} is not there; run `make build/{}` in rsprof's tree, or set RSPROF_LIB_DIR to its folder",
            archive.display(),
            ARCHIVE
        );
    }
    println!("cargo:rerun-if-changed={}", archive.display());
    println!("cargo:rustc-link-search=native={}", folder.display());
    // Whole, since nothing in the program need refer to the hooks that it has.
    println!("cargo:rustc-link-lib=static:+whole-archive,-bundle=rsprof");
}
