//! A Unix socket listener: a file that clients of the same machine connect to.

use std::{
    fs,
    io::{self, ErrorKind},
    os::fd::OwnedFd,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::UnixBind;

/// The file of a socket that we listen on. It is removed with the last who holds this, unless somebody
/// else put another one in its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity_of(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl SocketFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn identity_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Bind and listen on a file.
///
/// A socket that nobody listens on, left behind by a process that was killed, is replaced. Anything else
/// that is there is left alone: that is an error. Nobody can connect before the file has its mode.
pub(crate) fn listen(bind: &UnixBind, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    let path = Path::new(&bind.path);
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity_of(path)?,
    };
    fs::set_permissions(path, fs::Permissions::from_mode(bind.mode))?;
    socket.listen(backlog)?;
    Ok((OwnedFd::from(socket).into(), file))
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        let problem = "the file exists and is no socket; remove it, or choose another path";
        return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?; // a full accept queue is an answer too
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        _ => Err(io::Error::new(
            ErrorKind::AddrInUse,
            "another process listens on it",
        )),
    }
}
