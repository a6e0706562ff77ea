//! The container image, made without Docker: an OCI image layout in a tarball.
//!
//! The image holds a static binary, the authorities of the web, and a user that is not root. The same
//! source gives the same bytes: no time, no owner and no order of the machine gets in.

mod layout;

use crate::repository::{Repository, output, run, spoken};
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use layout::{Architecture, Config, File, write_layout};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The user that the process runs as: `nobody` by number, since a pod's `runAsNonRoot` reads numbers only.
const USER: u32 = 65534;

/// What it takes to build for an architecture.
struct Target {
    architecture: Architecture,
    triple: &'static str,
    /// The C compiler that links for it.
    linker: &'static str,
}

const TARGETS: [Target; 2] = [
    Target { architecture: Architecture::Amd64, triple: "x86_64-unknown-linux-gnu", linker: "x86_64-linux-gnu-gcc" },
    Target { architecture: Architecture::Arm64, triple: "aarch64-unknown-linux-gnu", linker: "aarch64-linux-gnu-gcc" },
];

/// Builds a tarball for each architecture whose toolchain is at hand, and says which one is not.
pub(crate) fn build(repository: &Repository, out: &Path, profile: &str) -> Result<()> {
    let out = repository.root().join(out);
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let version = version(repository)?;
    for target in &TARGETS {
        if let Some(missing) = target.missing()? {
            eprintln!("no image for {}: {missing}", target.architecture.name());
            continue;
        }
        let start = Instant::now();
        eprintln!(
            "building soll {version} for {} (profile {profile}; dist takes ten minutes)",
            target.architecture.name()
        );
        let binary = target.build(repository, profile)?;
        let tarball = out.join(format!("soll-{version}-{}.tar", target.architecture.name()));
        let files = [
            File { path: "etc/passwd", mode: 0o644, contents: passwd().into_bytes() },
            File { path: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, contents: authorities().into_bytes() },
            File { path: "usr/bin/soll", mode: 0o755, contents: fs::read(&binary).context("cannot read the binary")? },
        ];
        let config =
            Config { architecture: target.architecture, user: USER, entrypoint: "/usr/bin/soll", version: &version };
        let file = fs::File::create(&tarball).with_context(|| format!("cannot create {}", tarball.display()))?;
        let digest =
            write_layout(file, &files, &config).with_context(|| format!("cannot write {}", tarball.display()))?;
        eprintln!("{} {digest} in {}", tarball.display(), spoken(start.elapsed()));
    }
    Ok(())
}

impl Target {
    /// What this machine lacks to build for the target, and how to get it.
    fn missing(&self) -> Result<Option<String>> {
        if self.triple.starts_with(std::env::consts::ARCH) {
            return Ok(None);
        }
        if Command::new(self.linker).arg("--version").output().is_err() {
            return Ok(Some(format!("{} is not installed", self.linker)));
        }
        let installed = output(Command::new("rustc").args(["--print", "target-libdir", "--target", self.triple]))?;
        if !Path::new(installed.trim()).exists() {
            return Ok(Some(format!("Rust's {} is not installed (rustup target add {})", self.triple, self.triple)));
        }
        Ok(None)
    }

    /// Builds the binary: static, so that the image needs no C library. Naming the target keeps the flag
    /// away from build scripts and macros, which cannot be static.
    fn build(&self, repository: &Repository, profile: &str) -> Result<PathBuf> {
        let mut cargo = repository.cargo();
        cargo.args(["build", "--package", "soll", "--bin", "soll", "--profile", profile, "--target", self.triple]);
        let variable = format!("CARGO_TARGET_{}", self.triple.to_uppercase().replace('-', "_"));
        cargo.env(format!("{variable}_RUSTFLAGS"), "-C target-feature=+crt-static -C symbol-mangling-version=v0");
        // These would take the place of the flags of the target.
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        if !self.triple.starts_with(std::env::consts::ARCH) {
            cargo.env(format!("{variable}_LINKER"), self.linker);
            cargo.env(format!("CC_{}", self.triple.replace('-', "_")), self.linker);
        }
        run(&mut cargo)?;
        let metadata = output(repository.cargo().args(["metadata", "--format-version=1", "--no-deps", "--offline"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata).context("cargo metadata")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(Path::new(target).join(self.triple).join(folder).join("soll"))
    }
}

fn version(repository: &Repository) -> Result<String> {
    let id = output(repository.cargo().args(["pkgid", "--offline", "--package", "soll"]))?;
    let version = id.trim().rsplit(['#', '@']).next().context("a package id ends with its version")?;
    Ok(version.to_owned())
}

fn passwd() -> String {
    format!("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:{USER}:{USER}:nonroot:/:/sbin/nologin\n")
}

/// Mozilla's authorities as PEM, from the same crate on every machine.
fn authorities() -> String {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().fold(String::new(), |mut pem, certificate| {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(64) {
            writeln!(pem, "{}", str::from_utf8(line).expect("base64 is ASCII")).expect("a string can be written");
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorities_are_pem_of_some_hundred_certificates() {
        let pem = authorities();
        let begins = pem.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert_eq!(begins, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(begins > 100, "{begins}");
        assert!(pem.lines().all(|line| line.len() <= 64));
    }
}
