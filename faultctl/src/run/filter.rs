//! The seccomp filter: which system calls ask the supervisor (seccomp(2),
//! Documentation/userspace-api/seccomp_filter.rst).

use libc::{
    BPF_ABS, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_USER_NOTIF, sock_filter,
};

// Offsets into `struct seccomp_data`, include/uapi/linux/seccomp.h.
const NR: u32 = 0;
const ARCH: u32 = 4;
const LAST_ARG_LOW: u32 = 16 + 5 * 8;
const LAST_ARG_HIGH: u32 = LAST_ARG_LOW + 4;

/// `AUDIT_ARCH_*` of this build, include/uapi/linux/audit.h. Processes of
/// another ABI (32-bit ones) number their calls otherwise and are left alone;
/// so are calls of x32, whose numbers have bit 30 set.
#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;

/// A random number that the command's process puts into the sixth argument of
/// the calls that it makes for us, between installing the filter and execve(2):
/// such a call passes unseen. None of them has so many arguments.
#[derive(Debug, Clone, Copy)]
pub struct Pass(pub u64);

/// The program: calls with a number in `calls` ask the supervisor, all others
/// pass. The kernel remembers which numbers always pass, so those cost nothing
/// that can be measured (`seccomp_cache_prepare`, kernel/seccomp.c, Linux 5.11).
pub fn program(calls: &[u32], pass: Pass) -> Vec<sock_filter> {
    let mut code = vec![load(ARCH), jump_if(NATIVE, 1, 0), verdict(SECCOMP_RET_ALLOW), load(NR)];
    let mut numbers = calls.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let end = 2 * numbers.len();
    for (i, number) in numbers.iter().enumerate() {
        code.push(jump_if(*number, 0, 1));
        // Over the pairs that follow and the verdict for all the rest.
        code.push(jump(u32::try_from(end - 2 * (i + 1) + 1).unwrap_or(u32::MAX)));
    }
    code.extend([
        verdict(SECCOMP_RET_ALLOW),
        load(LAST_ARG_LOW),
        jump_if(low(pass.0), 0, 2),
        load(LAST_ARG_HIGH),
        jump_if(low(pass.0 >> 32), 1, 0),
        verdict(SECCOMP_RET_USER_NOTIF),
        verdict(SECCOMP_RET_ALLOW),
    ]);
    code
}

const fn low(value: u64) -> u32 {
    (value & 0xffff_ffff) as u32
}

const fn load(offset: u32) -> sock_filter {
    sock_filter { code: (BPF_LD | BPF_W | BPF_ABS) as u16, jt: 0, jf: 0, k: offset }
}

const fn jump_if(equal: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt, jf, k: equal }
}

const fn jump(over: u32) -> sock_filter {
    sock_filter { code: (BPF_JMP | BPF_JA) as u16, jt: 0, jf: 0, k: over }
}

const fn verdict(value: u32) -> sock_filter {
    sock_filter { code: (BPF_RET | BPF_K) as u16, jt: 0, jf: 0, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do (net/core/filter.c), for the instructions used.
    fn run(code: &[sock_filter], arch: u32, nr: u32, last: u64) -> u32 {
        let (mut at, mut a) = (0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    a = match i.k {
                        NR => nr,
                        ARCH => arch,
                        LAST_ARG_LOW => low(last),
                        LAST_ARG_HIGH => low(last >> 32),
                        other => panic!("offset {other}"),
                    }
                }
                c if c == BPF_JMP | BPF_JEQ | BPF_K => {
                    at += usize::from(if a == i.k { i.jt } else { i.jf });
                }
                c if c == BPF_JMP | BPF_JA => at += i.k as usize,
                c if c == BPF_RET | BPF_K => return i.k,
                other => panic!("code {other}"),
            }
        }
    }

    #[test]
    fn named_calls_ask_and_all_others_pass() {
        let pass = Pass(0x1234_5678_9abc_def0);
        for calls in [vec![1], vec![0, 1, 435, 7], (100..400).collect()] {
            let code = program(&calls, pass);
            for nr in 0..600 {
                let expected =
                    if calls.contains(&nr) { SECCOMP_RET_USER_NOTIF } else { SECCOMP_RET_ALLOW };
                assert_eq!(run(&code, NATIVE, nr, 0), expected, "call {nr}");
                assert_eq!(run(&code, NATIVE, nr, pass.0), SECCOMP_RET_ALLOW);
                assert_eq!(run(&code, NATIVE, nr, pass.0 ^ 1), expected);
                assert_eq!(run(&code, NATIVE, nr, pass.0 ^ (1 << 40)), expected);
                assert_eq!(run(&code, 0x4000_0003, nr, 0), SECCOMP_RET_ALLOW, "i386");
                assert_eq!(run(&code, NATIVE, nr | 1 << 30, 0), SECCOMP_RET_ALLOW, "x32");
            }
        }
    }
}
