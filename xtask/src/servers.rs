//! The real servers and reference tools that the tests compare us with.
//!
//! Most are built from their published Go modules; clients in other languages are installed from their registries. A binary is kept in the cache beside a key, a digest of
//! all that went into it, so that a changed version is built again and an unchanged one costs nothing.

use crate::repository::{Repository, output, run, spoken};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// One binary that the tests need.
struct Server {
    name: &'static str,
    recipe: Recipe,
    /// What a cold build took on two cores, downloads included.
    cold: &'static str,
}

enum Recipe {
    /// A package of the Go module in `tests/servers/<folder>`, which pins everything.
    Module { folder: &'static str, package: &'static str, stamps: &'static [&'static str] },
    /// A program of our own in `tests/oracles/<folder>` around a published module.
    Oracle { folder: &'static str, stamps: &'static [&'static str] },
    /// A package of a published module that can be installed as it is.
    Install { package: &'static str, version: &'static str, stamps: &'static [&'static str] },
    /// A published module that cannot be built, or used here, as its archive has it: files that are missing are put there
    /// first, and words of others are replaced.
    Patched {
        module: &'static str,
        version: &'static str,
        package: &'static str,
        files: &'static [(&'static str, &'static str)],
        edits: &'static [Edit],
        stamps: &'static [&'static str],
    },
    /// A program of our own in `tests/clients/<folder>` around a client library, which its package manager installs at
    /// the versions that the folder pins.
    Client { folder: &'static str, manager: Manager },
}

/// Words of a published file that are replaced, wherever they stand in it.
struct Edit {
    path: &'static str,
    old: &'static str,
    new: &'static str,
}

/// What installs a client library into a folder of the cache.
#[derive(Clone, Copy)]
enum Manager {
    Pip,
    Npm,
}

/// Without these `/version` says nothing, and clients decide by it.
const KUBERNETES_STAMPS: &[&str] = &[
    "k8s.io/component-base/version.gitVersion=v1.35.4",
    "k8s.io/component-base/version.gitMajor=1",
    "k8s.io/component-base/version.gitMinor=35",
    "k8s.io/component-base/version.gitTreeState=clean",
];

const SERVERS: &[Server] = &[
    Server {
        name: "etcd",
        recipe: Recipe::Module { folder: "etcd", package: "go.etcd.io/etcd/server/v3", stamps: &[] },
        cold: "1 min",
    },
    Server {
        name: "kube-apiserver",
        recipe: Recipe::Module {
            folder: "kubernetes",
            package: "k8s.io/kubernetes/cmd/kube-apiserver",
            stamps: KUBERNETES_STAMPS,
        },
        cold: "4 to 5 min",
    },
    Server {
        name: "kubectl",
        recipe: Recipe::Module {
            folder: "kubernetes",
            package: "k8s.io/kubernetes/cmd/kubectl",
            stamps: KUBERNETES_STAMPS,
        },
        cold: "1 min",
    },
    Server {
        name: "kube-controller-manager",
        recipe: Recipe::Module {
            folder: "kubernetes",
            package: "k8s.io/kubernetes/cmd/kube-controller-manager",
            stamps: KUBERNETES_STAMPS,
        },
        cold: "1 to 2 min",
    },
    Server {
        name: "kustomize",
        recipe: Recipe::Install {
            package: "sigs.k8s.io/kustomize/kustomize/v5",
            version: "v5.8.1",
            stamps: &["sigs.k8s.io/kustomize/api/provenance.version=v5.8.1"],
        },
        cold: "30 s",
    },
    Server {
        name: "kustomize-oracle",
        recipe: Recipe::Oracle {
            folder: "kustomize",
            stamps: &["sigs.k8s.io/kustomize/api/provenance.version=v5.8.1"],
        },
        cold: "30 s",
    },
    Server { name: "template-oracle", recipe: Recipe::Oracle { folder: "template", stamps: &[] }, cold: "2 min" },
    Server {
        name: "flux",
        recipe: Recipe::Patched {
            module: "github.com/fluxcd/flux2/v2",
            version: "v2.9.5",
            package: "./cmd/flux",
            // The manifests that `flux install` embeds are made by its release script. No test installs Flux.
            files: &[("cmd/flux/manifests/placeholder.yaml", "{}\n")],
            edits: &[],
            stamps: &["main.VERSION=2.9.5"],
        },
        cold: "2 to 3 min",
    },
    Server {
        name: "kustomize-controller",
        recipe: Recipe::Patched {
            module: "github.com/fluxcd/kustomize-controller",
            version: "v1.9.5",
            package: ".",
            files: &[],
            edits: &[
                // Its API is a module of its own, which the archive does not hold.
                Edit { path: "go.mod", old: "replace github.com/fluxcd/kustomize-controller/api => ./api", new: "" },
                // Outside of a cluster it knows no namespace for its lease.
                Edit {
                    path: "main.go",
                    old: "LeaderElectionID:",
                    new: "LeaderElectionNamespace: os.Getenv(\"RUNTIME_NAMESPACE\"), LeaderElectionID:",
                },
            ],
            stamps: &[],
        },
        cold: "3 to 4 min",
    },
    Server {
        name: "helm",
        recipe: Recipe::Install { package: "helm.sh/helm/v4/cmd/helm", version: "v4.2.4", stamps: &[] },
        cold: "1 min",
    },
    Server {
        name: "helm3",
        recipe: Recipe::Install { package: "helm.sh/helm/v3/cmd/helm", version: "v3.21.4", stamps: &[] },
        cold: "1 min",
    },
    Server { name: "client-python", recipe: Recipe::Client { folder: "python", manager: Manager::Pip }, cold: "10 s" },
    Server { name: "client-node", recipe: Recipe::Client { folder: "node", manager: Manager::Npm }, cold: "10 s" },
];

/// Builds what is missing or out of date, all or only those named.
///
/// Two runs at once take turns: the second finds what the first has built.
pub(crate) fn ensure(repository: &Repository, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| SERVERS.iter().all(|server| server.name != **name)) {
        let known = SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(", ");
        bail!("no server is called `{unknown}`; there are {known}");
    }
    let bin = repository.bin();
    fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    let lock = fs::File::create(bin.join(".lock")).context("cannot create the lock of the cache")?;
    lock.lock().context("cannot lock the cache")?;

    for server in SERVERS.iter().filter(|server| names.is_empty() || names.iter().any(|name| name == server.name)) {
        let key = server.key(repository)?;
        let key_file = bin.join(format!("{}.key", server.name));
        let binary = bin.join(server.name);
        if binary.exists() && fs::read_to_string(&key_file).is_ok_and(|built| built == key) {
            continue;
        }
        eprintln!("building {} from {} (cold, on two cores: {})", server.name, server.recipe.origin(), server.cold);
        let start = Instant::now();
        server.build(repository, &binary).with_context(|| format!("cannot build {}", server.name))?;
        fs::write(&key_file, key).with_context(|| format!("cannot write {}", key_file.display()))?;
        eprintln!("built {} in {}", binary.display(), spoken(start.elapsed()));
    }
    Ok(())
}

impl Server {
    /// A digest of all that decides what the binary is, the machine's own Go aside.
    fn key(&self, repository: &Repository) -> Result<String> {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        };
        match &self.recipe {
            Recipe::Module { folder, package, stamps } => {
                add(package.as_bytes());
                stamps.iter().for_each(|stamp| add(stamp.as_bytes()));
                for file in ["go.mod", "go.sum"] {
                    let path = module_folder(repository, folder).join(file);
                    add(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
                }
            }
            Recipe::Oracle { folder, stamps } => {
                stamps.iter().for_each(|stamp| add(stamp.as_bytes()));
                for path in files_of(&oracle_folder(repository, folder))? {
                    add(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
                }
            }
            Recipe::Client { folder, .. } => {
                for path in files_of(&client_folder(repository, folder))? {
                    add(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
                }
            }
            Recipe::Install { package, version, stamps } => {
                add(package.as_bytes());
                add(version.as_bytes());
                stamps.iter().for_each(|stamp| add(stamp.as_bytes()));
            }
            Recipe::Patched { module, version, package, files, edits, stamps } => {
                [module, version, package].iter().for_each(|part| add(part.as_bytes()));
                stamps.iter().for_each(|stamp| add(stamp.as_bytes()));
                files.iter().flat_map(|(path, text)| [path, text]).for_each(|part| add(part.as_bytes()));
                edits.iter().flat_map(|edit| [edit.path, edit.old, edit.new]).for_each(|part| add(part.as_bytes()));
            }
        }
        Ok(hex::encode(digest.finalize()))
    }

    /// Builds into a file beside `binary` and renames it: a running server keeps its file, and an
    /// interrupted build leaves none.
    fn build(&self, repository: &Repository, binary: &Path) -> Result<()> {
        let fresh = binary.with_extension("new");
        match &self.recipe {
            Recipe::Module { folder, package, stamps } => {
                run(go_build(stamps, &fresh).arg(package).current_dir(module_folder(repository, folder)))?;
            }
            Recipe::Oracle { folder, stamps } => {
                run(go_build(stamps, &fresh).arg(".").current_dir(oracle_folder(repository, folder)))?;
            }
            Recipe::Install { package, version, stamps } => {
                // `go install` names the file itself.
                let folder = repository.cache().join("install").join(self.name);
                fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
                let mut install = Command::new("go");
                install.args(["install", "-trimpath", "-ldflags", &linker_flags(stamps)]);
                run(install.arg(format!("{package}@{version}")).env("GOBIN", &folder).current_dir(&folder))?;
                let name = package.rsplit('/').next().filter(|last| !is_major(last)).unwrap_or(self.name);
                fs::rename(folder.join(name), &fresh).context("go install made another file than expected")?;
            }
            Recipe::Patched { module, version, package, files, edits, stamps } => {
                let source = repository.cache().join("source").join(format!("{}-{version}", self.name));
                copy_module(module, version, &source)?;
                for (path, text) in *files {
                    let path = source.join(path);
                    let folder = path.parent().context("a file lies in a folder")?;
                    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
                }
                for edit in *edits {
                    edit.make(&source)?;
                }
                // What its own archive lacks has no checksum in it: Go asks the public database.
                run(go_build(stamps, &fresh).args(["-mod=mod", package]).current_dir(&source))?;
            }
            Recipe::Client { folder, manager } => {
                let installed = repository.cache().join("install").join(self.name);
                if installed.exists() {
                    fs::remove_dir_all(&installed).with_context(|| format!("cannot remove {}", installed.display()))?;
                }
                copy_folder(&client_folder(repository, folder), &installed)?;
                manager.install(&installed)?;
                write_program(&fresh, &manager.script(self.name))?;
            }
        }
        fs::rename(&fresh, binary).with_context(|| format!("cannot write {}", binary.display()))
    }
}

impl Recipe {
    /// Where it comes from, for people.
    fn origin(&self) -> &'static str {
        match self {
            Self::Module { .. } | Self::Oracle { .. } | Self::Install { .. } | Self::Patched { .. } => "its Go module",
            Self::Client { manager: Manager::Pip, .. } => "its packages on PyPI",
            Self::Client { manager: Manager::Npm, .. } => "its packages on npm",
        }
    }
}

impl Edit {
    /// Replaces the words in a copy of the module, which must have them.
    fn make(&self, module: &Path) -> Result<()> {
        let path = module.join(self.path);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        if !text.contains(self.old) {
            bail!("{} does not say `{}` any more", path.display(), self.old);
        }
        fs::write(&path, text.replace(self.old, self.new)).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Manager {
    /// Installs what the folder pins, beside the program that uses it.
    fn install(self, folder: &Path) -> Result<()> {
        match self {
            Self::Pip => {
                // Without this module, which Debian has in a package of its own, an environment has no pip.
                present("python3", &["-c", "import ensurepip"], "python3-venv")?;
                run(Command::new("python3").args(["-m", "venv", "venv"]).current_dir(folder))?;
                let mut pip = Command::new(folder.join("venv/bin/pip"));
                pip.args(["install", "--quiet", "--no-deps", "--disable-pip-version-check"]);
                run(pip.args(["--requirement", "requirements.txt"]).current_dir(folder))
            }
            Self::Npm => {
                present("node", &["--version"], "nodejs")?;
                present("npm", &["--version"], "npm")?;
                let mut npm = Command::new("npm");
                run(npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(folder))
            }
        }
    }

    /// The program that stands among the binaries: it starts the client from where it was installed.
    fn script(self, name: &str) -> String {
        let folder = format!("$(dirname \"$0\")/../install/{name}");
        match self {
            Self::Pip => format!("#!/bin/sh\nexec \"{folder}/venv/bin/python\" \"{folder}/client.py\" \"$@\"\n"),
            Self::Npm => format!("#!/bin/sh\nexec node \"{folder}/client.mjs\" \"$@\"\n"),
        }
    }
}

/// Says which package to install if a program is not there, or not as it is needed.
fn present(program: &str, arguments: &[&str], package: &str) -> Result<()> {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => bail!(
            "`{program} {}` does not work: please install {package} (Debian's name), as ./x test does",
            arguments.join(" ")
        ),
    }
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    let all_may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(path, all_may_run).with_context(|| format!("cannot make {} a program", path.display()))
}

/// Whether a part of a package's path is a major version, after which Go names no binary.
fn is_major(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn module_folder(repository: &Repository, folder: &str) -> PathBuf {
    repository.root().join("tests/servers").join(folder)
}

fn oracle_folder(repository: &Repository, folder: &str) -> PathBuf {
    repository.root().join("tests/oracles").join(folder)
}

fn client_folder(repository: &Repository, folder: &str) -> PathBuf {
    repository.root().join("tests/clients").join(folder)
}

/// The files of a folder, in order.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn go_build(stamps: &[&str], binary: &Path) -> Command {
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-ldflags", &linker_flags(stamps), "-o"]).arg(binary);
    command
}

fn linker_flags(stamps: &[&str]) -> String {
    stamps.iter().fold("-s -w".to_owned(), |flags, stamp| format!("{flags} -X {stamp}"))
}

/// Unpacks a published module into a folder of our own, writable, unlike Go's cache.
fn copy_module(module: &str, version: &str, to: &Path) -> Result<()> {
    let mut download = Command::new("go");
    download.args(["mod", "download", "-json", &format!("{module}@{version}")]).env("GOFLAGS", "-mod=mod");
    let facts: serde_json::Value = serde_json::from_str(&output(&mut download)?).context("go mod download")?;
    let from = facts["Dir"].as_str().context("go mod download names no folder")?;
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    copy_folder(Path::new(from), to)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            // The contents only: the copy shall not inherit that it is read-only.
            fs::write(&target, fs::read(entry.path())?)
                .with_context(|| format!("cannot write {}", target.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binary_has_a_key_of_its_own() {
        let repository = Repository::here().expect("the tests run in the repository");
        let mut keys: Vec<_> =
            SERVERS.iter().map(|server| server.key(&repository).expect("all inputs are there")).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), SERVERS.len());
    }

    #[test]
    fn the_stamps_of_kubernetes_name_the_version_of_its_module() {
        let repository = Repository::here().expect("the tests run in the repository");
        let module =
            fs::read_to_string(module_folder(&repository, "kubernetes").join("go.mod")).expect("go.mod is there");
        let version = KUBERNETES_STAMPS[0].split('=').nth(1).expect("a stamp is name=value");
        assert!(module.contains(&format!("k8s.io/kubernetes {version}")), "{version}");
    }
}
