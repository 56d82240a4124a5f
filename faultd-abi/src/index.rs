//! The index: from what a packet is to the rules that may concern it.
//!
//! Every key (a port, a cgroup, a prefix, …) has a [`Head`], which leads to a
//! linked list of [`Node`]s in an array map. Lists change as RCU lists do: a
//! rule is added in front, and a removed node keeps its `next` until it is
//! reused, long after. A reader that still gets lost notices by the tag or
//! the generation and stops: at worst one packet misses a rule.

/// The index that ends a list.
pub const NO_NODE: u32 = 0;

/// Start of a list: the first node (low half) and the tag that all of its
/// nodes carry (high half). One word, so that it changes at once.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head(pub u64);

impl Head {
    /// A list that holds nothing.
    pub const EMPTY: Self = Self(0);

    /// A list that starts at `first` and whose nodes carry `tag`.
    #[inline(always)]
    #[must_use]
    pub const fn new(first: u32, tag: u32) -> Self {
        Self((tag as u64) << 32 | first as u64)
    }

    /// Index of the first node, or [`NO_NODE`].
    #[inline(always)]
    #[must_use]
    pub const fn first(self) -> u32 {
        self.0 as u32
    }

    /// The tag that the nodes of this list carry.
    #[inline(always)]
    #[must_use]
    pub const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// One candidate in a list (map `NODES`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Node {
    /// The next node, or [`NO_NODE`].
    pub next: u32,
    /// The rule's slot.
    pub slot: u32,
    /// The list that this node belongs to.
    pub tag: u32,
    /// The rule's generation when it was linked; see [`crate::Rule`].
    pub generation: u32,
}

/// An entry of the prefix index (map `PREFIXES`). The LPM trie finds the
/// longest one; the shorter ones that cover it follow through `parent`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PrefixEntry {
    /// Rules that name exactly this prefix.
    pub head: Head,
    /// The longest prefix that covers this one, or 0.
    pub parent: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = {
    assert!(size_of::<Head>() == 8);
    assert!(size_of::<Node>() == 16);
    assert!(size_of::<PrefixEntry>() == 16);
};
