//! Programs in front of security hooks (`security_*`, security/security.c), or
//! among them (`bpf_lsm_*`): a value other than 0 is what the hook answers then.
//!
//! Each hook's prototype stands beside its program.

use faultd_abi::syscall::{Offsets, hook};

use crate::{
    context::{Address, argument, read, read32},
    judge::{answer, judge},
    tree::{of_file, of_path},
};

/// What a hook's arguments tell about files.
enum Subject {
    /// Nothing.
    None,
    /// Argument n is a file, or null.
    File(usize),
    /// Argument n is a file that is being opened.
    Opened(usize),
    /// Argument n is a path.
    Path(usize),
    /// Argument n is a directory entry.
    Entry(usize),
    /// Two of them are.
    Entries(usize, usize),
    /// Argument n is a program about to be executed.
    Program(usize),
    /// Argument n is a piece of memory, of a file or not.
    Memory(usize),
}

/// `FMODE_CREATED`: judged when it was created.
const CREATED: u32 = 1 << 20;
/// `FMODE_BACKING | FMODE_NOACCOUNT`: a file behind the one that the call is
/// about, which was judged (overlayfs).
const BEHIND: u32 = 1 << 25 | 1 << 29;

/// The entries that the subject is about; `None` when it is not to be judged.
#[inline(always)]
fn entries(args: *const u64, subject: Subject, offsets: &Offsets) -> Option<(Address, Address)> {
    let one = match subject {
        Subject::None => 0,
        Subject::File(n) => {
            let file = argument(args, n);
            if file != 0 && read32(file, offsets.file_mode) & BEHIND != 0 {
                return None;
            }
            of_file(file, offsets)
        }
        Subject::Opened(n) => {
            let file = argument(args, n);
            if read32(file, offsets.file_mode) & (BEHIND | CREATED) != 0 {
                return None;
            }
            of_file(file, offsets)
        }
        Subject::Path(n) => of_path(argument(args, n), offsets),
        Subject::Entry(n) => argument(args, n),
        Subject::Entries(n, m) => return Some((argument(args, n), argument(args, m))),
        Subject::Program(n) => of_file(read(argument(args, n), offsets.bprm_file), offsets),
        Subject::Memory(n) => of_file(read(argument(args, n), offsets.vma_file), offsets),
    };
    Some((one, 0))
}

macro_rules! hooks {
    ($($(#[$doc:meta])* $name:ident($hook:expr, $subject:expr);)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[unsafe(link_section = concat!("lsm/", stringify!($name)))]
        extern "C" fn $name(args: *const u64) -> i64 {
            answer(judge($hook, |offsets| entries(args, $subject, offsets)))
        }
    )*};
}

hooks! {
    /// `(struct file *file)`
    file_open(hook::FILE_OPEN, Subject::Opened(0));
    /// `(struct inode *dir, struct dentry *dentry, umode_t mode)`
    inode_create(hook::INODE_CREATE, Subject::Entry(1));
    /// `(struct file *file, int mask)`
    file_permission(hook::FILE_PERMISSION, Subject::File(0));
    /// `(struct file *file, unsigned int cmd, unsigned long arg)`
    file_ioctl(hook::FILE_IOCTL, Subject::File(0));
    /// `(const struct path *path)`
    path_truncate(hook::PATH_TRUNCATE, Subject::Path(0));
    /// `(struct file *file)`
    file_truncate(hook::FILE_TRUNCATE, Subject::File(0));
    /// `(const struct path *path)`
    inode_getattr(hook::INODE_GETATTR, Subject::Path(0));
    /// `(struct inode *dir, struct dentry *dentry, umode_t mode)`
    inode_mkdir(hook::INODE_MKDIR, Subject::Entry(1));
    /// `(struct inode *dir, struct dentry *dentry)`
    inode_rmdir(hook::INODE_RMDIR, Subject::Entry(1));
    /// `(struct inode *dir, struct dentry *dentry)`
    inode_unlink(hook::INODE_UNLINK, Subject::Entry(1));
    /// `(struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *new, unsigned int flags)`
    inode_rename(hook::INODE_RENAME, Subject::Entries(1, 3));
    /// `(struct dentry *old, struct inode *dir, struct dentry *new)`
    inode_link(hook::INODE_LINK, Subject::Entries(0, 2));
    /// `(struct inode *dir, struct dentry *dentry, const char *old_name)`
    inode_symlink(hook::INODE_SYMLINK, Subject::Entry(1));
    /// `(struct file *file, unsigned long prot, unsigned long flags)`
    mmap_file(hook::MMAP_FILE, Subject::File(0));
    /// `(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
    file_mprotect(hook::FILE_MPROTECT, Subject::Memory(0));
    /// `(struct task_struct *task, unsigned long clone_flags)`
    task_alloc(hook::TASK_ALLOC, Subject::None);
    /// `(struct linux_binprm *bprm)`
    bprm_creds_for_exec(hook::BPRM_CREDS, Subject::Program(0));
    /// `(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`
    task_kill(hook::TASK_KILL, Subject::None);
    /// `(int family, int type, int protocol, int kern)`
    socket_create(hook::SOCKET_CREATE, Subject::None);
    /// `(struct socket *sock, struct sockaddr *address, int addrlen)`
    socket_bind(hook::SOCKET_BIND, Subject::None);
    /// `(struct socket *sock, int backlog)`
    socket_listen(hook::SOCKET_LISTEN, Subject::None);
    /// `(struct socket *sock, struct sockaddr *address, int addrlen)`
    socket_connect(hook::SOCKET_CONNECT, Subject::None);
    /// `(struct socket *sock, struct socket *newsock)`
    socket_accept(hook::SOCKET_ACCEPT, Subject::None);
    /// `(struct socket *sock, struct msghdr *msg, int size)`
    socket_sendmsg(hook::SOCKET_SENDMSG, Subject::None);
    /// `(struct socket *sock, struct msghdr *msg, int size, int flags)`
    socket_recvmsg(hook::SOCKET_RECVMSG, Subject::None);
}
