//! Serves a cluster until Ctrl-C: `cargo run -p soll-apiserver --example serve -- PORT KUBECONFIG [DIRECTORY]`. It is empty, or
//! what the directory keeps.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use soll_apiserver::store::Keeping;
use soll_apiserver::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, kubeconfig, directory @ ..] = arguments.as_slice() else {
        return Err("expected a port, the path of the kubeconfig to write, and perhaps a directory".into());
    };
    let keeping = directory.first().map(|directory| Keeping::new(Path::new(directory)));
    let server = Server::new(&ServerOptions { keeping, ..ServerOptions::default() })?;
    let running = server.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))).await?;
    running.write_kubeconfig(Path::new(kubeconfig))?;
    tokio::signal::ctrl_c().await?;
    server.close().await;
    running.closed().await;
    Ok(())
}
