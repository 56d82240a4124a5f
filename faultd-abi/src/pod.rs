//! aya's marker trait: any bytes are a valid value of these types.

use aya::Pod;

use crate::{
    Address, Config, Counters, ExemptKey, FragmentKey, Head, Node, Origins, Ports, PrefixEntry,
    Rule, RuleState, syscall,
};

macro_rules! pod {
    ($($type:ty),+ $(,)?) => {
        $(
            // SAFETY: repr(C) integers only, without implicit padding (the
            // size assertions next to each type leave no room for any).
            unsafe impl Pod for $type {}
        )+
    };
}

pod!(
    Address,
    Config,
    Counters,
    ExemptKey,
    FragmentKey,
    Head,
    Node,
    Origins,
    Ports,
    PrefixEntry,
    Rule,
    RuleState,
    syscall::CallKey,
    syscall::Config,
    syscall::Root,
    syscall::Rule,
    syscall::State,
);
