//! Serves an empty cluster until Ctrl-C: `cargo run -p soll-apiserver --example serve -- PORT KUBECONFIG`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use soll_apiserver::{Server, ServerOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, kubeconfig] = arguments.as_slice() else {
        return Err("expected a port and the path of the kubeconfig to write".into());
    };
    let server = Server::new(&ServerOptions::default())?;
    let running = server.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))).await?;
    running.write_kubeconfig(Path::new(kubeconfig))?;
    tokio::signal::ctrl_c().await?;
    server.close().await;
    running.closed().await;
    Ok(())
}
