//! `soll template`: `helm template`, with its flags and its bytes.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context as _, bail};
use soll_helm::render::{
    Prepared, PrintedHooks, ReleaseOptions, RenderError, RenderOptions, Rendered, Templates, prepare, render, show_only,
};
use soll_helm::{Capabilities, HookEvent, KubeVersion, SchemaError, is_release_name};
use soll_template::{Rendering, Set};

use super::arguments::Template;
use super::chart::Loaded;
use super::world::World;
use crate::terminal;

/// Prints what a chart renders to. Exit code 1, and the reason in the words of Helm, if it does not render.
pub(crate) fn template(arguments: &Template) -> anyhow::Result<u8> {
    match rendered(arguments) {
        Ok(()) => Ok(0),
        Err(error) => {
            terminal::say(&format!("Error: {error:#}"));
            Ok(1)
        }
    }
}

fn rendered(arguments: &Template) -> anyhow::Result<()> {
    if let Some((flag, reason)) = arguments.refused.first() {
        bail!("{flag}: {reason}");
    }
    let mut capabilities = Capabilities::default();
    if let Some(version) = &arguments.kube_version {
        capabilities.kube_version =
            KubeVersion::parse(version).with_context(|| format!("invalid kube version '{version}'"))?;
    }
    capabilities.api_versions.extend(arguments.api_versions.iter().cloned());
    let (name, path) = name_and_chart(arguments)?;
    let loaded = Loaded::open(&path, &arguments.values, arguments.dependency_update)?;
    let metadata = &loaded.chart.metadata;
    if !["", "application"].contains(&metadata.kind.as_str()) {
        bail!("{} charts are not installable", metadata.kind);
    }
    if metadata.deprecated {
        terminal::say("warning: this chart is deprecated");
    }
    if !is_release_name(&name) {
        bail!(
            "release name check failed: release name {name:?}: invalid release name, must match regex \
             ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53"
        );
    }
    let options =
        RenderOptions { skip_schema_validation: arguments.skip_schema_validation, ..RenderOptions::default() };
    let release =
        ReleaseOptions { name, namespace: arguments.namespace.clone(), revision: 1, is_upgrade: arguments.is_upgrade };
    let prepared = match prepare(loaded.chart.clone(), &loaded.set, &options) {
        Err(RenderError::Schema(error)) => bail!(schema_text(&error, &loaded)),
        prepared => prepared?,
    };
    for warning in &prepared.warnings {
        terminal::say(warning);
    }
    let rendered = match render_once(&prepared, &release, &capabilities, &options) {
        Ok(rendered) => rendered,
        Err(error) if arguments.debug => {
            if let RenderError::Manifest(bad) = &error {
                for (path, text) in bad.files.iter().filter(|(_, text)| !text.trim().is_empty()) {
                    terminal::print(&format!("---\n# Source: {path}\n{text}\n"));
                }
            }
            bail!(error);
        }
        Err(error) => bail!("{error}\n\nUse --debug flag to render out invalid YAML"),
    };
    let hooks = match (arguments.no_hooks, arguments.skip_tests) {
        (true, _) => PrintedHooks::None,
        (false, true) => PrintedHooks::ButTests,
        (false, false) => PrintedHooks::All,
    };
    if let Some(directory) = &arguments.output_dir {
        let directory = if arguments.release_name { directory.join(&release.name) } else { directory.clone() };
        return write(&rendered, &prepared.chart, arguments, &directory, hooks);
    }
    let printed = rendered.printed(arguments.include_crds.then_some(&prepared.chart), hooks);
    if arguments.show_only.is_empty() {
        terminal::print(&printed);
    } else {
        terminal::print(&show_only(&printed, &arguments.show_only)?);
    }
    Ok(())
}

/// What Helm says, and below it the place of each value that does not fit.
fn schema_text(error: &SchemaError, loaded: &Loaded) -> String {
    let mut text = error.to_string();
    for fault in &error.faults {
        if let Some(place) = loaded.place(fault.at) {
            text.push_str(&format!("\n  --> {place}: {}: {}", fault.path, fault.message));
        }
    }
    text
}

fn name_and_chart(arguments: &Template) -> anyhow::Result<(String, String)> {
    if let [name, chart] = &arguments.name_and_chart[..] {
        if arguments.generate_name {
            bail!("cannot set --generate-name and also specify a name");
        }
        if arguments.name_template.is_some() {
            bail!("cannot set --name-template and also specify a name");
        }
        return Ok((name.clone(), chart.clone()));
    }
    let chart = arguments.name_and_chart[0].clone();
    if let Some(template) = &arguments.name_template {
        return Ok((name_from(template)?, chart));
    }
    if arguments.generate_name {
        let base = Path::new(&chart).file_name().and_then(|name| name.to_str()).unwrap_or("chart");
        let base = base.split('.').next().filter(|base| !base.is_empty()).unwrap_or("chart");
        return Ok((format!("{base}-{}", jiff::Timestamp::now().as_second()), chart));
    }
    Ok(("release-name".to_owned(), chart))
}

/// Renders a chart from its templates, which nobody else asks for.
pub(super) fn render_once(
    prepared: &Prepared,
    release: &ReleaseOptions,
    capabilities: &Capabilities,
    options: &RenderOptions,
) -> Result<Rendered, RenderError> {
    let templates = Templates::parse(&prepared.chart)?;
    let rendered = render(prepared, &templates, release, capabilities, options, &World::now(), None);
    // The process ends soon: nobody needs the memory that taking them apart would give back.
    std::mem::forget(templates);
    rendered
}

/// The name that a template of nothing renders to.
pub(super) fn name_from(template: &str) -> anyhow::Result<String> {
    let mut set = Set::new();
    set.parse("name-template", template)?;
    let world = World::now();
    let mut rendering = Rendering::new(&set, &world, soll_template::Options::default());
    Ok(rendering.render("name-template", soll_template::Value::Nil)?)
}

/// One file for each template; what comes first replaces a file of before, the rest is added to it.
fn write(
    rendered: &Rendered,
    chart: &soll_helm::Chart,
    arguments: &Template,
    directory: &Path,
    hooks: PrintedHooks,
) -> anyhow::Result<()> {
    let mut written = HashSet::new();
    let mut write = |directory: &Path, path: &str, text: &str| -> anyhow::Result<()> {
        let file = directory.join(path);
        let parent = file.parent().expect("a file lies in a directory");
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        let text = format!("---\n# Source: {path}\n{text}\n");
        let before = if written.insert(path.to_owned()) { Vec::new() } else { std::fs::read(&file)? };
        std::fs::write(&file, [before.as_slice(), text.as_bytes()].concat())
            .with_context(|| format!("cannot write {}", file.display()))?;
        terminal::print(&format!("wrote {}\n", file.display()));
        Ok(())
    };
    if arguments.include_crds {
        let mut definitions = Vec::new();
        chart.visit_crds(&mut |path, file| definitions.push((format!("{path}/{}", file.name), file.data.clone())));
        let directory = arguments.output_dir.as_deref().unwrap_or(directory);
        for (path, data) in definitions {
            write(directory, &path, &String::from_utf8_lossy(&data))?;
        }
    }
    for manifest in &rendered.manifests {
        write(directory, &manifest.path, &manifest.content)?;
    }
    for hook in &rendered.hooks {
        let is_test = hook.events.contains(&HookEvent::Test);
        if hooks == PrintedHooks::All || (hooks == PrintedHooks::ButTests && !is_test) {
            write(directory, &hook.path, &hook.manifest)?;
        }
    }
    terminal::print("\n");
    Ok(())
}
