//! How the binary is linked.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let target = |key: &str| variable(&format!("CARGO_CFG_TARGET_{key}"));
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    let static_libraries = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    if !static_libraries {
        // At a fixed address, as Go links its programs: a position-independent binary of this size has 83,000 pointers to
        // mend at each start, which costs a short command like `soll kustomize` a third of its time, and 4 MiB. The image
        // is linked with static libraries; its processes live long, and keep their random addresses.
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    if variable("PROFILE") == "release" {
        // What short commands run stands together, so that the kernel maps 4 MiB of the program and not 7. The file is
        // written by `cargo xtask layout`.
        println!("cargo::rustc-link-arg-bins=-T{}/layout.ld", variable("CARGO_MANIFEST_DIR"));
        if !static_libraries && variable("HOST") == variable("TARGET") {
            link_unwinder(Path::new(&variable("OUT_DIR")));
        }
    }
}

/// Links the static library for the unwinding of panics where the linker is asked for the shared one: to load that costs a
/// short command a twentieth of its time. Without a static one all stays as it is.
fn link_unwinder(folder: &Path) {
    let archive = |name: &str| {
        let asked = Command::new("cc").arg(format!("-print-file-name={name}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim());
        // The compiler repeats the name of what it does not have.
        path.is_absolute().then_some(path)
    };
    let (Some(unwinder), Some(builtins)) = (archive("libgcc_eh.a"), archive("libgcc.a")) else { return };
    let script = format!("GROUP ( \"{}\" \"{}\" )\n", unwinder.display(), builtins.display());
    std::fs::write(folder.join("libgcc_s.so"), script).expect("Cargo made the folder");
    println!("cargo::rustc-link-search=native={}", folder.display());
}
