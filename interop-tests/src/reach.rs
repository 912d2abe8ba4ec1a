//! Whether one host reaches another with its own address: a TCP connection, and the source address that the
//! far end saw.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::host::Host;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connects from `client` to `target`, an address of `server`, and gives the client's address as the server
/// sees it. Without address translation it is the client's own.
///
/// # Errors
/// When the server cannot listen or the client does not get through.
pub fn source_seen(client: &Host, server: &Host, target: IpAddr) -> Result<IpAddr> {
    let listener = server.within(|| Ok(TcpListener::bind((target, 0))?)).context("listen")?;
    let port = listener.local_addr()?.port();
    let reached =
        client.within(|| Ok(TcpStream::connect_timeout(&SocketAddr::new(target, port), CONNECT_TIMEOUT)?));
    let _connection = reached.with_context(|| format!("{} to {target} port {port}", client.name()))?;
    // Connected means that the handshake is complete on this side of a reliable wire; accept does not wait long.
    let (_, source) = listener.accept()?;
    Ok(source.ip())
}
