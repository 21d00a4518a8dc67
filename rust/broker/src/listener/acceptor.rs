//! Listening sockets of every kind, as a loop serves them and as the control plane holds them.

use std::{fmt, io, net::SocketAddr};

use mio::{
    Interest, Registry, Token,
    event::Source,
    net::{TcpListener, TcpStream},
};
use socket2::SockRef;

use super::tcp;
use crate::config::ListenerConfig;

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// An address and a port.
    Tcp(SocketAddr),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// A listening socket. The control plane keeps one, so that it can be given to another listener; the
/// loop that serves it has a duplicate.
#[derive(Debug)]
pub(crate) enum ListeningSocket {
    /// TCP.
    Tcp(std::net::TcpListener),
}

impl ListeningSocket {
    /// Where it really listens.
    pub(crate) fn endpoint(&self) -> io::Result<Endpoint> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Endpoint::Tcp),
        }
    }

    /// The same socket, once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
        }
    }

    /// Open the socket of a listener.
    pub(crate) fn open(config: &ListenerConfig) -> io::Result<Self> {
        tcp::listen(config.bind, config.backlog).map(Self::Tcp)
    }

    /// Give a socket that listens already the options of another listener.
    pub(crate) fn configure(&self, config: &ListenerConfig) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => SockRef::from(listener).listen(config.backlog),
        }
    }

    /// Listen no longer, although a loop may hold its duplicate a little while: the address is free.
    pub(crate) fn shut(&self) {
        let _ = match self {
            Self::Tcp(listener) => SockRef::from(listener).shutdown(std::net::Shutdown::Both),
        };
    }

    /// For a loop.
    pub(crate) fn into_acceptor(self) -> Acceptor {
        match self {
            Self::Tcp(listener) => Acceptor::Tcp(TcpListener::from_std(listener)),
        }
    }
}

/// A listening socket of a loop.
#[derive(Debug)]
pub(crate) enum Acceptor {
    /// TCP.
    Tcp(TcpListener),
}

impl Acceptor {
    /// The next connection that waits, and its peer.
    pub(crate) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept(),
        }
    }
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
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.deregister(registry),
        }
    }
}
