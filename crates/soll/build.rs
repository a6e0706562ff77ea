//! How the binary is linked.

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
    }
}
