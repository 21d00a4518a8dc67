//! A TCP listener.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::SocketConfig;

/// Bind and listen on `address`.
///
/// The accept queue is as long as asked for (the system caps it): a short one turns a burst of connects
/// into one-second SYN retries.
pub(crate) fn listen(
    address: SocketAddr,
    backlog: i32,
    options: &SocketConfig,
) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    configure(&SockRef::from(&socket), options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Set options of a listening socket. Accepted sockets inherit them, so they cost a connection nothing.
pub(crate) fn configure(socket: &SockRef<'_>, options: &SocketConfig) -> io::Result<()> {
    socket.set_tcp_nodelay(options.nodelay)?;
    match options.keepalive {
        None => socket.set_keepalive(false)?,
        Some((idle, interval, probes)) => {
            let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
            let keepalive = TcpKeepalive::new()
                .with_time(seconds(idle))
                .with_interval(seconds(interval))
                .with_retries(probes);
            socket.set_tcp_keepalive(&keepalive)?;
        }
    }
    if let Some(bytes) = options.sndbuf {
        socket.set_send_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = options.recbuf {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    Ok(())
}
