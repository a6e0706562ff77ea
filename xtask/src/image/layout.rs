//! An OCI image layout: blobs named by digest, and an index that names the manifest.

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// A file of the image.
pub(super) struct File {
    /// Relative to the root.
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) contents: Vec<u8>,
}

/// What the image says about itself.
pub(super) struct Config<'a> {
    pub(super) architecture: Architecture,
    pub(super) user: u32,
    pub(super) entrypoint: &'a str,
    pub(super) version: &'a str,
}

/// A processor, under OCI's name.
#[derive(Clone, Copy)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

struct Blob {
    media_type: &'static str,
    digest: String,
    contents: Vec<u8>,
}

impl Blob {
    fn new(media_type: &'static str, contents: Vec<u8>) -> Self {
        Self { media_type, digest: sha256(&contents), contents }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.contents.len() })
    }

    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replacen(':', "/", 1))
    }
}

/// Writes the tarball of an image of one layer and returns the digest of its manifest.
pub(super) fn write_layout(to: impl Write, files: &[File], config: &Config<'_>) -> Result<String> {
    let tar = layer(files)?;
    let diff_id = sha256(&tar);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(9));
    gzip.write_all(&tar)?;
    let layer = Blob::new("application/vnd.oci.image.layer.v1.tar+gzip", gzip.finish()?);
    let labels = json!({
        "org.opencontainers.image.title": "soll",
        "org.opencontainers.image.version": config.version,
        "org.opencontainers.image.licenses": "Apache-2.0",
    });
    let config_blob = Blob::json(
        "application/vnd.oci.image.config.v1+json",
        &json!({
            "architecture": config.architecture.name(),
            "os": "linux",
            "config": {
                "User": format!("{0}:{0}", config.user),
                "Entrypoint": [config.entrypoint],
                "Env": ["PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
                "WorkingDir": "/",
                "Labels": labels,
            },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
        }),
    );
    let manifest = Blob::json(
        "application/vnd.oci.image.manifest.v1+json",
        &json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config_blob.descriptor(),
            "layers": [layer.descriptor()],
        }),
    );
    let mut entry = manifest.descriptor();
    entry["platform"] = json!({ "architecture": config.architecture.name(), "os": "linux" });
    entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": config.version,
        "io.containerd.image.name": format!("soll.dev/soll:{}", config.version),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });

    let mut archive = tar::Builder::new(to);
    append(&mut archive, "oci-layout", 0o644, json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
    append(&mut archive, "index.json", 0o644, index.to_string().as_bytes())?;
    for blob in [&manifest, &config_blob, &layer] {
        append(&mut archive, &blob.path(), 0o644, &blob.contents)?;
    }
    archive.into_inner()?.flush()?;
    Ok(manifest.digest)
}

/// The tar of the layer: the files and the folders above them, in order of their paths.
fn layer(files: &[File]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| Path::new(file.path).ancestors().skip(1))
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    for folder in folders {
        let mut header = header(tar::EntryType::Directory, 0o755, 0);
        archive.append_data(&mut header, folder, std::io::empty()).context("a path is too long for a tar")?;
    }
    for file in files {
        append(&mut archive, file.path, file.mode, &file.contents)?;
    }
    Ok(archive.into_inner()?)
}

fn append<W: Write>(archive: &mut tar::Builder<W>, path: &str, mode: u32, contents: &[u8]) -> Result<()> {
    let mut header = header(tar::EntryType::Regular, mode, contents.len() as u64);
    archive.append_data(&mut header, path, contents).with_context(|| format!("cannot pack {path}"))
}

/// A header without anything of this machine.
fn header(entry_type: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::io::Read;

    fn sample() -> Vec<u8> {
        let files = [
            File { path: "etc/passwd", mode: 0o644, contents: b"root".to_vec() },
            File { path: "usr/bin/soll", mode: 0o755, contents: b"binary".to_vec() },
        ];
        let config =
            Config { architecture: Architecture::Amd64, user: 65534, entrypoint: "/usr/bin/soll", version: "1.2.3" };
        let mut tarball = Vec::new();
        write_layout(&mut tarball, &files, &config).expect("an image");
        tarball
    }

    fn unpack(tarball: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(tarball);
        let entries = archive.entries().expect("a tar").map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).expect("contents");
            (entry.path().expect("a path").to_string_lossy().into_owned(), contents)
        });
        entries.collect()
    }

    #[test]
    fn every_reference_leads_to_a_blob_of_that_digest_and_size() {
        let files = unpack(&sample());
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a digest");
            let contents = &files[&format!("blobs/{}", digest.replacen(':', "/", 1))];
            assert_eq!(sha256(contents), digest);
            assert_eq!(contents.len() as u64, descriptor["size"].as_u64().expect("a size"));
            contents.clone()
        };
        let index: Value = serde_json::from_slice(&files["index.json"]).expect("an index");
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).expect("a manifest");
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).expect("a config");
        let layer = blob(&manifest["layers"][0]);

        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(layer.as_slice()).read_to_end(&mut tar).expect("gzip");
        assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&tar));
        assert_eq!(config["config"]["User"], "65534:65534");
        let paths: Vec<_> = unpack(&tar).into_keys().collect();
        assert_eq!(paths, ["etc", "etc/passwd", "usr", "usr/bin", "usr/bin/soll"]);
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        assert_eq!(sample(), sample());
    }
}
