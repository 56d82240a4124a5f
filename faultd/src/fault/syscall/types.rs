//! What this kernel says of its functions and structures, as far as the programs
//! need it; read once.

use std::{collections::BTreeMap, env::consts::ARCH, io, sync::OnceLock};

use faultd_abi::syscall::Offsets;

use crate::host::bpf::btf::Btf;

// `struct pt_regs` is part of the ABI of ptrace(2) and does not change:
// arch/x86/include/asm/ptrace.h, arch/arm64/include/asm/ptrace.h.
#[cfg(target_arch = "x86_64")]
const REGS: (u32, u32, u32) = (15 * 8, 14 * 8, 17 * 8); // orig_ax, di, cs
#[cfg(target_arch = "aarch64")]
const REGS: (u32, u32, u32) = (31 * 8 + 4 * 8, 0, 0); // syscallno, regs[0]

/// Functions that programs are attached to begin so.
const PREFIXES: [&str; 4] = ["bpf_lsm_", "security_", "__x64_sys_", "__arm64_sys_"];

/// What matters of the kernel's types.
#[derive(Debug)]
pub struct Types {
    /// Where it keeps what the programs look at.
    pub offsets: Offsets,
    functions: BTreeMap<String, u32>,
}

impl Types {
    /// The type id of a function; `None` if this kernel has none of that name.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name).copied()
    }

    fn read() -> io::Result<Self> {
        let btf = Btf::read()?;
        let functions = btf.functions(&PREFIXES)?;
        Ok(Self { offsets: offsets(&btf)?, functions })
    }
}

/// The kernel's types.
///
/// # Errors
/// What is missing, in words.
pub fn types() -> Result<&'static Types, &'static str> {
    static TYPES: OnceLock<Result<Types, String>> = OnceLock::new();
    let types = TYPES.get_or_init(|| {
        let lacks = |e| format!("the kernel's types (CONFIG_DEBUG_INFO_BTF, {ARCH}): {e}");
        Types::read().map_err(lacks)
    });
    types.as_ref().map_err(String::as_str)
}

fn offsets(btf: &Btf) -> io::Result<Offsets> {
    let [task_pid, task_tgid, task_flags, task_files] =
        btf.offsets("task_struct", ["pid", "tgid", "flags", "files"])?;
    let [files_fdt] = btf.offsets("files_struct", ["fdt"])?;
    let [fdt_max, fdt_fd] = btf.offsets("fdtable", ["max_fds", "fd"])?;
    let [file_path, file_mode] = btf.offsets("file", ["f_path", "f_mode"])?;
    let [path_dentry] = btf.offsets("path", ["dentry"])?;
    let [dentry_parent, dentry_inode, dentry_sb] =
        btf.offsets("dentry", ["d_parent", "d_inode", "d_sb"])?;
    let [inode_ino] = btf.offsets("inode", ["i_ino"])?;
    let [sb_dev] = btf.offsets("super_block", ["s_dev"])?;
    let [bprm_file] = btf.offsets("linux_binprm", ["file"])?;
    let [vma_file] = btf.offsets("vm_area_struct", ["vm_file"])?;
    let (regs_nr, regs_arg, regs_cs) = REGS;
    Ok(Offsets {
        task_pid,
        task_tgid,
        task_flags,
        task_files,
        files_fdt,
        fdt_max,
        fdt_fd,
        file_path,
        file_mode,
        path_dentry,
        dentry_parent,
        dentry_inode,
        inode_ino,
        dentry_sb,
        sb_dev,
        bprm_file,
        vma_file,
        regs_nr,
        regs_arg,
        regs_cs,
    })
}
