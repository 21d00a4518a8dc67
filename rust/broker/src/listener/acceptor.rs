//! Listening sockets of every kind, as a loop serves them and as the control plane holds them.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use mio::{
    Interest, Registry, Token,
    event::Source,
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use socket2::SockRef;

use super::{
    tcp,
    unix::{self, SocketFile},
};
use crate::config::{Bind, ListenerConfig};

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A file.
    Unix(PathBuf),
}

/// Where clients of a Unix socket come from, for rules and the log: this machine.
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A listening socket. The control plane keeps one, so that it can be given to another listener; the
/// loop that serves it has a duplicate.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A Unix socket and its file.
    Unix(std::os::unix::net::UnixListener, Arc<SocketFile>),
}

impl ListeningSocket {
    /// Where it really listens.
    pub(crate) fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Endpoint::Tcp),
            Self::Unix(_, file) => Ok(Endpoint::Unix(file.path().to_owned())),
        }
    }

    /// The same socket, once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener, file) => listener
                .try_clone()
                .map(|listener| Self::Unix(listener, Arc::clone(file))),
        }
    }

    /// Open the socket of a listener.
    pub(crate) fn open(config: &ListenerConfig) -> io::Result<Self> {
        match &config.bind {
            Bind::Tcp(address) => {
                tcp::listen(*address, config.backlog, &config.socket).map(Self::Tcp)
            }
            Bind::Unix(bind) => unix::listen(bind, config.backlog)
                .map(|(listener, file)| Self::Unix(listener, Arc::new(file))),
        }
    }

    /// Give a socket that listens already the options of another listener.
    pub(crate) fn configure(&self, config: &ListenerConfig) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                SockRef::from(listener).listen(config.backlog)?;
                tcp::configure(&SockRef::from(listener), &config.socket)
            }
            Self::Unix(listener, _) => SockRef::from(listener).listen(config.backlog),
        }
    }

    /// Listen no longer, although a loop may hold its duplicate a little while: the address is free.
    pub(crate) fn shut(&self) {
        let _ = match self {
            Self::Tcp(listener) => SockRef::from(listener).shutdown(Shutdown::Both),
            Self::Unix(listener, _) => SockRef::from(listener).shutdown(Shutdown::Both),
        };
    }

    /// For a loop.
    pub(crate) fn into_acceptor(self) -> Acceptor {
        match self {
            Self::Tcp(listener) => Acceptor::Tcp(TcpListener::from_std(listener)),
            Self::Unix(listener, _) => Acceptor::Unix(UnixListener::from_std(listener)),
        }
    }
}

/// A listening socket of a loop.
#[derive(Debug)]
pub(crate) enum Acceptor {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl Acceptor {
    /// The next connection that waits, and its peer.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept(),
            Self::Unix(listener) => Ok((as_tcp(listener.accept()?.0), LOCAL)),
        }
    }
}

/// A connected Unix socket under the type of a TCP socket. Both are a descriptor of a stream: reading,
/// writing and polling are the same system calls, and nothing else is asked of a connection. So they cost
/// the others no branch.
fn as_tcp(stream: UnixStream) -> TcpStream {
    let stream = std::os::unix::net::UnixStream::from(stream);
    TcpStream::from_std(std::net::TcpStream::from(OwnedFd::from(stream)))
}

impl Source for Acceptor {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.register(registry, token, interest),
            Self::Unix(listener) => listener.register(registry, token, interest),
        }
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.reregister(registry, token, interest),
            Self::Unix(listener) => listener.reregister(registry, token, interest),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.deregister(registry),
            Self::Unix(listener) => listener.deregister(registry),
        }
    }
}
