//! Listeners: where connections come from.

pub mod tcp;
