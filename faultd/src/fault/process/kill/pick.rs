//! Which of the processes that match are chosen: by the seed, so that a run can
//! be repeated.

use faultd_abi::splitmix64;

use crate::host::process::Process;

/// `count` of the processes, in the order in which they were started: parents
/// before their children. The choice depends on the seed and on that order
/// alone, not on process ids.
pub fn choose(mut processes: Vec<Process>, count: usize, seed: u64) -> Vec<Process> {
    processes.sort_unstable_by_key(|p| (p.start_time, p.pid));
    let mut order: Vec<usize> = (0..processes.len()).collect();
    let count = count.min(order.len());
    // Fisher and Yates, as far as needed.
    for at in 0..count {
        let rest = (order.len() - at) as u64;
        // Below the length, so it fits; the bias is below 2^-40 for any real number of processes.
        let with = at + (splitmix64(seed, at as u64) % rest) as usize;
        order.swap(at, with);
    }
    order.truncate(count);
    order.sort_unstable();
    let mut chosen = order.into_iter().peekable();
    let is_chosen = |at: usize| chosen.next_if_eq(&at).is_some();
    let marks: Vec<bool> = (0..processes.len()).map(is_chosen).collect();
    let mut marks = marks.into_iter();
    processes.retain(|_| marks.next().unwrap_or(false));
    processes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes(pids: impl IntoIterator<Item = u32>) -> Vec<Process> {
        let process = |(at, pid)| Process {
            pid,
            ppid: 1,
            start_time: at as u64,
            comm: "x".into(),
            uid: 0,
            exe: None,
        };
        pids.into_iter().enumerate().map(process).collect()
    }

    fn places(chosen: &[Process]) -> Vec<u64> {
        chosen.iter().map(|p| p.start_time).collect()
    }

    #[test]
    fn as_many_as_asked_for_in_the_order_of_their_start() {
        let mut shuffled = processes(10..20);
        shuffled.reverse();
        for count in 0..=10 {
            let chosen = places(&choose(shuffled.clone(), count, 42));
            assert_eq!(chosen.len(), count);
            assert!(chosen.is_sorted_by(|a, b| a < b), "{chosen:?}");
        }
        assert_eq!(choose(shuffled, 99, 1).len(), 10);
        assert_eq!(choose(Vec::new(), 1, 1), []);
    }

    #[test]
    fn the_same_seed_chooses_the_same_whatever_the_ids() {
        for seed in 0..50 {
            let first = places(&choose(processes(10..30), 7, seed));
            let again = places(&choose(processes((10..30).rev()), 7, seed));
            assert_eq!(first, again);
        }
    }

    #[test]
    fn every_process_has_the_same_chance() {
        let mut hits = [0_u32; 5];
        for seed in 0..5000 {
            for process in choose(processes(0..5), 2, seed) {
                hits[process.start_time as usize] += 1;
            }
        }
        // 2000 each on average; five standard deviations are 173.
        assert!(hits.iter().all(|n| n.abs_diff(2000) < 173), "{hits:?}");
    }
}
