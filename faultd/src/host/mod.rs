//! What this host offers: namespaces, interfaces, processes, undo of effects.

pub mod undo;
