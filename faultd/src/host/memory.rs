//! Memory that was needed for a moment.

/// Hands what was freed back to the kernel. glibc keeps it in the arena of the
/// thread that had it (malloc_trim(3)), and reading the kernel's type
/// information alone takes megabytes.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer, and glibc locks its arenas itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
