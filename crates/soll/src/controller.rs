//! `soll controller`: the engine as a process in a cluster.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, bail};
use soll_cluster::{Cluster, ConnectOptions, Credentials};
use soll_controllers::behaviours::Behaviours;
use soll_controllers::{Engine, EngineConfig, Kind, LeaderElection};
use tokio_util::sync::CancellationToken;

use crate::arguments::{Compat, Controller, Role};
use crate::{logging, signals};

/// Runs the engine until it is told to end.
pub(crate) async fn controller(arguments: &Controller) -> anyhow::Result<u8> {
    logging::start(&arguments.log_level, arguments.log_encoding == "json")?;
    let config = config(arguments)?;
    let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let credentials = match &arguments.cluster.kubeconfig {
        Some(path) => Credentials::Kubeconfig(path.clone()),
        None if inside && arguments.cluster.context.is_none() => Credentials::InCluster,
        None => Credentials::Infer,
    };
    let options = ConnectOptions {
        credentials,
        context: arguments.cluster.context.clone(),
        qps: arguments.kube_api_qps,
        burst: arguments.kube_api_burst,
        max_watches: arguments.max_watches.into(),
        ..ConnectOptions::default()
    };
    let cluster = Cluster::connect(&options).await?;
    let shutdown = CancellationToken::new();
    let signals = tokio::spawn(signals::cancel(shutdown.clone()));
    let outcome = Engine::new(config, cluster).run(shutdown).await;
    signals.abort();
    outcome?;
    Ok(0)
}

/// What was typed, turned into what it means.
fn config(arguments: &Controller) -> anyhow::Result<EngineConfig> {
    let mut config = EngineConfig::new(arguments.storage_path.clone());
    config.controllers = arguments.controllers.iter().map(|role| kind(*role)).collect();
    config.artifact_listen = address("--storage-addr", &arguments.storage_addr)?;
    config.artifact_advertise = Some(arguments.storage_adv_addr.clone()).filter(|address| !address.is_empty());
    config.health_listen = address("--health-addr", &arguments.health_addr)?;
    config.metrics_listen = address("--metrics-addr", &arguments.metrics_addr)?;
    config.concurrent = arguments.concurrent;
    config.concurrent_ssa = arguments.concurrent_ssa;
    config.requeue_dependency = arguments.requeue_dependency;
    config.interval_jitter_percentage = arguments.interval_jitter_percentage;
    config.no_cross_namespace_refs = arguments.no_cross_namespace_refs;
    config.default_service_account =
        Some(arguments.default_service_account.clone()).filter(|account| !account.is_empty());
    config.override_managers.clone_from(&arguments.override_manager);
    config.custom_apply_stage_kinds.clone_from(&arguments.custom_apply_stage_kinds);
    config.watch_namespace = (!arguments.watch_all_namespaces).then(|| arguments.runtime_namespace.clone());
    if arguments.enable_leader_election {
        config.leader_election = Some(LeaderElection {
            lease_duration: arguments.leader_election_lease_duration,
            renew_deadline: arguments.leader_election_renew_deadline,
            retry_period: arguments.leader_election_retry_period,
            ..LeaderElection::new(&arguments.runtime_namespace, &identity())
        });
    }
    config.shards = arguments.shards.into();
    check_shards(&config)?;
    if arguments.compat == Some(Compat::Flux) {
        config.behaviours = Behaviours::flux();
    }
    for (name, on) in &arguments.behaviour {
        config.behaviours.set(name, *on)?;
    }
    Ok(config)
}

/// Shards need leases to be divided by, and artifacts of several processes an address for each.
fn check_shards(config: &EngineConfig) -> anyhow::Result<()> {
    if config.shards == 1 {
        return Ok(());
    }
    if config.leader_election.is_none() {
        bail!("--shards={}: processes divide the objects by leases; add --enable-leader-election", config.shards);
    }
    let nowhere = config.artifact_listen.is_none_or(|address| address.ip().is_unspecified());
    if config.controllers.contains(&Kind::GitRepository) && config.artifact_advertise.is_none() && nowhere {
        bail!(
            "--shards={}: each process serves the artifacts of its own sources; give each an address of its own, as \
             --storage-adv-addr=$(POD_IP):9090",
            config.shards
        );
    }
    Ok(())
}

/// What one of Flux's controllers reconciles.
fn kind(role: Role) -> Kind {
    match role {
        Role::Source => Kind::GitRepository,
        Role::Kustomize => Kind::Kustomization,
    }
}

/// Who we are in leases: this host, and no other process on it.
pub(crate) fn identity() -> String {
    let host = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let host = host.map(|host| host.trim().to_owned()).unwrap_or_else(|_| "soll".to_owned());
    format!("{host}_{:08x}", rand::random::<u32>())
}

/// Reads an address as Go's programs write it: `:8080` is every address of the host, `0` or nothing is none.
fn address(flag: &str, text: &str) -> anyhow::Result<Option<SocketAddr>> {
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        bail!("{flag}: `{text}` has no port: write host:port or :port")
    };
    let port: u16 = port.parse().with_context(|| format!("{flag}: `{port}` is no port"))?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "" => any_address(),
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        host => host.parse().with_context(|| format!("{flag}: `{host}` is no IP address"))?,
    };
    Ok(Some(SocketAddr::new(host, port)))
}

/// IPv6 takes IPv4 along where the host has it.
fn any_address() -> IpAddr {
    match std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => Ipv6Addr::UNSPECIFIED.into(),
        Err(_) => [0, 0, 0, 0].into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Deferred;
    use clap::Parser as _;

    fn parse(arguments: &[&str]) -> Deferred<Controller> {
        let all = ["soll", "controller"].into_iter().chain(arguments.iter().copied());
        match crate::arguments::Arguments::try_parse_from(all).expect("valid arguments").command {
            crate::arguments::Command::Controller(controller) => controller,
            _ => unreachable!("the command was named"),
        }
    }

    #[test]
    fn addresses_read_as_go_writes_them() {
        let port = |text| address("--x", text).expect("valid").map(|address| address.port());
        assert_eq!(port(":8080"), Some(8080));
        assert_eq!(port("127.0.0.1:1"), Some(1));
        assert_eq!(port("[::1]:2"), Some(2));
        assert_eq!(port("0"), None);
        assert!(address("--x", "8080").expect_err("no port").to_string().contains("write host:port or :port"));
    }

    #[test]
    fn flux_compatibility_comes_before_single_behaviours() {
        let flux = config(&parse(&["--compat=flux"])).expect("valid").behaviours;
        assert_eq!(flux.get("drift-by-events"), Some(false));
        let mixed = config(&parse(&["--compat=flux", "--behaviour", "drift-by-events=on"])).expect("valid").behaviours;
        assert_eq!(mixed.get("drift-by-events"), Some(true));
        assert_eq!(mixed.get("steady-ready"), Some(false));
        assert!(config(&parse(&["--behaviour", "nonsense=on"])).is_err());
    }

    #[test]
    fn shards_need_leases_and_addresses() {
        let refused = |arguments: &[&str]| config(&parse(arguments)).map(|_| ()).map_err(|error| error.to_string());
        let leases = "--enable-leader-election";
        assert!(refused(&["--shards=8"]).expect_err("no leases").contains("add --enable-leader-election"));
        assert!(refused(&["--shards=8", leases]).expect_err("no address").contains("--storage-adv-addr=$(POD_IP)"));
        assert_eq!(refused(&["--shards=8", leases, "--storage-adv-addr=10.0.0.1:9090"]), Ok(()));
        assert_eq!(refused(&["--shards=8", leases, "--storage-addr=127.0.0.1:0"]), Ok(()));
        assert_eq!(refused(&["--shards=8", leases, "--controllers=kustomize"]), Ok(()));
        assert_eq!(refused(&["--shards=1"]), Ok(()));
    }

    #[test]
    fn the_installed_deployment_starts_with_flags_that_exist() {
        for shards in [1, 16] {
            starts(&soll_api::InstallOptions { shards, ..soll_api::InstallOptions::new("soll:test", "0.0.0") });
        }
    }

    fn starts(options: &soll_api::InstallOptions) {
        let objects = soll_api::install(options);
        let deployment = objects.iter().find(|object| object.kind() == "Deployment").expect("there is one");
        let path = ["spec", "template", "spec", "containers"];
        let containers = deployment.value().lookup(&path).and_then(|containers| containers.as_list()).expect("a list");
        let arguments = containers[0].get("args").and_then(|arguments| arguments.as_list()).expect("a list");
        let mut arguments = arguments.iter().map(|argument| argument.as_str().expect("text"));
        assert_eq!(arguments.next(), Some("controller"));
        let config = config(&parse(&arguments.collect::<Vec<_>>())).expect("valid");
        assert!(config.leader_election.is_some());
        assert_eq!(config.shards, usize::from(options.shards));
    }
}
