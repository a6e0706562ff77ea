//! How the binary is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| std::env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let static_libraries = target("FEATURE").split(',').any(|feature| feature == "crt-static");
    if target("OS") == "linux" && target("ENV") == "gnu" && !static_libraries {
        // At a fixed address, as Go links its programs: a position-independent binary of this size has 83,000 pointers to
        // mend at each start, which costs a short command like `soll kustomize` a third of its time, and 4 MiB. The image
        // is linked with static libraries; its processes live long, and keep their random addresses.
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
