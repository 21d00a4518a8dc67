//! Listeners: where connections come from.

pub(crate) mod access;
pub mod tcp;
